"""Interpolation baselines: Pillow's filters on 8-bit values, as the field's tables use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from PIL import Image
from torch import Tensor

from liif_bench.images import to_tensor, to_uint8
from liif_bench.resample import resample
from liif_bench.upsamplers.base import FULL, Options, TrainingScales, Weights, Window, check_lr


@dataclass(frozen=True)
class InterpolatedImage:
    """An LR image under an interpolation kernel."""

    lr: Image.Image
    kernel: Image.Resampling

    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`. Values are multiples of 1/255."""
        box = (
            window.left * self.lr.width,
            window.top * self.lr.height,
            window.right * self.lr.width,
            window.bottom * self.lr.height,
        )
        return to_tensor(np.array(resample(self.lr, size, self.kernel, box)))


@dataclass(frozen=True)
class Interpolation:
    """An interpolation kernel as an upsampler. LR is rounded to 8 bits first."""

    name: str
    kernel: Image.Resampling
    training_scales: TrainingScales | None = None
    weights: Weights | None = None
    settings: Mapping[str, str] = field(default_factory=dict)

    def encode(self, lr: Tensor) -> InterpolatedImage:
        """Encode LR; see `Upsampler.encode`."""
        check_lr(lr)
        return InterpolatedImage(Image.fromarray(to_uint8(lr)), self.kernel)


def _interpolation(name: str, kernel: Image.Resampling, options: Options) -> Interpolation:
    del options  # there is no network to run
    return Interpolation(name, kernel)


nearest = partial(_interpolation, "nearest", Image.Resampling.NEAREST)
bilinear = partial(_interpolation, "bilinear", Image.Resampling.BILINEAR)
bicubic = partial(_interpolation, "bicubic", Image.Resampling.BICUBIC)
lanczos = partial(_interpolation, "lanczos", Image.Resampling.LANCZOS)
