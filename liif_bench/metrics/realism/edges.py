"""Where an image has edges, how far two sets of edges agree, and how sharp an edge is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.feature import canny

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SIGMA = 1.0  # of the Gaussian before Canny's gradients, in pixels
TOLERANCE = 1.0  # how far apart two edges may be that are one, in pixels: the four neighbours
_WEAK = 0.4  # of the root mean square gradient, above which edges begin: where they still go on

_MOST_PROFILES = 4096
_LEAST_REACH = 16
_STEP = 0.5  # pixels between two samples of a profile
_RISE = 1e-6  # of the gradient, from one sample to the next: less is rounding of float32


@dataclass(frozen=True)
class Reference:
    """The edges of HR.

    Attributes:
        thresholds: Canny's weak and strong one, in units of the gradient.
        edges: `(H, W)`, true on an edge.
        normals: `(2, H, W)` unit vectors along the gradient, rows first; 0 where there is none.
    """

    thresholds: tuple[float, float]
    edges: Mask
    normals: Array


def reference_edges(plane: Array) -> Reference:
    """Find the edges of HR, with thresholds from its own gradients.

    Canny (IEEE TPAMI 1986) on scikit-image, sigma 1 pixel. The strong threshold is the root mean
    square of the gradient, the weak one 0.4 of it.

    Args:
        plane: `(H, W)` luma in [0, 1].
    """
    smooth = ndimage.gaussian_filter(plane, SIGMA, mode="nearest")
    gradient = np.stack([ndimage.sobel(smooth, axis, mode="nearest") for axis in (0, 1)])
    strength = np.hypot(*gradient)
    strong = float(np.sqrt(np.mean(strength**2)))
    thresholds = (_WEAK * strong, strong)
    normals = np.divide(gradient, strength, out=np.zeros_like(gradient), where=strength > 0)
    return Reference(thresholds, edges_of(plane, thresholds), normals)


def edges_of(plane: Array, thresholds: tuple[float, float]) -> Mask:
    """Find an image's edges by Canny's method.

    Args:
        plane: `(H, W)` luma in [0, 1].
        thresholds: Weak and strong one, from HR.

    Returns:
        `(H, W)`, true on an edge; nowhere where HR has no gradient at all.
    """
    weak, strong = thresholds
    if not strong:
        return np.zeros(plane.shape, dtype=np.bool_)
    found: Mask = canny(plane, SIGMA, weak, strong, mode="nearest")
    return found


def share_near(edges: Mask, others: Mask) -> float:
    """Return the share of edge pixels that have one of the others within the tolerance.

    Args:
        edges: `(H, W)`, true on an edge; at least one.
        others: `(H, W)`.
    """
    if not others.any():
        return 0.0
    distance = ndimage.distance_transform_edt(~others)
    return float((distance[edges] <= TOLERANCE).mean())


def reach(scale: float) -> int:
    """How far a profile may go to either side: two LR pixels, and at least 16 of HR, in HR's."""
    return max(_LEAST_REACH, int(np.ceil(2 * scale)))


def profile_widths(plane: Array, reference: Reference, reach: int) -> Array:
    """Measure how wide an image's edges are where HR has edges.

    A gradient profile (Sun, Xu and Shum, CVPR 2008) is how the magnitude of the gradient falls off
    to both sides of an edge until it rises again; its width is the root of its second moment. Here
    the edge is the maximum uphill of the pixel where HR has its edge, the profile runs straight
    along HR's normal in steps of half a pixel, and the moment is that about its own mean, so that
    an edge between two pixels is no wider than one on a pixel.

    Args:
        plane: `(H, W)` luma in [0, 1], of SR or of HR.
        reference: HR's edges. Of more than 4096 pixels, 4096 evenly spaced ones count.
        reach: Pixels to either side, from `reach`.

    Returns:
        `(edges,)` in pixels, above 0. Where there is no gradient at all, the width of an even
        profile as wide as there is room.
    """
    places = np.argwhere(reference.edges)
    if len(places) > _MOST_PROFILES:
        places = places[np.linspace(0, len(places) - 1, _MOST_PROFILES).round().astype(int)]
    normals = reference.normals[:, places[:, 0], places[:, 1]].T
    half = round(reach / _STEP)
    along = _STEP * np.arange(-half, half + 1)
    points = places.T[:, :, None] + normals.T[:, :, None] * along
    magnitude = np.hypot(*np.gradient(plane))
    profiles = ndimage.map_coordinates(magnitude, points, order=1, mode="nearest")
    mass = np.where(_hill(profiles), profiles, 0)
    mass[mass.sum(axis=1) == 0] = 1
    mass /= mass.sum(axis=1, keepdims=True)
    centre = mass @ along
    # A sample stands for all of its step.
    widths: Array = np.sqrt(mass @ along**2 - centre**2 + _STEP**2 / 12)
    return widths


def _hill(profiles: Array) -> Mask:
    """Return which samples of each profile are of the hill on which its middle lies.

    From the middle it goes up as far as that is possible, to the side with the higher summit, and
    from there down to both sides, for as long as it does not rise.
    """
    count = profiles.shape[1]
    middle = count // 2
    places = np.arange(count)
    rise = np.diff(profiles, axis=1)
    # Where a walk has to stop: at either end, or where the next step does not go its way.
    ends = np.ones((len(profiles), 1), dtype=np.bool_)
    right = _next(np.hstack([rise <= _RISE, ends]), middle)
    left = _last(np.hstack([ends, rise >= -_RISE]), middle)
    summits = np.take_along_axis(profiles, np.stack([left, right], axis=1), axis=1)
    top = np.where(summits[:, 1] > summits[:, 0], right, left)
    until = _next(np.hstack([rise > _RISE, ends]), top)
    since = _last(np.hstack([ends, rise < -_RISE]), top)
    return (places >= since[:, None]) & (places <= until[:, None])


def _next(stops: Mask, start: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the first place of each row, not before `start`, that is true."""
    places = np.arange(stops.shape[1])
    first: npt.NDArray[np.intp] = (stops & (places >= np.reshape(start, (-1, 1)))).argmax(axis=1)
    return first


def _last(stops: Mask, start: npt.ArrayLike) -> npt.NDArray[np.intp]:
    """Return the last place of each row, not after `start`, that is true."""
    end = stops.shape[1] - 1
    last: npt.NDArray[np.intp] = end - _next(stops[:, ::-1], end - np.asarray(start))
    return last
