"""Scenes made of waves: zone plate, Siemens star, and a texture with photographs' spectrum."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.special import fresnel

from liif_bench.scenes.base import Scene
from liif_bench.scenes.pixels import Array, Pixels

Complex = npt.NDArray[np.complex128]


class Waves(Scene):
    """A scene that has one frequency at each place, around a mean of 0.5."""

    @abstractmethod
    def frequency(self, pixels: Pixels) -> Array:
        """Return the local frequency at each pixel's centre in cycles per side, `(H, W)`.

        It is 0 where there are no waves.
        """


@dataclass(frozen=True)
class ZonePlate(Waves):
    """Rings that grow finer outwards: `0.5 + contrast / 2 * cos(pi * rate * r ** 2)`.

    Exact at any size: the average over a pixel is a product of Fresnel integrals of x and of y.

    Attributes:
        rate: The frequency at a distance r from the centre is `rate * r` cycles per side.
        contrast: Brightest minus darkest.
    """

    rate: float = 320.0
    contrast: float = 0.8

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W)`."""
        down, right = (self._mean_chirp(edges) for edges in pixels.edges)
        wave: Array = np.outer(down, right).real
        return 0.5 + self.contrast / 2 * wave

    def _mean_chirp(self, edges: Array) -> Complex:
        """Mean of `exp(i pi rate x ** 2)` between neighbouring edges, x from the centre."""
        stretch = math.sqrt(2 * self.rate)
        sine, cosine = fresnel((edges - 0.5) * stretch)
        mean: Complex = np.diff(cosine + 1j * sine) / (np.diff(edges) * stretch)
        return mean

    def frequency(self, pixels: Pixels) -> Array:
        """Return the local frequency; see `Waves`."""
        rows, columns = pixels.centres
        distance: Array = np.hypot(rows[:, None] - 0.5, columns[None] - 0.5)
        return self.rate * distance


@dataclass(frozen=True)
class SiemensStar(Waves):
    """Spokes of a sine, finer towards the centre: `0.5 + contrast / 2 * cos(spokes * angle)`.

    The contrast rises from 0 over a soft rim at either end, so that nothing is finer than the
    spokes. Averages are by Gauss-Legendre quadrature, within 1e-5.

    Attributes:
        spokes: Cycles of one turn; the frequency at a distance r is `spokes / (2 pi r)` per side.
        contrast: Brightest minus darkest.
        inner: Distance from the centre at which the spokes begin.
        outer: Distance at which they end.
        rim: Width over which they fade at both ends.
    """

    spokes: int = 72
    contrast: float = 0.8
    inner: float = 0.06
    outer: float = 0.48
    rim: float = 0.02

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W)`."""
        axes = [
            _nodes(edges, max(1, math.ceil(side / _FINEST_SPAN - 1e-9)))
            for edges, side in zip(pixels.edges, pixels.pixel, strict=True)
        ]
        (rows, row_weights), (columns, column_weights) = axes
        return np.stack(
            [
                row_weights @ (self._at(row[:, None, None], columns[None]) @ column_weights)
                for row in rows
            ]
        )

    def _at(self, y: Array, x: Array) -> Array:
        """Return the star at points."""
        down, right = y - 0.5, x - 0.5
        distance = np.hypot(down, right)
        fade = np.clip((distance - self.inner) / self.rim, 0, 1) * np.clip(
            (self.outer - distance) / self.rim, 0, 1
        )
        amplitude = self.contrast / 2 * fade**2 * (3 - 2 * fade)
        wave: Array = 0.5 + amplitude * np.cos(self.spokes * np.arctan2(down, right))
        return wave

    def frequency(self, pixels: Pixels) -> Array:
        """Return the local frequency; see `Waves`."""
        rows, columns = pixels.centres
        distance: Array = np.hypot(rows[:, None] - 0.5, columns[None] - 0.5)
        seen = (distance > self.inner) & (distance < self.outer)
        return np.where(seen, self.spokes / (2 * math.pi * np.maximum(distance, self.inner)), 0)


_NODES = 6
_FINEST_SPAN = 1 / 480
"""Widest span, in sides, over which `_NODES` nodes stand for an integral."""


def _nodes(edges: Array, parts: int) -> tuple[Array, Array]:
    """Nodes of each pixel along an axis, `(N, parts * _NODES)`, and their weights, of sum 1."""
    places, weights = np.polynomial.legendre.leggauss(_NODES)
    inside = ((np.arange(parts)[:, None] + (places + 1) / 2) / parts).ravel()
    return edges[:-1, None] + np.diff(edges)[:, None] * inside, np.tile(weights / 2 / parts, parts)


@dataclass(frozen=True)
class Texture(Scene):
    """Band-limited noise whose amplitude falls as 1 / f, as photographs' does (Field 1987).

    A sum of plane waves of equal amplitude whose frequencies are uniform on a logarithmic scale, so
    that every octave has the same power. Exact at any size: a pixel averages a plane wave by two
    sinc factors.

    Attributes:
        waves: How many.
        lowest: Lowest frequency in cycles per side.
        highest: Highest frequency in cycles per side.
        deviation: Standard deviation of the whole.
        seed: Of directions, frequencies and phases.
    """

    waves: int = 1200
    lowest: float = 2.0
    highest: float = 216.0
    deviation: float = 0.1
    seed: int = 0

    @cached_property
    def _parts(self) -> tuple[Array, Array, Array]:
        """Vertical and horizontal frequency in cycles per side, and phase, of every wave."""
        random = np.random.default_rng(self.seed)
        octaves = math.log(self.highest / self.lowest)
        frequency = self.lowest * np.exp(octaves * random.random(self.waves))
        direction, phase = 2 * math.pi * random.random((2, self.waves))
        return frequency * np.sin(direction), frequency * np.cos(direction), phase

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W)`."""
        down, right, phase = self._parts
        (rows, columns), (height, width) = pixels.centres, pixels.pixel
        gain = np.sinc(down * height) * np.sinc(right * width) * np.exp(1j * phase)
        turned_down = np.exp(2j * math.pi * np.outer(rows, down)) * gain
        turned_right = np.exp(2j * math.pi * np.outer(right, columns))
        waves: Array = (turned_down @ turned_right).real
        return 0.5 + self.deviation * math.sqrt(2 / self.waves) * waves
