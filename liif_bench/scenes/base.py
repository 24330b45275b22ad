"""What a scene is: a ContinuousImage whose every pixel is an area average that is known."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
import torch
from torch import Tensor

from liif_bench.scenes.pixels import Array, Pixels
from liif_bench.upsamplers.base import FULL, Window


class Scene(ABC):
    """An image given by formulas over the unit square.

    A pixel's value is the average of the scene over the pixel's area, as an ideal sensor's.
    """

    @abstractmethod
    def averages(self, pixels: Pixels) -> Array:
        """Return the area average of the scene over each pixel.

        Returns:
            `(H, W)` or `(H, W, 3)`, in [0, 1].
        """

    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window.

        Args:
            size: `(H, W)` of the result in pixels.
            window: The part to render.

        Returns:
            `(3, H, W)` float32, RGB, in [0, 1].
        """
        values = self.averages(Pixels(size, window))
        planes = np.broadcast_to(values[None], (3, *size)) if values.ndim == 2 else values
        planes = planes if values.ndim == 2 else np.moveaxis(planes, 2, 0)
        return torch.from_numpy(np.ascontiguousarray(planes)).float().clamp_(0, 1)
