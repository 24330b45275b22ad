"""Runs with tables made up, of zoomed views and random crops, for tests of what reads them."""

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


def run_of(folder, *tables, name="views"):
    """A finished run that keeps these tables, of views or of that name, under each other."""
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(folder, {"schema_version": SCHEMA_VERSION, "finished": "2026"})
    write_details(folder, [CaseRows([], {name: table}) for table in tables])
    return load_run(folder)


def made_up_augmented(items, models, method, *, scale=4.0, seed=0):
    """Columns of a table of a method beside the one crop, whose ranks are the same for every one.

    Args:
        items: Names of images.
        models: Names of upsamplers.
        method: "mean" or "memo".
        scale: Scale of all.
        seed: Of the ranks.
    """
    ones, rng = np.random.default_rng(seed), np.random.default_rng([seed, *method.encode()])
    table = {name: [] for name in ("dataset", "item", "scale", "upsampler", "method", "rank")}
    table |= {"top": [], "confidence": []}
    for item in items:
        for place, model in enumerate(models):
            for kind, draws in (("one", ones), (method, rng)):
                rank = 1 + int(draws.integers(0, 12) // (1 + place))
                row = ("made", item, scale, model, kind, rank, f"n{rank}", float(draws.uniform()))
                for column, value in zip(table, row, strict=True):
                    table[column].append(value)
    return table
