"""MATLAB's `imresize` with its bicubic kernel and antialiasing, to the grey level.

The published LR files of benchmark sets were made with it. No library gives the same grey levels,
since MATLAB rounds an 8-bit image to 8 bits between its two passes. Written from MATLAB's
documentation and Keys' kernel (R. Keys, Cubic convolution interpolation for digital image
processing, IEEE TASSP 29, 1981, a = -1/2), and held against the LR files of Set5 and Set14.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from liif_bench.images import RgbArray

Edges = Literal["mirror", "replicate"]

_SUPPORT = 4  # width of the kernel in pixels of the coarser grid


def imresize(
    image: RgbArray,
    size: tuple[int, int],
    *,
    edges: Edges = "mirror",
    round_between: bool = True,
) -> RgbArray:
    """Resize an 8-bit image as MATLAB does.

    Args:
        image: `(H, W, C)` uint8.
        size: `(h, w)` of the result in pixels.
        edges: What lies beyond the image. "mirror" as MATLAB has it; "replicate" as the LR files
            of Set14 have it, which come from an older one.
        round_between: Whether values are rounded to 8 bits between the two passes, as MATLAB does
            for an 8-bit image. The x8 files of Set5 were made without.

    Returns:
        `(h, w, C)` uint8.
    """
    factors = [after / before for before, after in zip(image.shape[:2], size, strict=True)]
    axes = sorted((0, 1), key=lambda axis: factors[axis])  # the one that shrinks most goes first
    values = image.astype(np.float64)
    for axis in axes:
        weights = axis_weights(image.shape[axis], size[axis], edges)
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
        if round_between:
            values = _to_levels(values)
    return _to_levels(values).astype(np.uint8)


def _to_levels(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Round to grey levels, halves up."""
    return np.floor(np.clip(values, 0, 255) + 0.5)


def axis_weights(before: int, after: int, edges: Edges = "mirror") -> npt.NDArray[np.float64]:
    """Return the matrix of one pass; where it shrinks the kernel is widened.

    Args:
        before: Length of the source in pixels.
        after: Length of the result in pixels.
        edges: What lies beyond the source.

    Returns:
        `(after, before)`; each row adds up to 1.
    """
    factor = after / before
    narrowing = min(factor, 1.0)
    width = _SUPPORT / narrowing
    centres = (np.arange(after) + 0.5) / factor - 0.5
    first = np.floor(centres - width / 2).astype(int)
    taps = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = cubic(narrowing * (centres[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    if edges == "mirror":
        period = np.concatenate([np.arange(before), np.arange(before)[::-1]])
        columns = period[taps % (2 * before)]
    else:
        columns = taps.clip(0, before - 1)
    matrix = np.zeros((after, before))
    np.add.at(matrix, (np.arange(after)[:, None], columns), weights)
    return matrix


def cubic(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -1/2."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d**2 + 1
    far = ((2.5 - 0.5 * d) * d - 4) * d + 2
    return np.where(d <= 1, near, np.where(d <= 2, far, 0.0))
