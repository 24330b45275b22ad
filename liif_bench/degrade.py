"""Degradations: how LR is made from HR, and which part of HR it answers to."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.images import RgbArray
from liif_bench.resample import resample


def lr_size(hr_size: tuple[int, int], scale: float) -> tuple[int, int]:
    """Return the size of LR: ``floor(H / s + 1e-9)`` per side.

    Args:
        hr_size: `(H, W)` in pixels.
        scale: Real number >= 1.

    Raises:
        LiifBenchError: The image is smaller than one LR pixel.
    """
    height, width = (math.floor(side / scale + 1e-9) for side in hr_size)
    if height < 1 or width < 1:
        raise LiifBenchError(
            f"image of {hr_size[1]}x{hr_size[0]} pixels is too small for scale x{scale:g}"
        )
    return height, width


def make_pair(hr: RgbArray, scale: float) -> tuple[RgbArray, RgbArray]:
    """Make LR as LIIF does: crop HR, then Pillow's antialiased bicubic filter on 8-bit values.

    Args:
        hr: `(H, W, 3)` uint8.
        scale: Real number >= 1.

    Returns:
        LR `(h, w, 3)` and HR cropped to `(round(h * s), round(w * s), 3)`.

    Raises:
        LiifBenchError: The image is too small for the scale.
    """
    height, width = lr_size(hr.shape[:2], scale)
    cropped = np.ascontiguousarray(hr[: round(height * scale), : round(width * scale)])
    lr = resample(Image.fromarray(cropped), (height, width), Image.Resampling.BICUBIC)
    return np.array(lr), cropped


def fit_pair(lr: RgbArray, hr: RgbArray, scale: float) -> tuple[RgbArray, RgbArray]:
    """Use LR as given and crop HR to what it answers to.

    Args:
        lr: `(h, w, 3)` uint8.
        hr: `(H, W, 3)` uint8.
        scale: Real number >= 1.

    Returns:
        LR and HR cropped to `(round(h * s), round(w * s), 3)`.

    Raises:
        LiifBenchError: HR is smaller than that, or larger by a whole LR pixel.
    """
    sides = zip(lr.shape[:2], hr.shape[:2], strict=True)
    for low, high in sides:
        if not round(low * scale) <= high < (low + 1 - 1e-9) * scale:
            raise LiifBenchError(
                f"LR of {lr.shape[1]}x{lr.shape[0]} and HR of {hr.shape[1]}x{hr.shape[0]} pixels"
                f" do not fit each other at x{scale:g}"
            )
    rows, columns = (round(side * scale) for side in lr.shape[:2])
    return lr, np.ascontiguousarray(hr[:rows, :columns])
