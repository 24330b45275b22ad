"""Voronoi cells: flat patches of colour that meet in straight edges and corners."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.spatial import cKDTree

from liif_bench.scenes.base import Scene
from liif_bench.scenes.pixels import Array, Pixels, half_plane_share, sampled


@dataclass(frozen=True)
class VoronoiCells(Scene):
    """Each point has the colour of the nearest of many sites.

    A pixel that at most two cells can reach is averaged exactly; one at a corner of cells by
    32x32 points, which is within 0.01 (0.001 on average).

    Attributes:
        sites: How many.
        seed: Of places and colours.
    """

    sites: int = 150
    seed: int = 0

    @cached_property
    def _drawn(self) -> tuple[Array, Array]:
        """Places of the sites, `(sites, 2)` as y and x, and their colours, `(sites, 3)`."""
        random = np.random.default_rng(self.seed)
        return random.random((self.sites, 2)), 0.1 + 0.8 * random.random((self.sites, 3))

    @cached_property
    def _tree(self) -> cKDTree:
        return cKDTree(self._drawn[0])

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W, 3)`."""
        places, colours = self._drawn
        grid = np.stack(np.meshgrid(*pixels.centres, indexing="ij"), axis=-1).reshape(-1, 2)
        distances, nearest = self._tree.query(grid, k=3)
        first, second = places[nearest[:, 0]], places[nearest[:, 1]]
        across = first - second
        length = np.linalg.norm(across, axis=1)
        distance = ((grid - (first + second) / 2) * across).sum(axis=1) / length
        normal = (across[:, 0] / length, across[:, 1] / length)
        share = half_plane_share(distance, normal, pixels.pixel)[:, None]
        values = share * colours[nearest[:, 0]] + (1 - share) * colours[nearest[:, 1]]
        # A third cell reaches a pixel only where its site is nearer to the farthest corner.
        corners = np.flatnonzero(distances[:, 2] - distances[:, 0] < math.hypot(*pixels.pixel))
        if len(corners):
            values[corners] = sampled(
                self._at, (grid[corners, 0], grid[corners, 1]), pixels.pixel, (_POINTS, _POINTS)
            )
        averages: Array = values.reshape(*pixels.size, 3)
        return averages

    def _at(self, y: Array, x: Array) -> Array:
        """Return the colours at points."""
        _, nearest = self._tree.query(np.stack([y, x], axis=-1))
        colours: Array = self._drawn[1][nearest]
        return colours


_POINTS = 32
