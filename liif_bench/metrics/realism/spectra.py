"""What the power spectrum shows of style: its fall, its distance from HR's, periodic patterns.

All of it on luma, without networks, and without torch, so that figures of crops use it too. Powers
have a floor, the rounding noise of 8 bits: below it nothing is compared that an image file would
show.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt

from liif_bench.errors import LiifBenchError

Array = npt.NDArray[np.float64]

Bins = npt.NDArray[np.int_]
"""Indices of frequencies."""

ROUNDING = 1 / (12 * 255**2)
"""Power of the rounding to 8 bits, that of white noise of its variance (luma in [0, 1])."""

HALF_STEP = 0.5 / 255

NATURAL_SLOPE = -2.0
BANDS_PER_OCTAVE = 4

_FIRST_CYCLES = 4  # per shorter side: Hann's main lobe keeps the mean and slow shading below 2
_SMALLEST = 32  # pixels, so that the band spans two octaves at least
_TILE = 64  # pixels, at least
_PITCHES = 8  # periods that a tile holds at least, so that harmonics lie 8 bins apart
_NEIGHBOURS = (3, 4)  # bins away from a harmonic, beyond Hann's main lobe and short of the next


@dataclass(frozen=True)
class RadialSpectrum:
    """Power against spatial frequency, averaged over directions.

    Attributes:
        frequencies: Geometric mean of each band in cycles per pixel, `(bands,)`, ascending.
        powers: Mean power of each band, `(bands,)`; white noise of variance `v` has `v` in each.
    """

    frequencies: Array
    powers: Array

    @property
    def slope(self) -> float:
        """Exponent of the power law: the slope of a line through the first octave.

            sum(x y) / sum(x^2),  x = log2(f / f_1),  y = log2((P + q) / (P_1 + q))

        least squares over the bands above the first octave, whose mean logarithms are those of
        `f_1` and `P_1`; `q` is the rounding noise. Holding the line there makes what a blur takes
        from any band steepen it, where a free line turns flat as bands sink below `q`.
        """
        octaves, powers = np.log2(self.frequencies), np.log2(self.powers + ROUNDING)
        x = octaves[BANDS_PER_OCTAVE:] - octaves[:BANDS_PER_OCTAVE].mean()
        y = powers[BANDS_PER_OCTAVE:] - powers[:BANDS_PER_OCTAVE].mean()
        return float((x * y).sum() / (x**2).sum())


def radial_spectrum(plane: Array) -> RadialSpectrum:
    """Estimate a power spectrum in bands of a quarter of an octave.

        P(u, v) = |DFT[w (x - m)]|^2 / sum(w^2)

    with `w` the product of two periodic Hann windows and `m` the mean of `x` under `w` (Welch 1967,
    on one segment), averaged over all `(u, v)` of a band of `sqrt(u^2 + v^2)`. The bands divide
    the way from 4 cycles per shorter side up to 1/2 cycle per pixel evenly on a log scale.

    Args:
        plane: Luma, `(H, W)`.

    Raises:
        LiifBenchError: A side is shorter than 32 pixels.
    """
    height, width = plane.shape
    shorter = min(height, width)
    if shorter < _SMALLEST:
        raise LiifBenchError(
            f"{width}x{height} pixels are too small for a spectrum; it needs {_SMALLEST} on each"
            " side"
        )
    window = np.outer(_hann(height), _hann(width))
    centred = plane - (window * plane).sum() / window.sum()
    power = np.abs(np.fft.fft2(window * centred)) ** 2 / (window**2).sum()
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    lowest = _FIRST_CYCLES / shorter
    bands = round(BANDS_PER_OCTAVE * np.log2(0.5 / lowest))
    inside = (frequency >= lowest) & (frequency <= 0.5)
    octaves = np.log2(frequency[inside])
    place = (octaves - np.log2(lowest)) / np.log2(0.5 / lowest) * bands
    band = np.minimum(place.astype(int), bands - 1)
    count = np.bincount(band, minlength=bands)

    def mean(values: Array) -> Array:
        return np.bincount(band, weights=values, minlength=bands) / count

    return RadialSpectrum(2 ** mean(octaves), mean(power[inside]))


def spectrum_error(sr: RadialSpectrum, hr: RadialSpectrum) -> float:
    """Mean over bands of `|10 log10((P_SR + q) / (P_HR + q))|`, in dB, `q` the rounding noise."""
    ratios = (sr.powers + ROUNDING) / (hr.powers + ROUNDING)
    return float(np.abs(10 * np.log10(ratios)).mean())


def natural_error(spectrum: RadialSpectrum) -> float:
    """`|slope + 2|`, the distance from the law of natural images.

    Their amplitude falls as 1 / f, their power as 1 / f^2 (Field, JOSA A 4, 1987; Ruderman and
    Bialek, PRL 73, 1994, find an exponent of 1.81 in their scenes). Single photographs stray from
    it, so HR's own value is not 0.
    """
    return abs(spectrum.slope - NATURAL_SLOPE)


def lattice_prominence(plane: Array, period: float) -> float | None:
    """How far the power at a lattice's frequencies stands out of what surrounds it.

    The power spectrum is the mean over tiles of the Hann-windowed periodogram (Welch 1967; tiles
    overlap by half, and hold at least 8 periods and 64 pixels). At each of the frequencies
    `(i / p, j / p)`, i and j in -1, 0, 1 and not both 0,

        r = (P + h) / (mean of P over the ring of bins 3 to 4 away + h)

    with `h` the power there of a wave of half an 8-bit step, the weakest that rounding need not
    take away. An interpolation whose weights add to 1 everywhere leaves no power there in flat
    parts; one whose weights do not, such as a transposed convolution, turns them into a pattern of
    that period (Odena et al., Distill 2016).

    Args:
        plane: Luma, `(H, W)`.
        period: `p` in pixels, 2 or more.

    Returns:
        `10 log10` of the mean of `r`, at least 0 dB. None where no tile fits into the image.
    """
    periods = max(_PITCHES, math.ceil(_TILE / period))
    side = round(periods * period)
    if side > min(plane.shape):
        return None
    power = _tiled_power(plane, side)
    rows, columns = _harmonics(periods, side)
    down, right = _ring()
    around = power[(rows[:, None] + down) % side, (columns[:, None] + right) % side]
    half_step = HALF_STEP**2 * wave_gain(side)
    ratios = (power[rows, columns] + half_step) / (around.mean(axis=1) + half_step)
    return max(0.0, float(10 * np.log10(ratios.mean())))


def wave_gain(side: int) -> float:
    """Return `sum(w)^2 / sum(w^2)`: what a wave of amplitude 1 has at its frequency in a tile.

    That of the complex wave, and of the real one at half a cycle per pixel.

    Args:
        side: Of the tile, in pixels.
    """
    hann = _hann(side)
    return float((hann.sum() ** 2 / (hann**2).sum()) ** 2)


def _tiled_power(plane: Array, side: int) -> Array:
    """Return the mean periodogram of half-overlapping tiles, `(side, side)`; white noise: `v`."""
    window = np.outer(_hann(side), _hann(side))
    hop = side // 2
    tiles = np.lib.stride_tricks.sliding_window_view(plane, (side, side))[::hop, ::hop]
    total = np.zeros((side, side))
    for row in tiles:  # of tiles, so that memory stays small
        means = (row * window).sum(axis=(1, 2), keepdims=True) / window.sum()
        total += (np.abs(np.fft.fft2(window * (row - means))) ** 2).sum(axis=0)
    power: Array = total / (tiles.shape[0] * tiles.shape[1] * (window**2).sum())
    return power


def _harmonics(periods: int, side: int) -> tuple[Bins, Bins]:
    """Return rows and columns of the first harmonics in half the plane; the other repeats it."""
    steps = np.array([(0, 1), (1, -1), (1, 0), (1, 1)]) * periods % side
    rows, columns = np.unique(steps, axis=0).T  # at period 2, (1, -1) is (1, 1)
    return rows, columns


@cache
def _ring() -> tuple[Bins, Bins]:
    inner, outer = _NEIGHBOURS
    rows, columns = np.mgrid[-outer : outer + 1, -outer : outer + 1]
    far = np.maximum(abs(rows), abs(columns)) >= inner
    return rows[far], columns[far]


@cache
def _hann(length: int) -> Array:
    return np.hanning(length + 1)[:-1]  # periodic


def lattices(plane: Array, scale: float) -> dict[float, float]:
    """Return the prominence of the lattices that an enlargement may leave, by period.

    2 and 4 are the periods of the upsampling layers of networks, the scale that of LR's pixels; it
    counts from 2 on, and where 8 pixels of LR fit into the image. See `lattice_prominence`.

    Args:
        plane: Luma, `(H, W)`.
        scale: HR size / LR size.

    Raises:
        LiifBenchError: A side is shorter than 64 pixels.
    """
    height, width = plane.shape
    if min(height, width) < _TILE:
        raise LiifBenchError(
            f"{width}x{height} pixels are too small to find a lattice; it needs {_TILE} on each"
            " side"
        )
    periods = sorted({2.0, 4.0, max(2.0, scale)})
    found = {period: lattice_prominence(plane, period) for period in periods}
    return {period: value for period, value in found.items() if value is not None}


def lattice_excess(sr: dict[float, float], hr: dict[float, float]) -> float:
    """`max over periods of max(0, prominence of SR - prominence of HR)`, in dB: see `lattices`."""
    return max(max(0.0, ours - hr[period]) for period, ours in sr.items())
