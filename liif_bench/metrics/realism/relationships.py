"""Relationships: do the parts of SR stay in the relation in which HR has them?

Three relations, after the dimension of that name in REAL (arXiv 2502.10663): which parts look alike
(`self-similarity`), where they are (`flow`), and whether what repeats in HR still does
(`regularity`). None asks how sharp SR is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from scipy import fft
from scipy.ndimage import gaussian_filter, map_coordinates
from skimage.feature import peak_local_max
from skimage.registration import optical_flow_tvl1
from torch import Tensor

from liif_bench.downstream.encoders import cut_to, load_encoder
from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure, both
from liif_bench.metrics.realism.luma import luma

Array = npt.NDArray[np.float64]

ENCODER = "efficientnet-lite0@3"
MOST_TOKENS = 1024

TILE = 128
FARTHEST = TILE // 3  # so that two thirds of a tile's side overlap with its shifted self
COARSEST = 4.0
REPEATED = 0.5
MOST_PEAKS = 4

_FAINT = 0.01  # standard deviation of luma: 2.5 of 255 steps
_BETWEEN_PEAKS = 2


def similarities(features: Tensor, most: int = MOST_TOKENS) -> Array:
    """Cosine similarities of every two tokens of a grid.

    Args:
        features: `(C, rows, columns)`.
        most: A grid of more tokens is averaged to at most so many, in cells as square as can be.

    Returns:
        `(n (n - 1) / 2,)` in [-1, 1]; a token of zeros is like no other.
    """
    rows, columns = features.shape[1:]
    step = next(k for k in range(1, rows * columns + 1) if -(-rows // k) * -(-columns // k) <= most)
    grid = F.adaptive_avg_pool2d(features.double(), (-(-rows // step), -(-columns // step)))
    tokens = F.normalize(grid.flatten(1).T, dim=1).numpy()
    upper: Array = (tokens @ tokens.T)[np.triu_indices(len(tokens), 1)]
    return upper


def self_similarity(sr: Array, hr: Array) -> float:
    """Pearson's correlation between the similarities of SR and those of HR.

    Args:
        sr: `(pairs,)`, as `similarities` makes them.
        hr: `(pairs,)`.

    Returns:
        1 where the parts are alike and unlike as in HR; 0 for an SR whose parts are all alike.

    Raises:
        NotApplicableError: HR has fewer than three parts, or all of them are alike.
    """
    if len(hr) < 3 or np.ptp(hr) < 1e-9:
        raise NotApplicableError("all parts of HR look alike: they stand in no relation")
    if np.ptp(sr) < 1e-9:
        return 0.0
    return float(np.corrcoef(sr, hr)[0, 1])


def _self_similarity(case: Case, output: Output, device: str) -> float:
    encoder = load_encoder(ENCODER, device)

    def look(image: Tensor) -> Array:
        return similarities(encoder.features(cut_to(image, encoder.stride)[None])[0])

    return self_similarity(*both(case, output, "self-similarity", look))


def flow(sr: Array, hr: Array) -> float:
    """How far SR's parts lie from their places in HR: mean magnitude of optical flow.

    TV-L1 (C. Zach, T. Pock, H. Bischof, A Duality Based Approach for Realtime TV-L1 Optical Flow,
    2007) by scikit-image. Its smoothness makes it less prone than a local least-squares fit to take
    blur for motion; it still does so by a part.

    Args:
        sr: `(H, W)` luma in [0, 1].
        hr: `(H, W)`.

    Returns:
        HR pixels; 0 for HR itself.

    Raises:
        NotApplicableError: The image is one pixel wide or high.
    """
    if min(hr.shape) < 2:
        raise NotApplicableError("an image that is one pixel wide or high has no flow")
    down, across = optical_flow_tvl1(hr, sr, num_warp=2, num_iter=5, dtype=np.float32)
    return float(np.hypot(down, across).mean())


@dataclass(frozen=True)
class Repeats:
    """What repeats in a tile of an image.

    Attributes:
        top: First row of the tile.
        left: First column of it.
        lags: `(n, 2)`: by how many rows and columns the tile meets itself again.
        strengths: `(n,)`: how distinctly; see `strength`.
    """

    top: int
    left: int
    lags: npt.NDArray[np.int64]
    strengths: Array


def detail(plane: Array) -> Array:
    """Return a plane without what is coarser than about 4 pixels of standard deviation."""
    fine: Array = plane - gaussian_filter(plane, COARSEST)
    return fine


def autocorrelation(tile: Array) -> Array:
    """Autocorrelation of a tile, without wrapping round.

    At a lag, the product of the tile and its shifted self summed over their overlap, over the
    greater of two energies: the geometric mean of theirs in the overlap, which makes it a
    coefficient of correlation, and what would lie there if the tile's energy were spread evenly,
    so that two specks alone are no pattern.

    Args:
        tile: `(n, n)`.

    Returns:
        `(2 FARTHEST + 1, 2 FARTHEST + 1)` in [-1, 1], lag (0, 0) in the middle; 0 for a flat tile.
    """
    centred = tile - tile.mean()
    size = fft.next_fast_len(len(tile) + FARTHEST, real=True)
    image, energy, ones = (
        fft.rfft2(plane, (size, size)) for plane in (centred, centred**2, np.ones_like(tile))
    )
    lags = np.arange(-FARTHEST, FARTHEST + 1)

    def summed(one: npt.NDArray[np.complex128], other: npt.NDArray[np.complex128]) -> Array:
        """Sum of products over the overlap, at every lag."""
        whole: Array = fft.irfft2(one.conj() * other, (size, size))
        return whole[np.ix_(lags, lags)]

    ours, theirs = (np.maximum(summed(*pair), 0) for pair in ((ones, energy), (energy, ones)))
    spread = (centred**2).mean() * summed(ones, ones)
    scale = np.maximum(np.sqrt(ours * theirs), spread)
    correlation: Array = summed(image, image) / np.maximum(scale, 1e-9)
    return correlation


def strength(correlation: Array, lags: npt.NDArray[np.int64]) -> Array:
    """How distinctly a tile meets itself again: a peak's height above the valley before it.

    The valley is the least value on the straight way from lag (0, 0) to the peak. A smooth image
    is like itself nearby, and an edge all along itself, without a valley: neither repeats.

    Args:
        correlation: As `autocorrelation` makes it.
        lags: `(n, 2)`.

    Returns:
        `(n,)` in [0, 2].
    """
    ways = np.linspace(0, 1, 2 * FARTHEST + 1)[:, None, None] * lags  # (steps, n, 2)
    along = map_coordinates(correlation, np.moveaxis(ways, 2, 0) + FARTHEST, order=1)
    height: Array = along[-1] - along.min(axis=0)
    return height


def repeats(plane: Array) -> list[Repeats]:
    """Find what repeats in an image: the tiles with a distinct peak, and their strongest peaks.

    Args:
        plane: `(H, W)` luma in [0, 1].

    Returns:
        Those of the whole tiles of 128x128 pixels that have a peak of strength 0.5 or more.
    """
    fine = detail(plane)
    found = []
    for top in range(0, len(fine) - TILE + 1, TILE):
        for left in range(0, fine.shape[1] - TILE + 1, TILE):
            tile = fine[top : top + TILE, left : left + TILE]
            if tile.std() < _FAINT:
                continue
            correlation = autocorrelation(tile)
            lags = peak_local_max(correlation, min_distance=_BETWEEN_PEAKS, threshold_abs=0.0)
            lags = lags.astype(np.int64) - FARTHEST
            # Of two opposite lags one says it all.
            lags = lags[(lags[:, 0] > 0) | ((lags[:, 0] == 0) & (lags[:, 1] > 0))]
            strengths = strength(correlation, lags)
            order = np.argsort(-strengths, kind="stable")[:MOST_PEAKS]
            order = order[strengths[order] >= REPEATED]
            if len(order):
                found.append(Repeats(top, left, lags[order], strengths[order]))
    return found


def regularity(sr: Array, found: Sequence[Repeats]) -> float:
    """How much of what repeats in HR still does in SR.

    `sum min(strength in SR, strength in HR) / sum strength in HR`, over the peaks of HR, at HR's
    lags. Contrast alone that SR loses does not count, as long as the pattern does not drown.

    Args:
        sr: `(H, W)` luma in [0, 1].
        found: What `repeats` has found in HR.

    Returns:
        0 to 1.

    Raises:
        NotApplicableError: Nothing repeats in HR.
    """
    if not found:
        raise NotApplicableError(
            f"HR has no repeated structure: in no {TILE}x{TILE} tile an autocorrelation peak of"
            f" {REPEATED:g} or more"
        )
    fine = detail(sr)
    kept = total = 0.0
    for one in found:
        tile = fine[one.top : one.top + TILE, one.left : one.left + TILE]
        left = strength(autocorrelation(tile), one.lags)
        kept += float(np.minimum(left, one.strengths).sum())
        total += float(one.strengths.sum())
    return kept / total


def _lumas(case: Case, output: Output) -> tuple[Array, Array]:
    return both(case, output, "luma", luma)


def _regularity(case: Case, output: Output) -> float:
    sr, hr = _lumas(case, output)
    return regularity(sr, case.memo.once("repeats", lambda: repeats(hr)))


self_similarity_of = partial(
    Measure,
    name="self-similarity",
    says=f"correlation of token similarities, {ENCODER}, at most {MOST_TOKENS} tokens",
    measure=_self_similarity,
    weights=("efficientnet-lite0",),
)

flow_of = partial(
    Measure,
    name="flow",
    says="mean magnitude, HR pixels, TV-L1, full-range Y",
    measure=lambda case, output, _: flow(*_lumas(case, output)),
    higher_is_better=False,
)

regularity_of = partial(
    Measure,
    name="regularity",
    says=f"share of autocorrelation peaks kept, tiles of {TILE}, full-range Y",
    measure=lambda case, output, _: _regularity(case, output),
)
