"""Documents made of records. Nothing here imports torch."""
