"""Verdicts from records: nothing here measures, and nothing here imports torch."""
