"""What VGG16 makes of SR and of HR: one look at each image, shared by all metrics that compare it.

Two passes differ: LPIPS and the Gram matrices read VGG16 as it was trained, with max pooling, and
DISTS (arXiv 2004.07728) with L2 pooling in its place. Both begin with the same two convolutions,
which run once. The trunk is that of LPIPS, whose scaling of [-1, 1] is ImageNet's of [0, 1].

A pass keeps 488 bytes per pixel of the image, 256 of them of the layer that both passes share: an
image that both have looked at holds 720 bytes per pixel, and a case and an output together 1.44 kB,
0.38 GB at 512x512.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Memo, Output
from liif_bench.metrics.perceptual import SMALLEST_SIDE, load_lpips

WEIGHTS = "lpips-vgg"

Pooling = Literal["max", "l2"]

Activations = tuple[Tensor, ...]
"""relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3, each `(1, channels, height, width)` and >= 0."""


def both_seen(
    case: Case, output: Output, pooling: Pooling, device: str
) -> tuple[Activations, Activations]:
    """Return what VGG16 makes of SR, computed once per output, and of HR, once per case.

    Args:
        case: Holds HR.
        output: Holds SR.
        pooling: "max", or "l2" for DISTS.
        device: Where the network runs, and where the activations lie.

    Raises:
        LiifBenchError: A side is shorter than 31 pixels, the smallest that LPIPS takes.
        WeightsUnavailableError: The trunk is neither in the cache nor to be fetched.
    """
    known = _seen(case.memo, case.hr, pooling, device)
    if torch.equal(output.sr, case.hr):  # HR itself among the upsamplers
        return known, known
    return _seen(output.memo, output.sr, pooling, device), known


def _seen(memo: Memo, image: Tensor, pooling: Pooling, device: str) -> Activations:
    first = memo.latest("vgg16 relu1_2", device, lambda: _first(image, device))
    return memo.latest(f"vgg16 {pooling}", device, lambda: _onward(first, pooling, device))


@torch.inference_mode()
def _first(image: Tensor, device: str) -> Tensor:
    """Return relu1_2 of a `(3, H, W)` RGB image in [0, 1]."""
    if min(image.shape[1:]) < SMALLEST_SIDE:
        raise LiifBenchError(
            f"{image.shape[2]}x{image.shape[1]} pixels are too small for VGG16 as LPIPS reads it;"
            f" it needs {SMALLEST_SIDE} on each side"
        )
    model = load_lpips("vgg", device)
    batch = model.scaling_layer(2 * image[None].to(device) - 1)
    # Channels last is the faster layout for convolutions on the CPU.
    relu1_2: Tensor = model.net.slice1(batch.contiguous(memory_format=torch.channels_last))
    return relu1_2


@torch.inference_mode()
def _onward(relu1_2: Tensor, pooling: Pooling, device: str) -> Activations:
    """Return all five layers of an image, given its first."""
    net = load_lpips("vgg", device).net
    seen = [relu1_2]
    for stage in (net.slice2, net.slice3, net.slice4, net.slice5):
        pool, *layers = stage
        through = pool(seen[-1]) if pooling == "max" else _l2_pooled(seen[-1])
        for layer in layers:
            through = layer(through)
        seen.append(through)
    return tuple(seen)


def _l2_pooled(maps: Tensor) -> Tensor:
    """Halve the sides: the root of the squares' weighted mean, weights a Hanning window of 3 x 3.

    The pooling of arXiv 2004.07728; 1e-12 under the root, as in the authors' code.
    """
    window = maps.new_tensor([0.25, 0.5, 0.25])
    channels = maps.shape[1]
    kernel = (window[:, None] * window).expand(channels, 1, 3, 3)
    squares = F.conv2d(maps.square(), kernel, stride=2, padding=1, groups=channels)
    return squares.add_(1e-12).sqrt_()
