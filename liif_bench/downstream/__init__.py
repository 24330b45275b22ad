"""Downstream: what networks that look at images still see in SR."""
