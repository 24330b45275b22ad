"""Aliasing: what SR shows where the truth is finer than LR can hold, and is not the truth."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
import numpy.typing as npt

from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure
from liif_bench.metrics.scenes import grey, shown, tiles
from liif_bench.scenes.pixels import Array
from liif_bench.scenes.waves import Waves

_GREY = 0.5  # the mean of both scenes
_LEAST_TILE = 4


def false_energy(sr: Array, truth: Array, region: npt.NDArray[np.bool_], tile: int) -> float:
    """Energy of SR that the truth does not explain, of the energy of the truth.

    In each square tile SR is explained by the truth times one gain of at least 0, the best in the
    sense of least squares: losing contrast is no aliasing, showing it reversed is.

    Args:
        sr: `(H, W)`, its mean value taken off.
        truth: `(H, W)`, its mean value taken off.
        region: `(H, W)`, true where it counts; tiles count that lie in it as a whole.
        tile: Side of a tile in pixels; what is left over below and on the right does not count.

    Returns:
        0 where SR is the truth or flat; about 1 where it shows something else at full contrast.

    Raises:
        NotApplicableError: No tile lies in the region.
    """
    counted = tiles(region, tile).all(axis=1)
    if not counted.any():
        raise NotApplicableError("no part of the scene is finer than LR can hold")
    shown_tiles, true_tiles = tiles(sr, tile)[counted], tiles(truth, tile)[counted]
    energy = (true_tiles**2).sum(axis=1)
    gain = np.maximum((shown_tiles * true_tiles).sum(axis=1) / np.maximum(energy, 1e-12), 0)
    rest = shown_tiles - gain[:, None] * true_tiles
    return float((rest**2).sum() / energy.sum())


def _measured(case: Case, output: Output) -> float:
    """False energy of SR; the truth is HR, tiles are as wide as the finest period of LR."""
    seen = shown(
        case,
        Waves,  # type: ignore[type-abstract] # it is only asked for, never made
        "zone plates and Siemens stars",
    )
    tile = max(_LEAST_TILE, math.ceil(2 * case.scale))
    region = seen.scene.frequency(seen.pixels) > seen.side / (2 * case.scale)
    return false_energy(grey(output.sr) - _GREY, grey(case.hr) - _GREY, region, tile)


aliasing = partial(
    Measure,
    name="aliasing",
    says="false energy / HR's energy, above 1 / (2 s) cycles per pixel, tiles of 2 s, grey",
    measure=lambda case, output, _: _measured(case, output),
    higher_is_better=False,
)
