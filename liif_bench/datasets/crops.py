"""``crops:DATASET``: the middle of every image of another data set, at most 224x224 pixels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.images import read_size

SIDE = 224
"""Pixels of a side, which most ImageNet networks were trained on."""


def crops(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Cut the middle out of the images of a data set. Nothing is resized.

    Args:
        root: The data root.
        argument: The other data set, such as ``imagenet-sample`` or ``imagenet:PATH``.

    Returns:
        Its items, each cut to `SIDE` pixels where a side is longer; LR is made by the protocol,
        for the given files show the whole. An image whose header cannot be read is left as it is:
        it will be an error record.

    Raises:
        LiifBenchError: As the other data set raises it; or its images are parts of files already.
    """
    from liif_bench.datasets import load_dataset

    return tuple(_cut(item, argument) for item in load_dataset(argument, root).items)


def _cut(item: Item, dataset: str) -> Item:
    if item.crop is not None or item.hr_paths:
        raise LiifBenchError(
            f"crops:{dataset} is not possible: its image '{item.name}' is part of a file, or has"
            " an HR of its own for each scale"
        )
    try:
        size = read_size(item.files[0])  # which makes it, where it has to be made
    except LiifBenchError:
        return item
    sides = [min(SIDE, side) for side in size]
    corner = [(whole - side) // 2 for whole, side in zip(size, sides, strict=True)]
    return replace(item, crop=(corner[0], corner[1], sides[0], sides[1]), lr_paths={})
