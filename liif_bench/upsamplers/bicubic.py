"""Bicubic resampling of a window in float32, antialiased where it shrinks.

Pillow's rule (its mode "F") without Pillow's single-precision coordinates, so that a window has
the pixels of the whole. The kernel is that of R. Keys, Cubic convolution interpolation for digital
image processing, IEEE TASSP 29, 1981, with a = -1/2. Where the result is coarser than the source
the kernel is stretched to the pitch of the result; what of it lies outside the image is left out
and the rest normalised. Rows are resampled first, then columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from liif_bench.imresize import cubic
from liif_bench.upsamplers.base import Window

_SUPPORT = 2  # pixels of the coarser grid on each side
_BLOCK_BYTES = 8 << 20


class Pixels(Protocol):
    """An image of known size that is read part by part.

    Attributes:
        size: `(H, W)` in pixels.
    """

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` in pixels."""
        ...

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return some pixels, `(3, rows, columns)` float32 on the CPU, not to be written to."""
        ...


@dataclass(frozen=True)
class Taps:
    """Which source pixels make each pixel of a result along one axis.

    Attributes:
        index: `(n, k)` positions in the source.
        weight: `(n, k)` float32; each row adds up to 1.
    """

    index: Tensor
    weight: Tensor

    @property
    def span(self) -> slice:
        """The source pixels from the first to the last that have a say."""
        return slice(int(self.index.min()), int(self.index.max()) + 1)

    def block(self, rows: slice) -> Taps:
        """Return the taps of some pixels of the result."""
        return Taps(self.index[rows], self.weight[rows])


def taps(before: int, after: int, low: float, high: float) -> Taps:
    """Return the taps of a window along one axis.

    Args:
        before: Length of the whole source in pixels.
        after: Length of the result in pixels.
        low: Where the window begins, as a fraction of the source.
        high: Where it ends.
    """
    pitch = (high - low) * before / after  # source pixels per pixel of the result
    stretch = max(pitch, 1.0)
    centres = low * before + (np.arange(after) + 0.5) * pitch
    first = np.floor(centres - _SUPPORT * stretch + 0.5).astype(np.int64)
    index = first[:, None] + np.arange(2 * math.ceil(_SUPPORT * stretch) + 1)
    weight = cubic((index + 0.5 - centres[:, None]) / stretch)
    weight[(index < 0) | (index >= before)] = 0
    weight /= weight.sum(axis=1, keepdims=True)
    return Taps(
        torch.from_numpy(index.clip(0, before - 1)), torch.from_numpy(weight.astype(np.float32))
    )


def resample_bicubic(pixels: Pixels, size: tuple[int, int], window: Window) -> Tensor:
    """Resample a window.

    Args:
        pixels: The source.
        size: `(H, W)` of the result in pixels.
        window: The part of the source.

    Returns:
        `(3, H, W)` float32, not clamped: a cubic overshoots.
    """
    down = taps(pixels.size[0], size[0], window.top, window.bottom)
    across = taps(pixels.size[1], size[1], window.left, window.right)
    columns = across.span
    shifted = Taps(across.index - columns.start, across.weight)
    result = torch.empty(3, *size)
    widest = max(size[1], columns.stop - columns.start)
    step = max(1, _BLOCK_BYTES // (12 * widest))
    for top in range(0, size[0], step):
        block = down.block(slice(top, top + step))
        rows = block.span
        source = pixels.part(rows, columns)
        tall = _weigh(source, Taps(block.index - rows.start, block.weight), 1)
        result[:, top : top + step] = _weigh(tall, shifted, 2)
    return result


def _weigh(source: Tensor, along: Taps, axis: int) -> Tensor:
    """Sum a source's pixels along an axis, tap by tap in a fixed order."""
    shape = [1, 1, 1]
    shape[axis] = -1
    terms = (
        source.index_select(axis, index).mul_(weight.view(shape))
        for index, weight in zip(along.index.T, along.weight.T, strict=True)
    )
    return reduce(Tensor.add_, terms)
