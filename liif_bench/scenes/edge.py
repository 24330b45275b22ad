"""Slanted edge: a straight step, as ISO 12233 photographs it to measure resolution."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from liif_bench.scenes.base import Scene
from liif_bench.scenes.pixels import Array, Pixels, half_plane_share


@dataclass(frozen=True)
class SlantedEdge(Scene):
    """A straight edge through the centre. Exact at any size.

    Attributes:
        degrees: Angle between the edge and the nearest axis.
        dark: Value left of the edge, or above it.
        bright: Value on the other side.
        upright: Whether the nearest axis is the vertical one.
    """

    degrees: float = 5.0
    dark: float = 0.2
    bright: float = 0.8
    upright: bool = True

    @property
    def normal(self) -> tuple[float, float]:
        """The y and x of the unit vector from dark to bright, across the edge."""
        small, large = math.sin(math.radians(self.degrees)), math.cos(math.radians(self.degrees))
        return (small, large) if self.upright else (large, small)

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W)`; see `half_plane_share`."""
        rows, columns = pixels.centres
        down, right = self.normal
        distance = down * (rows[:, None] - 0.5) + right * (columns[None] - 0.5)
        share = half_plane_share(distance, (np.array(down), np.array(right)), pixels.pixel)
        return self.dark + (self.bright - self.dark) * share

    def mtf(self, frequency: float) -> float:
        """Return the modulation transfer of the pixel's area, across the edge.

        A pixel averages over a square; its Fourier transform along the edge's normal is a product
        of two sinc functions.

        Args:
            frequency: In cycles per pixel.
        """
        down, right = self.normal
        return abs(float(np.sinc(frequency * down) * np.sinc(frequency * right)))
