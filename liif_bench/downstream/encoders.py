"""Vision encoders: networks whose dense features are compared.

The sides of what an encoder is shown are multiples of its stride. What is compared, HR and SR, is
cut to such sides (`cut_to`), so that no token shows anything but the image; LR, of which nothing
may be lost, is filled up to them (`filled_to`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache, partial
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from timm.data.config import resolve_model_data_config
from timm.data.constants import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from torch import Tensor, nn
from torchvision.models import vgg16 as torchvision_vgg16

from liif_bench.downstream import ENCODERS
from liif_bench.downstream.classifiers import load_classifier
from liif_bench.downstream.networks import frozen, normalised, timm_network
from liif_bench.errors import LiifBenchError
from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import lpips_trunk
from liif_bench.weights.registry import lookup

_BATCH = 8
_VGG_LAYERS = {"relu1_2": 3, "relu2_2": 8, "relu3_3": 15, "relu4_3": 22, "relu5_3": 29}
_VGG_NATIVE = 224


@dataclass(frozen=True)
class Encoder:
    """A network that makes a grid of features of an image.

    Attributes:
        name: As it was asked for.
        model: `(N, 3, H, W)` normalised -> `(N, C, H / stride, W / stride)`, in evaluation mode.
        stride: Pixels between two tokens of the grid.
        native: Side in pixels of the squares that it was trained on.
        mean: Subtracted from each channel of an image in [0, 1].
        std: Divides it afterwards.
        device: Where it runs.
        sha256: Of the file of its weights, or of the weights themselves where they came from a hub.
    """

    name: str
    model: nn.Module = field(repr=False)
    stride: int
    native: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    device: str
    sha256: str

    @torch.inference_mode()
    def features(self, images: Tensor) -> Tensor:
        """Encode.

        Args:
            images: `(N, 3, H, W)` RGB in [0, 1], both sides multiples of the stride.

        Returns:
            `(N, C, H / stride, W / stride)` float32 on the CPU.

        Raises:
            LiifBenchError: A side is no multiple of the stride.
        """
        height, width = images.shape[-2:]
        if min(height, width) == 0 or height % self.stride or width % self.stride:
            raise LiifBenchError(
                f"encoder '{self.name}' needs sides that are multiples of {self.stride}, got"
                f" {width}x{height} pixels"
            )
        batches = (
            normalised(batch, self.mean, self.std, self.device) for batch in images.split(_BATCH)
        )
        return torch.cat([self.model(batch).float().cpu() for batch in batches])


@lru_cache(maxsize=8)
def load_encoder(name: str, device: str = "cpu") -> Encoder:
    """Load an encoder.

    Args:
        name: One of ``liif-bench list encoders``, such as ``efficientnet-lite0@3``,
            ``vgg16@relu4_3`` or ``timm:vit_small_patch14_dinov2?checkpoint=weights.safetensors``.
        device: Where it runs.

    Raises:
        LiifBenchError: Unknown name, a hub that cannot be reached, or weights that do not fit.
        WeightsUnavailableError: Registered weights are neither in the cache nor to be fetched.
    """
    encoder: Encoder = ENCODERS.make(name, device)
    return encoder


def cut_to(image: Tensor, stride: int) -> Tensor:
    """Cut an image on the right and at the bottom to multiples of a stride.

    Args:
        image: `(3, H, W)`.
        stride: Pixels.

    Raises:
        LiifBenchError: Nothing would be left.
    """
    height, width = (side // stride * stride for side in image.shape[1:])
    if not min(height, width):
        raise LiifBenchError(
            f"{image.shape[2]}x{image.shape[1]} pixels are too small for an encoder of stride"
            f" {stride}"
        )
    return image[:, :height, :width]


def filled_to(image: Tensor, stride: int) -> Tensor:
    """Repeat an image's last row and column up to multiples of a stride.

    Args:
        image: `(3, h, w)`.
        stride: Pixels.
    """
    height, width = image.shape[1:]
    missing = (0, -width % stride, 0, -height % stride)
    return F.pad(image[None], missing, mode="replicate")[0]


def _efficientnet_lite(weights_id: str, stage: int, device: str) -> Encoder:
    classifier = load_classifier(weights_id, device)
    model: Any = classifier.model
    info = model.feature_info[stage - 1]
    last = int(info["module"].rpartition(".")[2])  # such as "blocks.2"
    config = classifier.config
    return Encoder(
        name=f"{weights_id}@{stage}",
        model=nn.Sequential(model.conv_stem, model.bn1, *model.blocks[: last + 1]),
        stride=info["reduction"],
        native=classifier.input_size,
        mean=config["mean"],
        std=config["std"],
        device=device,
        sha256=classifier.sha256,
    )


def _stages(weights_id: str) -> SimpleNamespace:
    return SimpleNamespace(
        **{f"stage{stage}": partial(_efficientnet_lite, weights_id, stage) for stage in range(1, 6)}
    )


efficientnet_lite0 = _stages("efficientnet-lite0")
efficientnet_lite1 = _stages("efficientnet-lite1")
efficientnet_lite2 = _stages("efficientnet-lite2")


def _vgg16(layer: str, device: str) -> Encoder:
    weights_id = "lpips-vgg"
    last = _VGG_LAYERS[layer]
    model = torchvision_vgg16(weights=None).features[: last + 1]
    trunk = lpips_trunk(ensure(weights_id))
    model.load_state_dict({name: trunk[name] for name in model.state_dict()})
    return Encoder(
        name=f"vgg16@{layer}",
        model=frozen(model, device),
        stride=2 ** [*_VGG_LAYERS].index(layer),
        native=_VGG_NATIVE,
        mean=IMAGENET_DEFAULT_MEAN,
        std=IMAGENET_DEFAULT_STD,
        device=device,
        sha256=lookup(weights_id).sha256,
    )


vgg16 = SimpleNamespace(**{layer: partial(_vgg16, layer) for layer in _VGG_LAYERS})


class _Tokens(nn.Module):
    """The patch tokens of a vision transformer behind its last block and norm, as a grid."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        self.transformer: Any = transformer

    def forward(self, images: Tensor) -> Tensor:
        (tokens,) = self.transformer.forward_intermediates(
            images, indices=1, norm=True, output_fmt="NCHW", intermediates_only=True
        )
        grid: Tensor = tokens
        return grid


def from_timm(device: str, argument: str) -> Encoder:
    """Load a vision transformer of timm that takes images of any size.

    Args:
        device: Where it runs.
        argument: ``NAME``, with weights from timm's hub, or ``NAME?checkpoint=FILE``.

    Raises:
        LiifBenchError: No such model, or no such transformer; the hub cannot be reached; the file
            cannot be read safely, or does not fit.
    """
    model, sha256 = timm_network("encoder", argument, dynamic_img_size=True)
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if not (hasattr(model, "forward_intermediates") and patch and patch[0] == patch[1]):
        raise LiifBenchError(
            f"encoder 'timm:{argument}' is no vision transformer of square patches: choose another"
        )
    config = resolve_model_data_config(model)
    return Encoder(
        name=f"timm:{argument}",
        model=frozen(_Tokens(model), device),
        stride=patch[0],
        native=config["input_size"][-1],
        mean=config["mean"],
        std=config["std"],
        device=device,
        sha256=sha256,
    )
