"""An image that is finished: it has its pixels, and gives any whole part of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import FULL, Window

_PIXEL_TOLERANCE = 1e-6  # what double precision leaves of a whole number of pixels


@dataclass(frozen=True)
class FinishedImage:
    """SR that was made at one size. It is cropped, never resampled.

    Attributes:
        pixels: `(3, H, W)` float32, RGB, [0, 1].
    """

    pixels: Tensor

    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`.

        Raises:
            LiifBenchError: The window is not `size` whole pixels of the image.
        """
        height, width = self.pixels.shape[1:]
        top = _first(height, size[0], window.top, window.bottom)
        left = _first(width, size[1], window.left, window.right)
        if top is None or left is None:
            raise LiifBenchError(
                f"a finished image of {width}x{height} pixels is not resampled: {size[1]}x{size[0]}"
                f" pixels of {tuple(round(edge, 6) for edge in window)} are not whole ones of it"
            )
        return self.pixels[:, top : top + size[0], left : left + size[1]].clone()


def _first(length: int, count: int, start: float, end: float) -> int | None:
    """Return the first of `count` pixels from `start` to `end`; None if that is not a whole part.

    Args:
        length: Pixels of the image along this axis.
        count: Pixels wanted.
        start: First edge, as a fraction of `length`.
        end: Last edge, likewise.
    """
    first = round(start * length)
    whole = (
        abs(start * length - first) <= _PIXEL_TOLERANCE
        and abs(end * length - (first + count)) <= _PIXEL_TOLERANCE
    )
    return first if whole and first >= 0 and first + count <= length and count > 0 else None
