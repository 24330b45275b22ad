"""Data sets: images to measure on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liif_bench.registry import Entry, Registry

if TYPE_CHECKING:
    from liif_bench.datasets.base import Dataset, Item

DATASETS = Registry(
    "dataset",
    "liif_bench.datasets",
    [
        Entry(
            "sample",
            "liif_bench.datasets.sample:sample",
            "six photographs that the scikit-image wheel ships; needs no download",
        ),
        Entry(
            "folder",
            "liif_bench.datasets.folder:folder",
            "any images; LR is made by the protocol",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "paired",
            "liif_bench.datasets.paired:paired",
            "HR/ and LR_bicubic/X2 ... as benchmark sets ship them; other scales by the protocol",
            "PATH",
            argument_required=True,
        ),
    ],
)


def load_dataset(spec: str) -> Dataset:
    """Open a data set without decoding its images.

    Args:
        spec: ``name`` or ``name:argument``, for example ``folder:photos``.

    Returns:
        The data set, with at least one item.

    Raises:
        LiifBenchError: Unknown name; missing or empty folder; no image in it.
    """
    from liif_bench.datasets.base import Dataset

    factory, argument = DATASETS.factory(spec)
    items: tuple[Item, ...] = factory(argument) if argument else factory()
    return Dataset(spec, items)


__all__ = ["DATASETS", "load_dataset"]
