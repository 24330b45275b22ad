"""Style without networks: do spectrum, gradients, grain and edges look like a photograph's?

Each metric looks at luma (`luma`), the whole image, and compares SR with HR; HR itself has 0,
except of `natural-spectrum`, which asks for no HR.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.stats import kurtosis, norm

from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure, both
from liif_bench.metrics.realism import spectra
from liif_bench.metrics.realism.luma import luma
from liif_bench.scenes.pixels import Array

T = TypeVar("T")

LEAST_GRAIN = 1 / (255 * math.sqrt(12))
"""Standard deviation of the rounding to 8 bits: what has less grain counts as having this."""

STRONG_STEP = 0.2
"""Height of the weakest edge beside which ringing is looked for, in luma of [0, 1]."""

MOST_EDGES = 2000

_LAPLACIAN = np.array([[1.0, -2.0, 1.0], [-2.0, 4.0, -2.0], [1.0, -2.0, 1.0]])
_EDGE_SIGMA = 1.0
_ACROSS = 33  # samples of a profile, at most
_ALONG = np.arange(-2, 3)  # pixels along the edge over which a profile is averaged


def gradient_kurtosis(plane: Array) -> float:
    """Kurtosis of the differences between neighbours, horizontal and vertical ones together.

        k = mean((g - mean g)^4) / mean((g - mean g)^2)^2

    3 for Gaussian ones. Natural images have heavy tails, flat parts and rare edges: about 10 to
    20 (Huang and Mumford, CVPR 1999; Ruderman and Bialek, PRL 73, 1994).

    Args:
        plane: Luma, `(H, W)`.

    Returns:
        NaN for an image of one colour, which has none.
    """
    steps = np.concatenate([np.diff(plane, axis=axis).ravel() for axis in (0, 1)])
    if np.ptp(steps) < np.finfo(np.float32).eps:
        return math.nan
    return float(kurtosis(steps, fisher=False))


def kurtosis_error(sr: float, hr: float) -> float:
    """`|log2(k_SR / k_HR)|`.

    Raises:
        NotApplicableError: HR is of one colour.
        LiifBenchError: SR is.
    """
    if math.isnan(hr):
        raise NotApplicableError("HR is of one colour: its gradients have no kurtosis")
    if math.isnan(sr):
        raise LiifBenchError("SR is of one colour: its gradients have no kurtosis")
    return abs(math.log2(sr / hr))


def smooth_parts(hr: Array) -> npt.NDArray[np.bool_]:
    """Return where the gradient (Sobel) is at most its median, `(H, W)`; for `noise`."""
    slope = np.hypot(ndimage.sobel(hr, axis=0), ndimage.sobel(hr, axis=1))
    smooth: npt.NDArray[np.bool_] = slope <= np.median(slope)
    return smooth


def noise(plane: Array, where: npt.NDArray[np.bool_]) -> float:
    """Estimate the standard deviation of noise (Immerkaer, CVIU 64, 1996).

        sqrt(pi / 2) mean|L * x| / 6,  L = [1 -2 1]^T [1 -2 1]

    in the smooth parts only, since edges count as noise otherwise (Tai and Yang, ISCE 2008). `L`
    and Sobel's operator are orthogonal: choosing by the one leaves white noise in the other.

    Args:
        plane: Luma, `(H, W)`.
        where: The smooth parts of HR, for SR as for HR.
    """
    response = np.abs(ndimage.convolve(plane, _LAPLACIAN, mode="mirror"))
    return float(math.sqrt(math.pi / 2) * response[where].mean() / 6)


def grain_error(sr: float, hr: float) -> float:
    """`|log2(max(noise of SR, r) / max(noise of HR, r))|`, `r` the rounding of 8 bits."""
    return abs(math.log2(max(sr, LEAST_GRAIN) / max(hr, LEAST_GRAIN)))


@dataclass(frozen=True)
class Profiles:
    """Where an image is looked at across HR's strong edges.

    Attributes:
        coordinates: Rows and columns, `(2, edges, along, across)`.
        low: Least value of HR's profiles, `(edges,)`.
        high: Greatest value of them.
    """

    coordinates: Array
    low: Array
    high: Array


def across_edges(hr: Array, scale: float) -> Profiles:
    """Lay profiles across the strong edges of HR.

    A strong edge is where the gradient of HR, smoothed with a Gaussian of 1 pixel, is at least that
    beside a step of 0.2 of the range; of more than 2000 such pixels every n-th counts. A profile
    runs along the gradient, 2 LR pixels (at least 4 pixels) to both sides: a step that lost what LR
    cannot hold overshoots most 1 LR pixel away. It is the mean of 5 parallel ones a pixel apart,
    which leaves ringing, being coherent along the edge, and evens noise out. Values between pixels
    are bilinear.

    Args:
        hr: Luma, `(H, W)`.
        scale: HR size / LR size.

    Raises:
        NotApplicableError: HR has no strong edge.
    """
    down, right = (
        ndimage.gaussian_filter(hr, _EDGE_SIGMA, order=order) for order in ((1, 0), (0, 1))
    )
    strength = np.hypot(down, right)
    weakest = STRONG_STEP * norm.pdf(0.5, scale=_EDGE_SIGMA)  # half a pixel beside it
    rows, columns = np.nonzero(strength >= weakest)
    if not len(rows):
        raise NotApplicableError(f"HR has no edge of {STRONG_STEP:g} of the range")
    every = math.ceil(len(rows) / MOST_EDGES)
    rows, columns = rows[::every], columns[::every]
    normal = np.stack([down, right])[:, rows, columns] / strength[rows, columns]
    reach = max(4.0, 2 * scale)
    across = np.linspace(-reach, reach, min(_ACROSS, 2 * math.ceil(reach) + 1))
    tangent = np.stack([-normal[1], normal[0]])
    coordinates = (
        np.stack([rows, columns])[:, :, None, None]
        + normal[:, :, None, None] * across
        + tangent[:, :, None, None] * _ALONG[:, None]
    )
    values = _profiles(hr, coordinates)
    return Profiles(coordinates, values.min(axis=1), values.max(axis=1))


def _profiles(plane: Array, coordinates: Array) -> Array:
    """Return the values of an image along profiles, `(edges, across)`."""
    values = ndimage.map_coordinates(plane, coordinates, order=1, mode="mirror")
    mean: Array = values.mean(axis=1)
    return mean


def ringing(sr: Array, edges: Profiles) -> float:
    """Overshoot beside HR's strong edges, as a share of their height.

        mean over edges of (over + under) / (2 (max HR - min HR)),
        over = max(0, max SR - max HR),  under = max(0, min HR - min SR)

    with maxima and minima along a profile. HR has 0, and so has blur. A step through an ideal
    low-pass has 0.0895 (Gibbs: Si(pi) / pi - 1/2).

    Args:
        sr: Luma, `(H, W)`.
        edges: From `across_edges` of HR.
    """
    values = _profiles(sr, edges.coordinates)
    over = np.maximum(values.max(axis=1) - edges.high, 0)
    under = np.maximum(edges.low - values.min(axis=1), 0)
    return float(((over + under) / 2 / (edges.high - edges.low)).mean())


def _lumas(case: Case, output: Output) -> tuple[Array, Array]:
    return both(case, output, "luma", luma)


def _seen(case: Case, output: Output, key: str, look: Callable[[Array], T]) -> tuple[T, T]:
    """Return what is seen of the lumas of SR and HR, once for all metrics that share the key."""
    sr, hr = _lumas(case, output)
    return output.memo.once(key, lambda: look(sr)), case.memo.once(key, lambda: look(hr))


def _spectra(case: Case, output: Output) -> tuple[spectra.RadialSpectrum, spectra.RadialSpectrum]:
    return _seen(case, output, "style: spectrum", spectra.radial_spectrum)


def _grain(case: Case, output: Output) -> float:
    sr, hr = _lumas(case, output)
    where = case.memo.once("style: smooth parts", lambda: smooth_parts(hr))
    return grain_error(noise(sr, where), case.memo.once("style: noise", lambda: noise(hr, where)))


def _ringing(case: Case, output: Output) -> float:
    sr, hr = _lumas(case, output)
    return ringing(sr, case.memo.once("style: edges", lambda: across_edges(hr, case.scale)))


def _checkerboard(case: Case, output: Output) -> float:
    ours, theirs = _seen(
        case, output, "style: lattices", lambda plane: spectra.lattices(plane, case.scale)
    )
    return spectra.lattice_excess(ours, theirs)


_lower = partial(Measure, higher_is_better=False)

_BAND = "4 cycles per side to 1/2 per pixel, Hann, luma"

spectrum = partial(
    _lower,
    name="spectrum-error",
    says=f"dB, mean |difference| of radial power spectra, {_BAND}",
    measure=lambda case, output, _: spectra.spectrum_error(*_spectra(case, output)),
)
natural = partial(
    _lower,
    name="natural-spectrum",
    says=f"|slope + 2| of the radial power spectrum, no reference, {_BAND}",
    measure=lambda case, output, _: spectra.natural_error(_spectra(case, output)[0]),
)
tails = partial(
    _lower,
    name="gradient-kurtosis",
    says="|log2 ratio to HR|, differences of neighbours, luma",
    measure=lambda case, output, _: kurtosis_error(
        *_seen(case, output, "style: kurtosis", gradient_kurtosis)
    ),
)
grain = partial(
    _lower,
    name="grain",
    says="|log2 ratio to HR| of Immerkaer's noise, HR's smooth half, above 8-bit rounding, luma",
    measure=lambda case, output, _: _grain(case, output),
)
overshoot = partial(
    _lower,
    name="ringing",
    says="overshoot / height of HR's edges above 0.2, within 2 LR pixels, luma",
    measure=lambda case, output, _: _ringing(case, output),
)
lattice = partial(
    _lower,
    name="checkerboard",
    says="dB, excess over HR at periods 2, 4 and the scale, tiles of 64 or 8 periods, luma",
    measure=lambda case, output, _: _checkerboard(case, output),
)
