"""Degradations: how LR is made from HR, and which part of HR it answers to."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.images import RgbArray, to_tensor
from liif_bench.imresize import imresize
from liif_bench.protocol import Generator, LrRules
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


def make_pair(hr: RgbArray, scale: float, rules: LrRules) -> tuple[Tensor, RgbArray]:
    """Make LR as a protocol's generator does, from HR cropped to what LR answers to.

    Args:
        hr: `(H, W, 3)` uint8.
        scale: Real number >= 1.
        rules: The generator, and the multiple to which HR is cropped first.

    Returns:
        LR `(3, h, w)` float32 in [0, 1] and HR cropped to `(round(h * s), round(w * s), 3)`.

    Raises:
        LiifBenchError: The image is too small for the scale or the multiple.
    """
    multiple = rules.hr_multiple
    rows, columns = (side - side % multiple for side in hr.shape[:2])
    if not rows or not columns:
        raise LiifBenchError(
            f"image of {hr.shape[1]}x{hr.shape[0]} pixels is too small to be cropped to"
            f" multiples of {multiple}"
        )
    height, width = lr_size((rows, columns), scale)
    cropped = np.ascontiguousarray(hr[: round(height * scale), : round(width * scale)])
    return GENERATORS[rules.generator](cropped, (height, width)), cropped


def _pil(hr: RgbArray, size: tuple[int, int]) -> Tensor:
    lr = resample(Image.fromarray(hr), size, Image.Resampling.BICUBIC)
    return to_tensor(np.array(lr))


def _torch(hr: RgbArray, size: tuple[int, int]) -> Tensor:
    # Channels last, as PyTorch repeats rows otherwise where the result is one pixel wide (2.14).
    image = to_tensor(hr)[None].contiguous(memory_format=torch.channels_last)
    lr = F.interpolate(image, size, mode="bicubic", antialias=True).contiguous()
    return lr[0].clamp(0, 1)


def _matlab(hr: RgbArray, size: tuple[int, int]) -> Tensor:
    return to_tensor(imresize(hr, size))


GENERATORS: dict[Generator, Callable[[RgbArray, tuple[int, int]], Tensor]] = {
    "pil-bicubic-uint8": _pil,
    "torch-bicubic-float": _torch,
    "matlab-bicubic-uint8": _matlab,
}
"""Makes LR `(3, h, w)` float32 in [0, 1] of a size from HR `(H, W, 3)` uint8."""


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
