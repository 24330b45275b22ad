"""Attributes: is the fine detail there, and is it right?

DISTS and LPIPS on VGG16 say whether structure and texture are alike, gradient profiles whether
edges are as sharp as HR's, and Canny's edges whether they are there, and no others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache, partial

import lpips
import numpy as np
import torch
from torch import Tensor

from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure, both
from liif_bench.metrics.perceptual import VERSION, heads_distance
from liif_bench.metrics.realism.edges import (
    TOLERANCE,
    Mask,
    Reference,
    edges_of,
    profile_widths,
    reach,
    reference_edges,
    share_near,
)
from liif_bench.metrics.realism.luma import luma
from liif_bench.metrics.realism.vgg import WEIGHTS, both_seen
from liif_bench.weights.readers import load

_STABLE = 1e-6  # c1 and c2 of DISTS


@dataclass(frozen=True)
class DistsWeights:
    """How much each channel counts in DISTS; all together sum to 1.

    Attributes:
        mean: Of the texture term (alpha), `(1475,)` float64: RGB, then VGG16's layers.
        structure: Of the structure term (beta), the same.
    """

    mean: Tensor
    structure: Tensor


@lru_cache(maxsize=2)
def load_dists_weights(device: str = "cpu") -> DistsWeights:
    """Load the authors' alpha and beta.

    Raises:
        WeightsUnavailableError: They are neither in the cache nor to be fetched.
    """
    stored = load("dists")
    alpha, beta = (stored[name].to(device).double().flatten() for name in ("alpha", "beta"))
    total = alpha.sum() + beta.sum()
    return DistsWeights(alpha / total, beta / total)


@torch.inference_mode()
def dists_distance(sr: Iterable[Tensor], hr: Iterable[Tensor], weights: DistsWeights) -> float:
    """DISTS (arXiv 2004.07728) of what has been seen of two images.

    The texture term compares the spatial means of a channel, the structure term the covariance of
    its maps, both in the form of SSIM and over the whole image. Here they are written as what is
    missing from 1: `(a - b)^2 / (a^2 + b^2 + c)` for means a and b, and
    `var(x - y) / (var x + var y + c)` for maps x and y, so that nothing cancels.

    Args:
        sr: The image itself, `(1, 3, H, W)` RGB in [0, 1], and what VGG16 with L2 pooling makes of
            it.
        hr: The same of HR.
        weights: Of the channels of all of them in turn.

    Returns:
        0 for equal images, larger is worse.
    """
    terms = [_unlikeness(*maps) for maps in zip(sr, hr, strict=True)]
    texture, structure = (torch.cat(part).double() for part in zip(*terms, strict=True))
    return float(weights.mean @ texture + weights.structure @ structure)


def _unlikeness(sr: Tensor, hr: Tensor) -> tuple[Tensor, Tensor]:
    """Return by how much each channel's texture and structure fall short of 1."""
    (our_mean, our_spread), (true_mean, true_spread) = _mean_and_spread(sr), _mean_and_spread(hr)
    _, apart = _mean_and_spread(sr - hr)
    power = our_mean.square() + true_mean.square()
    texture = (our_mean - true_mean).square() / (power + _STABLE)
    return texture, apart / (our_spread + true_spread + _STABLE)


def _mean_and_spread(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Return each channel's mean and variance.

    In two passes: `torch.var_mean` takes four times as long where channels lie last.
    """
    mean = maps.mean(dim=(2, 3), keepdim=True)
    return mean.flatten(), (maps - mean).square_().mean(dim=(2, 3)).flatten()


def _dists(case: Case, output: Output, device: str) -> float:
    seen, known = both_seen(case, output, "l2", device)
    sr, hr = (image[None].to(device) for image in (output.sr, case.hr))
    return dists_distance((sr, *seen), (hr, *known), load_dists_weights(device))


@torch.inference_mode()
def _lpips_vgg(case: Case, output: Output, device: str) -> float:
    seen, known = both_seen(case, output, "max", device)
    return heads_distance(seen, map(lpips.normalize_tensor, known), "vgg", device)


def _reference(case: Case) -> Reference:
    """Return HR's edges, found once per case.

    Raises:
        NotApplicableError: HR has none.
    """
    plane = case.memo.once("luma", lambda: luma(case.hr))
    found = case.memo.once("edges", lambda: reference_edges(plane))
    if not found.edges.any():
        raise NotApplicableError("HR shows no edges")
    return found


def _sharpness(case: Case, output: Output, device: str) -> float:
    """By how many octaves SR's edges are wider or narrower than HR's, mean over HR's edges."""
    del device
    reference, far = _reference(case), reach(case.scale)
    ours, true = both(case, output, "luma", luma)
    known = case.memo.once("profile widths", lambda: profile_widths(true, reference, far))
    return float(np.abs(np.log2(profile_widths(ours, reference, far) / known)).mean())


def _edges(case: Case, output: Output) -> tuple[Mask, Mask]:
    """Return SR's edges, found with HR's thresholds, and HR's."""
    reference = _reference(case)
    plane = output.memo.once("luma", lambda: luma(output.sr))
    found = output.memo.once("edges", lambda: edges_of(plane, reference.thresholds))
    return found, reference.edges


def _precision(case: Case, output: Output, device: str) -> float:
    del device
    found, true = _edges(case, output)
    if not found.any():
        raise NotApplicableError("SR shows no edges that could be right")
    return output.memo.once("edge precision", lambda: share_near(found, true))


def _recall(case: Case, output: Output, device: str) -> float:
    del device
    found, true = _edges(case, output)
    return output.memo.once("edge recall", lambda: share_near(true, found))


def _f1(case: Case, output: Output, device: str) -> float:
    recall = _recall(case, output, device)
    if not recall:  # and with it every right edge of SR
        return 0.0
    precision = _precision(case, output, device)
    return 2 * precision * recall / (precision + recall)


_EDGES = f"Canny of luma, thresholds from HR, within {TOLERANCE:g} HR pixels"

dists = partial(
    Measure,
    name="dists",
    says="VGG16 with L2 pooling, whole image at its own size",
    measure=_dists,
    higher_is_better=False,
    weights=(WEIGHTS, "dists"),
)
lpips_vgg = partial(
    Measure,
    name="lpips-vgg",
    says=f"vgg v{VERSION}, whole image",
    measure=_lpips_vgg,
    higher_is_better=False,
    weights=(WEIGHTS,),
)
gradient_sharpness = partial(
    Measure,
    name="gradient-sharpness",
    says="|log2| of SR's over HR's width of gradient profiles of luma, mean over HR's edges",
    measure=_sharpness,
    higher_is_better=False,
)
edge_precision = partial(Measure, name="edge-precision", says=_EDGES, measure=_precision)
edge_recall = partial(Measure, name="edge-recall", says=_EDGES, measure=_recall)
edge_f1 = partial(Measure, name="edge-f1", says=_EDGES, measure=_f1)
