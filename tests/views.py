"""A run with zoomed views made up, for tests of what reads them."""

import numpy as np

from liif_bench.records import SCHEMA_VERSION, CaseRows, load_run, write_details, write_manifest

SIZES = (128, 256, 512)


def made_up_views(items, models, *, scale=4.0, seed=0, labelled=True, sizes=SIZES):
    """Columns of a table of views with random ranks, the later the model the better.

    Args:
        items: Names of images.
        models: Names of upsamplers.
        scale: Scale of all.
        seed: Of the ranks.
        labelled: Whether the images have labels.
        sizes: Of the grid.
    """
    rng = np.random.default_rng(seed)
    names = ("dataset", "item", "scale", "upsampler", "size", "row", "column", "rank", "top")
    table = {name: [] for name in (*names, "confidence", "agrees", "kl")}
    for item in items:
        for place, model in enumerate(models):
            for size in sizes:
                for anchor in range(9):
                    rank = 1 + int(rng.integers(0, 8) // (1 + place))
                    row = ("made", item, scale, model, size, anchor // 3, anchor % 3)
                    row += (rank if labelled else None, f"n{rank}", float(rng.uniform()))
                    row += (bool(rng.integers(0, 2)), float(rng.uniform(0, 3)))
                    for column, value in zip(table, row, strict=True):
                        table[column].append(value)
    return table


def run_of(folder, *tables):
    """A finished run that keeps these tables of views."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, {"schema_version": SCHEMA_VERSION, "finished": "2026"})
    write_details(folder, [CaseRows([], {"views": table}) for table in tables])
    return load_run(folder)
