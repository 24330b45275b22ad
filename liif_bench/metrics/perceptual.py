"""LPIPS: the learned perceptual distance, on the authors' `lpips` package (arXiv 1801.03924)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import lpips
import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.region import shave_variant, shaved
from liif_bench.protocol import Protocol
from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import lpips_trunk

VERSION = "0.1"

# Below this, AlexNet's last pooling has nothing left to pool.
SMALLEST_SIDE = 31


def load_lpips(net: str, device: str = "cpu") -> Any:
    """Load LPIPS v0.1: heads from the `lpips` package, trunk from the weights registry.

    Args:
        net: "alex" or "vgg".
        device: Where it runs.

    Returns:
        The `lpips.LPIPS` module, in evaluation mode; the same one when it is asked for again.

    Raises:
        WeightsUnavailableError: The trunk is neither in the cache nor to be fetched.
    """
    return _loaded(net, device)


@lru_cache(maxsize=2)
def _loaded(net: str, device: str) -> Any:
    trunk = lpips_trunk(ensure(_weights_id(net)))
    with warnings.catch_warnings():
        # lpips builds its trunk through arguments that torchvision has deprecated.
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net=net, version=VERSION, pnet_rand=True, verbose=False)
    # lpips cuts the trunk into slices but keeps torchvision's layer numbers: "slice2.3.weight".
    model.net.load_state_dict(
        {name: trunk[name.partition(".")[2]] for name in model.net.state_dict()}
    )
    return model.eval().requires_grad_(False).to(device)


Features = tuple[Tensor, ...]
"""What LPIPS compares: the trunk's activations of an image, normalised over channels."""


@torch.inference_mode()
def lpips_features(
    image: Tensor, net: str = "alex", device: str = "cpu", *, symmetric: bool = True
) -> Features:
    """Look at one image as LPIPS v0.1 does; the arguments are those of `lpips_distance`.

    Returns:
        One `(1, channels, height, width)` tensor per layer, on the device; together about 42
        (alex) or 488 (vgg) bytes per pixel of the image.

    Raises:
        LiifBenchError: A side is shorter than 31 pixels.
        WeightsUnavailableError: As `load_lpips`.
    """
    return tuple(map(lpips.normalize_tensor, _activations(image, net, device, symmetric)))


@torch.inference_mode()
def lpips_distance(
    sr: Tensor, hr: Tensor, net: str = "alex", device: str = "cpu", *, symmetric: bool = True
) -> float:
    """LPIPS v0.1 of two images.

    Args:
        sr: `(3, H, W)` RGB in [0, 1].
        hr: The same shape.
        net: Trunk, "alex" or "vgg".
        device: Where the network runs.
        symmetric: Whether the images are brought to the network's [-1, 1] first. Without, the
            network sees [0, 1], which is a mistake that some published numbers hold.

    Returns:
        A distance: 0 for equal images, larger is worse.

    Raises:
        LiifBenchError: A side is shorter than 31 pixels.
        WeightsUnavailableError: As `load_lpips`.
    """
    known = lpips_features(hr, net, device, symmetric=symmetric)
    return distance_to(known, sr, net, device, symmetric=symmetric)


@torch.inference_mode()
def distance_to(
    features: Features,
    image: Tensor,
    net: str = "alex",
    device: str = "cpu",
    *,
    symmetric: bool = True,
) -> float:
    """LPIPS v0.1 of an image and one whose features are known, as `lpips_distance`.

    Args:
        features: Of the other image, by `lpips_features` with the same net, device and range.
        image: `(3, H, W)` RGB in [0, 1].
        net: Trunk, "alex" or "vgg".
        device: Where the network runs.
        symmetric: As in `lpips_distance`.
    """
    return heads_distance(_activations(image, net, device, symmetric), features, net, device)


@torch.inference_mode()
def heads_distance(
    activations: Iterable[Tensor], features: Iterable[Tensor], net: str, device: str = "cpu"
) -> float:
    """LPIPS v0.1 of two images of which the trunk has seen both.

    Args:
        activations: What it makes of one, `(1, channels, height, width)` per layer, as it is.
        features: The same of the other, normalised over channels, as by `lpips_features`.
        net: Trunk, "alex" or "vgg".
        device: Where both lie.
    """
    layers = zip(load_lpips(net, device).lins, activations, features, strict=True)
    total: Tensor = sum(
        lpips.spatial_average(head((lpips.normalize_tensor(activation) - known) ** 2))
        for head, activation, known in layers
    )
    return float(total)


def _activations(image: Tensor, net: str, device: str, symmetric: bool) -> Features:
    """Return what the trunk makes of an image."""
    if min(image.shape[1:]) < SMALLEST_SIDE:
        raise LiifBenchError(
            f"{image.shape[2]}x{image.shape[1]} pixels are too small for LPIPS;"
            f" it needs {SMALLEST_SIDE} on each side"
        )
    model = load_lpips(net, device)
    batch = image[None].to(device)
    activations: Features = model.net(model.scaling_layer(2 * batch - 1 if symmetric else batch))
    return activations


class Lpips:
    """LPIPS with the protocol's trunk, input range and region."""

    name = "lpips"
    higher_is_better = False

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    def variant(self, protocol: Protocol) -> str:
        """Name the trunk, the version and the region; the rounding and range if unusual."""
        rules = protocol.lpips
        unusual = ", input 0..1" if rules.range == "0..1" else ""
        unusual += ", uint8" if protocol.rounding == "uint8" else ""
        return f"{rules.net} v{VERSION}, {shave_variant(rules)}{unusual}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the trunk's registry id."""
        return (_weights_id(protocol.lpips.net),)

    def score(self, case: Case, output: Output) -> float:
        """Measure; see `lpips_distance`. HR is looked at once per case."""
        rules = case.protocol.lpips
        shave, symmetric = rules.shave(case.scale), rules.range == "-1..1"

        def look() -> Features:
            return lpips_features(
                shaved(case.hr, shave), rules.net, self.device, symmetric=symmetric
            )

        key = (rules.net, symmetric, shave, self.device)
        known = case.memo.latest("lpips features", key, look)
        sr = shaved(output.sr, shave)
        return distance_to(known, sr, rules.net, self.device, symmetric=symmetric)


def _weights_id(net: str) -> str:
    return f"lpips-{net}"
