"""Text: letters and digits, one in each cell of a square grid, drawn with a round pen."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from liif_bench.scenes.base import Scene
from liif_bench.scenes.pixels import Array, Pixels, sampled
from liif_bench.shipped import read_toml


@dataclass(frozen=True)
class Text(Scene):
    """A page of glyphs in random order, dark on bright.

    Coverage is exact inside and outside the strokes; a pixel at an edge is averaged by 8x8 points,
    each a linear ramp as wide as itself, within 0.02 (0.002 on average).

    Attributes:
        cells: Glyphs in a row, and rows.
        dark: Value of the strokes.
        bright: Value of the page.
        seed: Of the order of the glyphs.
        written: What stands in every cell instead of a random glyph; "" for those.
    """

    cells: int = 10
    dark: float = 0.1
    bright: float = 0.9
    seed: int = 0
    written: str = ""

    @cached_property
    def glyphs(self) -> npt.NDArray[np.intp]:
        """Which glyph of `alphabet` stands in each cell, `(cells, cells)`."""
        if self.written:
            return np.full((self.cells, self.cells), alphabet().index(self.written), dtype=np.intp)
        random = np.random.default_rng(self.seed)
        count = self.cells**2
        rounds = math.ceil(count / len(alphabet()))  # each glyph as often as any other, but for one
        drawn = np.concatenate([random.permutation(len(alphabet())) for _ in range(rounds)])
        return drawn[:count].reshape(self.cells, self.cells)

    def all_of(self, glyph: str) -> Text:
        """Return the same page with one glyph in every cell."""
        return replace(self, written=glyph)

    def averages(self, pixels: Pixels) -> Array:
        """Return the area averages, `(H, W)`."""
        y, x = (part.ravel() for part in np.meshgrid(*pixels.centres, indexing="ij"))
        share = np.zeros(y.size)
        reach = math.hypot(*pixels.pixel) / 2
        if reach < _MARGIN / self.cells:  # no pixel sees the glyphs of two cells
            outside = sampled(self._outside, (y, x), (0, 0), (1, 1))
            share[outside <= -reach] = 1
            mixed = np.flatnonzero(np.abs(outside) < reach)
        else:
            mixed = np.arange(y.size)
        if len(mixed):
            share[mixed] = self._sampled_share(y[mixed], x[mixed], pixels.pixel)
        return (self.bright + (self.dark - self.bright) * share).reshape(pixels.size)

    def _sampled_share(self, y: Array, x: Array, pixel: tuple[float, float]) -> Array:
        points = [max(_POINTS, math.ceil(side * self.cells * _FINEST)) for side in pixel]
        width = max(side / count for side, count in zip(pixel, points, strict=True))

        def ink(at_y: Array, at_x: Array) -> Array:
            return np.clip(0.5 - self._outside(at_y, at_x) / width, 0, 1)

        return sampled(ink, (y, x), pixel, (points[0], points[1]))

    def _outside(self, y: Array, x: Array) -> Array:
        """Distance of points to the ink of their cell, in sides; negative inside."""
        rows, columns = (
            np.clip((place * self.cells).astype(np.intp), 0, self.cells - 1) for place in (y, x)
        )
        glyph = self.glyphs[rows, columns]
        inside_y, inside_x = y * self.cells - rows, x * self.cells - columns
        strokes = _segments()
        nearest = np.full(y.shape, np.inf)
        for number in range(strokes.shape[1]):
            y0, x0, along_y, along_x = (strokes[glyph, number, part] for part in range(4))
            from_y, from_x = inside_y - y0, inside_x - x0
            squared = along_y**2 + along_x**2
            step = (from_y * along_y + from_x * along_x) / np.maximum(squared, 1e-12)
            step = np.clip(step, 0, 1)
            off_y, off_x = from_y - step * along_y, from_x - step * along_x
            nearest = np.minimum(nearest, off_y**2 + off_x**2)
        distance: Array = (np.sqrt(nearest) - _PEN / 2) / self.cells
        return distance


_POINTS = 8
_FINEST = 32
"""Points per side of a cell, at least, where a pixel is coarse."""
_HEIGHT = 0.62
"""Of a glyph, in cells, between the middles of its strokes."""
_PEN = 0.1
"""Width of the strokes in cells."""
_MARGIN = (1 - _HEIGHT * 6.2 / 6 - _PEN) / 2
"""Between the ink of a cell and its border, at least, in cells."""


@cache
def alphabet() -> tuple[str, ...]:
    """Return the glyphs that there are: A to Z and 0 to 9."""
    return tuple(read_toml(Path(__file__).with_name("glyphs.toml")))


@cache
def _segments() -> Array:
    """Return every glyph's straight pieces, `(glyphs, pieces, 4)`: y, x and the way to the end.

    In cells. Glyphs of fewer pieces repeat their last.
    """
    listing = read_toml(Path(__file__).with_name("glyphs.toml"))
    glyphs = []
    for strokes in listing.values():
        pieces = []
        for stroke in strokes:
            corners = [_placed(corner) for corner in stroke.split()]
            pieces += [(y0, x0, y1 - y0, x1 - x0) for (y0, x0), (y1, x1) in pairwise(corners)]
        glyphs.append(pieces)
    most = max(map(len, glyphs))
    return np.array([pieces + [pieces[-1]] * (most - len(pieces)) for pieces in glyphs])


def _placed(corner: str) -> tuple[float, float]:
    """Return y and x in the cell of a corner "x,y" of the 4x6 grid."""
    x, y = map(float, corner.split(","))
    return 0.5 + _HEIGHT * (y - 3) / 6, 0.5 + _HEIGHT * (x - 2) / 6
