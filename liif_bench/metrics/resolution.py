"""MTF50: how much of the enlargement is resolution, from a slanted edge (after ISO 12233).

The edge is found in every row, its places are fitted by a line, and all pixels are gathered by
their distance to it in bins of a quarter of a pixel: a profile of the edge that is sampled four
times finer than the image. The spectrum of its derivative is the modulation transfer function.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from scipy.stats import theilslopes

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure
from liif_bench.metrics.scenes import grey, shown
from liif_bench.scenes.edge import SlantedEdge
from liif_bench.scenes.pixels import Array

OVERSAMPLING = 4
_LEAST_STEP = 0.02  # of an edge that counts as one, of a range of 1
_SPECTRUM = 1 << 14
_HIGHEST = 1.0  # cycles per pixel; nothing that pixels hold is finer


def edge_line(image: Array) -> tuple[float, float]:
    """Find an edge that runs from top to bottom, dark on its left.

    The place in each row is the centroid of the row's derivative under a Hann window, which is
    centred on the image at first and then on the line that was found; the line is Theil's and
    Sen's, the median of the slopes of all pairs of rows, which a few wrong rows do not move.

    Args:
        image: `(H, W)`.

    Returns:
        The edge's column at the middle of row 0, and the columns that it moves per row; column 0
        is the middle of the first pixel.

    Raises:
        LiifBenchError: Fewer than half of the rows hold an edge.
    """
    height, width = image.shape
    rows, columns = np.arange(height), np.arange(width - 1) + 0.5
    steps = np.diff(image, axis=1)
    place, slope = (width - 1) / 2, 0.0
    for _ in range(_FITS):
        middle = (place + slope * rows)[:, None]
        reach = np.minimum(middle, width - 1 - middle)
        if reach.min() < 1:
            raise LiifBenchError("the edge that SR shows leaves the image")
        weighed = steps * _hann((columns - middle) / reach)
        total = weighed.sum(axis=1)
        seen = total > _LEAST_STEP
        if seen.sum() < max(2, height / 2):
            raise LiifBenchError("SR shows no edge in at least half of its rows")
        found = (weighed[seen] @ columns) / total[seen]
        slope, place, *_ = map(float, theilslopes(found, rows[seen]))
    return place, slope


_FITS = 3


def _hann(place: Array) -> Array:
    """Hann's window from -1 to 1, and 0 beyond."""
    window: Array = np.where(np.abs(place) < 1, np.cos(math.pi / 2 * place) ** 2, 0)
    return window


def edge_mtf(image: Array) -> tuple[Array, Array]:
    """Modulation transfer across an edge that runs from top to bottom, dark on its left.

    Args:
        image: `(H, W)`, linear; the edge is a few degrees off the columns.

    Returns:
        Frequencies in cycles per pixel from 0 to 1, and the transfer, 1 at frequency 0. What the
        bins average and what their difference does are divided out.

    Raises:
        LiifBenchError: No edge, or one that leaves too little image beside it.
    """
    height, width = image.shape
    place, slope = edge_line(image)
    across = 1 / math.hypot(1, slope)
    ends = (place, place + slope * (height - 1))
    reach = math.floor(min(*ends, *(width - 1 - end for end in ends)) * across) - 1
    if reach < 2:
        raise LiifBenchError("the edge that SR shows is too near to the border of the image")
    rows, columns = np.arange(height)[:, None], np.arange(width)[None]
    distance: Array = (columns - place - slope * rows) * across
    inside = np.abs(distance) < reach
    bins = np.floor(distance[inside] * OVERSAMPLING).astype(np.intp) + reach * OVERSAMPLING
    counts = np.bincount(bins, minlength=2 * reach * OVERSAMPLING)
    if not counts.all():
        raise LiifBenchError("too few rows, or too straight an edge, for a profile of the edge")
    profile: Array = np.bincount(bins, image[inside]) / counts
    spread = np.diff(profile)
    offsets = (np.arange(len(spread)) + 1) / OVERSAMPLING - reach
    spectrum = np.abs(np.fft.rfft(spread * _hann(offsets / reach), _SPECTRUM))
    frequency: Array = np.linspace(0, OVERSAMPLING / 2, len(spectrum))
    blur: Array = np.sinc(frequency / OVERSAMPLING) ** 2
    kept = frequency <= _HIGHEST
    if spectrum[0] < _LEAST_STEP:
        raise LiifBenchError("SR shows no edge")
    transfer: Array = spectrum / spectrum[0] / blur
    return frequency[kept], transfer[kept]


def mtf50(image: Array) -> float:
    """Lowest frequency at which half of the contrast is left, between two samples linearly.

    Args:
        image: As in `edge_mtf`.

    Returns:
        Cycles per pixel.

    Raises:
        LiifBenchError: As `edge_mtf`; more than half is left at every frequency.
    """
    frequency, transfer = edge_mtf(image)
    below = np.flatnonzero(transfer < 0.5)
    if not len(below):
        raise LiifBenchError(f"more than half of the contrast is left up to {_HIGHEST:g} per pixel")
    last = below[0] - 1
    share = (transfer[last] - 0.5) / (transfer[last] - transfer[last + 1])
    return float(frequency[last] + share * (frequency[last + 1] - frequency[last]))


def _measured(case: Case, output: Output) -> float:
    """MTF50 of SR in cycles per HR pixel, without a border of one LR pixel."""
    edge = shown(case, SlantedEdge, "slanted edges").scene
    border = math.ceil(case.scale)

    def measure() -> float:
        image = grey(output.sr)[border:-border, border:-border]
        return mtf50(image if edge.upright else image.T)

    return output.memo.once("mtf50", measure)


_METHOD = f"slanted edge, x{OVERSAMPLING} oversampled, Theil-Sen line, Hann, shave s, grey"

per_hr_pixel = partial(
    Measure,
    name="mtf50",
    says=f"cycles per HR pixel, {_METHOD}",
    measure=lambda case, output, _: _measured(case, output),
)

# What the enlargement resolves of what LR was made of. It grows with the scale as long as finer
# rendering shows more, and is 0.5 where SR resolves just what LR's pixels can hold.
per_lr_pixel = partial(
    Measure,
    name="mtf50-lr",
    says=f"cycles per LR pixel, {_METHOD}",
    measure=lambda case, output, _: _measured(case, output) * case.scale,
)
