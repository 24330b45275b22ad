"""Legibility without a reader: is every letter still most like itself?"""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import numpy.typing as npt

from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure
from liif_bench.metrics.scenes import grey, shown, tiles
from liif_bench.scenes.pixels import Array, Pixels
from liif_bench.scenes.text import Text, alphabet
from liif_bench.upsamplers.base import pixel_window

_FLAT = 1e-3  # standard deviation below which a cell shows nothing


def match_margins(cells: Array, templates: Array, right: npt.NDArray[np.intp]) -> Array:
    """By how much each cell is more like the right template than like the best wrong one.

    Likeness is the normalised cross-correlation (zero mean, unit norm), in place: a glyph that SR
    moves is less like itself.

    Args:
        cells: `(N, pixels)`.
        templates: `(glyphs, pixels)`.
        right: Index of the right template of each cell, `(N,)`.

    Returns:
        `(N,)`, in [-2, 2]; 0 for a cell that shows nothing.
    """
    likeness = _normalised(cells) @ _normalised(templates).T
    mine = np.take_along_axis(likeness, right[:, None], axis=1)[:, 0]
    np.put_along_axis(likeness, right[:, None], -np.inf, axis=1)
    margins: Array = mine - likeness.max(axis=1)
    return margins


def _normalised(patches: Array) -> Array:
    centred = patches - patches.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    norm = np.where(spread > _FLAT, spread * np.sqrt(patches.shape[1]), np.inf)
    unit: Array = centred / norm
    return unit


@cache
def _templates(text: Text, side: int, cell: int) -> Array:
    """Return every glyph as it stands in the first cell of a text.

    Args:
        text: The text.
        side: Width of the text in pixels.
        cell: Width of a cell in pixels.

    Returns:
        `(glyphs, cell * cell)`.
    """
    pixels = Pixels((cell, cell), pixel_window((side, side), 0, 0, cell, cell))
    return np.stack([text.all_of(glyph).averages(pixels).ravel() for glyph in alphabet()])


def _margins(case: Case, output: Output) -> Array:
    """By how much each glyph of a text is most like itself; see `match_margins`."""
    seen = shown(case, Text, "text")
    cell, rest = divmod(seen.side, seen.scene.cells)
    rows, columns = (length // cell for length in case.size)
    if rest or not rows or not columns:
        raise NotApplicableError("no glyph of this text covers whole pixels of HR")

    def match() -> Array:
        right = seen.scene.glyphs[:rows, :columns].ravel()
        templates = _templates(seen.scene, seen.side, cell)
        return match_margins(tiles(grey(output.sr), cell), templates, right)

    return output.memo.once("glyph margins", match)


_METHOD = "correlation with clean A-Z, 0-9 at the size of HR, in place, grey"

share = partial(
    Measure,
    name="legibility",
    says=_METHOD,
    measure=lambda case, output, _: float((_margins(case, output) > 0).mean()),
)
margin = partial(
    Measure,
    name="legibility-margin",
    says=_METHOD,
    measure=lambda case, output, _: float(_margins(case, output).mean()),
)
