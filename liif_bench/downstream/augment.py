"""Random resized crops of a case: what test-time augmentation by zooming shows a classifier.

As "ImageNet-Hard" (arXiv 2304.05538) augments: torchvision's RandomResizedCrop, with its own bounds
of area and ratio, resized to 224x224 by Pillow's bicubic filter, not mirrored. Where the crops lie
is drawn from the item's name and HR's size alone, so that every upsampler is seen through the same
ones. Of an answer to LR, the upsampler renders each crop itself, as in `downstream.views`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.transforms import RandomResizedCrop

from liif_bench.downstream import CROPS
from liif_bench.downstream.views import CROP, Sources, picture
from liif_bench.metrics.base import Case, Output
from liif_bench.upsamplers.base import pixel_window

AREA = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)

_SEED = "random resized crops 1"


class Region(NamedTuple):
    """A part of HR, in whole pixels.

    Attributes:
        top: First row.
        left: First column.
        height: Rows.
        width: Columns.
    """

    top: int
    left: int
    height: int
    width: int


def regions(case: Case, count: int = CROPS) -> tuple[Region, ...]:
    """Draw regions of HR.

    Args:
        case: Its item's name and HR's size decide what is drawn, and nothing else.
        count: How many; fewer are the first of more.

    Returns:
        Regions whose area is a share of HR's in `AREA`, and whose width / height is in `RATIO`;
        around the centre where ten draws do not fit into HR, as torchvision does it.
    """
    seed = int.from_bytes(hashlib.blake2b(f"{_SEED}\0{case.item}".encode()).digest()[:7], "big")
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        drawn = [RandomResizedCrop.get_params(case.hr, AREA, RATIO) for _ in range(count)]
    return tuple(Region(*each) for each in drawn)


def crops_of_answer(case: Case, output: Output, count: int = CROPS) -> Iterator[Tensor]:
    """Yield random resized crops of what an upsampler made of a case.

    A region of at least 224 LR pixels each way is not enlarged: Pillow resizes that part of LR for
    every upsampler. Finished images are cut and resized as HR is.

    Args:
        case: Says where the crops lie.
        output: The upsampler's answer.
        count: How many.

    Yields:
        `(3, 224, 224)` in [0, 1], rounded as the protocol rounds SR.

    Raises:
        LiifBenchError: The upsampler rendered no picture.
    """
    sources = Sources(case, output)
    for region in regions(case, count):
        shorter = min(
            region.height * case.lr.shape[1] / case.size[0],
            region.width * case.lr.shape[2] / case.size[1],
        )
        enlarges = shorter < CROP
        if sources.finished and not sources.shows_lr(enlarges=enlarges):
            yield _resized(output.sr, region)
            continue
        window = pixel_window(case.size, *region)
        yield sources.render(sources.source(enlarges=enlarges), (CROP, CROP), window)


def _resized(pixels: Tensor, region: Region) -> Tensor:
    """Cut a region out of 8-bit pixels, and resize it: no pixel beyond it counts."""
    top, left, height, width = region
    part = pixels[:, top : top + height, left : left + width]
    return picture(part).render((CROP, CROP))
