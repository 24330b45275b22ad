"""Realism: is the enlargement faithful to LR, is its detail right, does it look like a photograph?

Four dimensions, after REAL (arXiv 2502.10663), which rates attributes, relationships and style;
faithfulness to the input is what enlarging adds. Each dimension is a module here.
"""

PATCHES = "patches"
"""Name of the table of patches that the judge of photographs was shown, beside a run's records."""
