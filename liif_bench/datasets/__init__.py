"""Data sets: images to measure on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from liif_bench.errors import LiifBenchError
from liif_bench.registry import Entry, Registry

if TYPE_CHECKING:
    from liif_bench.datasets.base import Dataset


def _published(what: str) -> str:
    return f"{what} with published LR at x2 x3 x4, below the data root; see 'liif-bench data list'"


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
            "scenes",
            "liif_bench.datasets.scenes:scenes",
            "analytic scenes (edges, zone plate, text, ...), the truth known at every zoom",
            "SIDE",
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
            "liif_bench.datasets.layouts:paired",
            "HR with published LR, laid out as EDSR's benchmark, DIV2K or SelfExSR, or HR alone;"
            " scales without LR files by the protocol",
            "PATH",
            argument_required=True,
        ),
        Entry("set5", "liif_bench.datasets.benchmarks:set5", _published("Set5, 5 images")),
        Entry("set14", "liif_bench.datasets.benchmarks:set14", _published("Set14, 14 images")),
        Entry("b100", "liif_bench.datasets.benchmarks:b100", _published("B100, 100 images")),
        Entry(
            "urban100",
            "liif_bench.datasets.benchmarks:urban100",
            _published("Urban100, 100 images"),
        ),
        Entry(
            "div2k-valid",
            "liif_bench.datasets.benchmarks:div2k_valid",
            _published("DIV2K validation, 100 images"),
        ),
        Entry(
            "imagenet",
            "liif_bench.datasets.imagenet:imagenet",
            "labelled images: a folder for each WordNet id, or files <wnid>_name.JPEG",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "imagenet-sample",
            "liif_bench.datasets.imagenet:imagenet_sample",
            "the same of a sample of yours, in the folder imagenet_sample below the data root",
        ),
        Entry(
            "labels",
            "liif_bench.datasets.labels:labels",
            "labelled images: a CSV file of path and label, or labels where several are right",
            "FILE.csv",
            argument_required=True,
        ),
        Entry(
            "imagenet-hard",
            "liif_bench.datasets.imagenet_hard:imagenet_hard",
            "ImageNet-Hard, several labels per image; as fetched, or a copy of yours",
            "PATH",
            requires=("datasets",),
            extra="imagenet-hard",
        ),
        Entry(
            "crops",
            "liif_bench.datasets.crops:crops",
            "the middle of each image of another data set, at most 224x224 pixels, with its labels",
            "DATASET",
            argument_required=True,
        ),
    ],
)


def load_dataset(spec: str, data_root: Path | None = None) -> Dataset:
    """Open a data set without decoding its images.

    Args:
        spec: ``name`` or ``name:argument``, for example ``folder:photos`` or ``set5``.
        data_root: Folder below which named sets and relative paths are looked for; None for
            `LIIF_BENCH_DATA`, or else the folder `data` in the cache.

    Returns:
        The data set, with at least one item.

    Raises:
        LiifBenchError: Unknown name; missing or empty folder; no image in it, or two of one name.
        DataUnavailableError: A named set is not there.
    """
    from liif_bench.datasets.base import Dataset, Item
    from liif_bench.datasets.root import default_data_root

    root = default_data_root() if data_root is None else data_root
    items = DATASETS.make(spec, root)
    if not isinstance(items, tuple) or not all(isinstance(item, Item) for item in items):
        raise LiifBenchError(f"dataset '{spec}' is no tuple of items: see docs/adding.md")
    names = Counter(item.name for item in items)
    if not names:
        raise LiifBenchError(f"dataset '{spec}' holds no image")
    name, count = names.most_common(1)[0]
    if count > 1:
        raise LiifBenchError(f"dataset '{spec}' holds {count} images called '{name}': rename them")
    return Dataset(spec, items)


__all__ = ["DATASETS", "load_dataset"]
