"""Where the pixels of a rendered window lie in a scene's unit square, and exact pixel averages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from liif_bench.upsamplers.base import FULL, Window

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Pixels:
    """The pixels of a window of the unit square; x runs right, y runs down.

    Attributes:
        size: `(H, W)` in pixels.
        window: The part of the unit square that they tile.
    """

    size: tuple[int, int]
    window: Window = FULL

    @cached_property
    def edges(self) -> tuple[Array, Array]:
        """The edges of the rows, `(H + 1,)`, and of the columns, `(W + 1,)`."""
        steps = (np.arange(count + 1) / count for count in self.size)
        rows, columns = steps
        return (
            self.window.top + rows * (self.window.bottom - self.window.top),
            self.window.left + columns * (self.window.right - self.window.left),
        )

    @property
    def centres(self) -> tuple[Array, Array]:
        """The centres of the rows, `(H,)`, and of the columns, `(W,)`."""
        rows, columns = self.edges
        return (rows[1:] + rows[:-1]) / 2, (columns[1:] + columns[:-1]) / 2

    @property
    def pixel(self) -> tuple[float, float]:
        """Height and width of one pixel."""
        height, width = self.size
        window = self.window
        return (window.bottom - window.top) / height, (window.right - window.left) / width


def half_plane_share(
    distance: Array, normal: tuple[Array, Array], pixel: tuple[float, float]
) -> Array:
    """Share of each pixel that lies on the inner side of a straight line. Exact.

    The distance of a point that is uniform in a rectangle to a line is the sum of two uniform
    variables; this is its distribution function.

    Args:
        distance: From the line to the centre of each pixel, positive inside.
        normal: y and x of the line's unit normal, for each pixel or for all.
        pixel: Height and width of a pixel.

    Returns:
        Numbers in [0, 1], the shape of `distance`.
    """
    spans = (np.abs(normal[0]) * pixel[0], np.abs(normal[1]) * pixel[1])
    long = np.maximum(*spans)
    short = np.maximum(np.minimum(*spans), _LEAST_SPAN * long)  # 0 / 0 where a line has no slope
    ramps = (
        np.maximum(distance + sign * (long + other * short) / 2, 0) ** 2 * other
        for sign in (1, -1)
        for other in (1, -1)
    )
    share: Array = sum(ramps) / (2 * long * short)
    return np.clip(share, 0, 1)


_LEAST_SPAN = 1e-5


def sampled(
    value: Callable[[Array, Array], Array],
    centres: tuple[Array, Array],
    pixel: tuple[float, float],
    points: tuple[int, int],
) -> Array:
    """Average a function over pixels by a regular grid of points in each.

    Args:
        value: Of y and x, arrays of one shape; its answer may have axes behind theirs.
        centres: y and x of the pixels, `(N,)` each.
        pixel: Height and width of a pixel.
        points: Rows and columns of points per pixel.

    Returns:
        `(N, ...)`.
    """
    rows, columns = ((np.arange(count) + 0.5) / count - 0.5 for count in points)
    down, right = (part.ravel() for part in np.meshgrid(rows, columns, indexing="ij"))
    block = max(1, _BLOCK // len(down))
    parts = [
        value(
            centres[0][start : start + block, None] + pixel[0] * down,
            centres[1][start : start + block, None] + pixel[1] * right,
        ).mean(axis=1)
        for start in range(0, len(centres[0]), block)
    ]
    return np.concatenate(parts)


_BLOCK = 1 << 18
"""Points that are evaluated at a time."""
