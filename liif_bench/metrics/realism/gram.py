"""Style as the Gram matrices of VGG16 see it: which features come together, wherever they lie.

Gatys, Ecker and Bethge, "A Neural Algorithm of Artistic Style" (arXiv 1508.06576), section Methods.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.measure import Measure
from liif_bench.metrics.realism.vgg import WEIGHTS, Activations, both_seen

Grams = tuple[Tensor, ...]
"""One `(channels, channels)` matrix per layer."""


@torch.inference_mode()
def gram_matrices(activations: Activations) -> Grams:
    """Return `F F^T / (C H W)` of every layer, F its `(C, H W)` features."""
    return tuple(map(_gram, activations))


def _gram(activation: Tensor) -> Tensor:
    features = activation[0].flatten(1)
    return features @ features.T / features.numel()


def style_distance(sr: Grams, hr: Grams) -> float:
    """Compare two images' style.

    Args:
        sr: Of SR, one matrix per layer.
        hr: Of HR.

    Returns:
        The squared Frobenius norm of the difference over that of HR's matrix, mean over layers:
        0 for equal style, 1 for features that are all off.
    """
    shares = (
        (ours - true).square().sum() / true.square().sum()
        for ours, true in zip(sr, hr, strict=True)
    )
    return float(sum(shares)) / len(hr)


def _distance(case: Case, output: Output, device: str) -> float:
    seen, known = both_seen(case, output, "max", device)
    return style_distance(
        gram_matrices(seen), case.memo.once(f"gram {device}", lambda: gram_matrices(known))
    )


gram = partial(
    Measure,
    name="gram",
    says="|G(SR) - G(HR)|^2 / |G(HR)|^2, mean over VGG16 relu1_2 to relu5_3, whole image",
    measure=_distance,
    higher_is_better=False,
    weights=(WEIGHTS,),
)
