"""ImageNet classifiers: of timm, weights from the registry, a hub or a file; what all share."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from liif_bench.downstream import CLASSIFIERS
from liif_bench.downstream.networks import frozen, normalised, timm_network
from liif_bench.errors import LiifBenchError
from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import efficientnet_lite_state
from liif_bench.weights.registry import lookup

TIMM_NAMES = {
    "efficientnet-lite0": "tf_efficientnet_lite0",
    "efficientnet-lite1": "tf_efficientnet_lite1",
    "efficientnet-lite2": "tf_efficientnet_lite2",
}
"""Registry id of the weights -> timm architecture."""

_CLASSES = 1000


@dataclass(frozen=True)
class Classifier:
    """An ImageNet-1k classifier.

    Attributes:
        name: As it was asked for.
        model: The network, in evaluation mode; it states its preprocessing as timm's do.
        wnids: WordNet id of each of its 1000 outputs.
        device: Where it runs.
        sha256: Of the file of its weights, or of the weights themselves where they came from a hub.
    """

    name: str
    model: nn.Module
    wnids: tuple[str, ...]
    device: str
    sha256: str = ""

    @property
    def config(self) -> dict[str, Any]:
        """Its preprocessing as timm states it: input_size, mean, std, crop_pct, interpolation."""
        return dict(resolve_model_data_config(self.model))

    @property
    def input_size(self) -> int:
        """Side of its square input in pixels."""
        return int(self.config["input_size"][-1])

    def prepared(self, crops: Tensor) -> Tensor:
        """Return what the network takes for crops.

        Args:
            crops: `(N, 3, S, S)` RGB in [0, 1]; of another side than `input_size` they are resized
                to it (antialiased bicubic).

        Returns:
            `(N, 3, input_size, input_size)`, normalised, on the classifier's device.
        """
        config = self.config
        side = self.input_size
        if crops.shape[-1] != side:
            crops = resize(crops, [side, side], InterpolationMode.BICUBIC, antialias=True)
            crops = crops.clamp(0, 1)
        return normalised(crops, config["mean"], config["std"], self.device)

    @torch.inference_mode()
    def log_probabilities(self, crops: Tensor) -> Tensor:
        """Classify.

        Args:
            crops: As in `prepared`.

        Returns:
            `(N, 1000)` natural logarithms of probabilities, on the CPU.
        """
        logits = self.model(self.prepared(crops))
        return torch.log_softmax(logits.float(), dim=-1).cpu()


@lru_cache(maxsize=4)
def load_classifier(name: str, device: str = "cpu") -> Classifier:
    """Load a classifier.

    Args:
        name: One of ``liif-bench list classifiers``, such as ``efficientnet-lite0``,
            ``timm:resnet50`` or ``timm:resnet50?checkpoint=weights.safetensors``.
        device: Where it runs.

    Raises:
        LiifBenchError: Unknown name, a hub that cannot be reached, or weights that do not fit.
        WeightsUnavailableError: Registered weights are neither in the cache nor to be fetched.
    """
    classifier: Classifier = CLASSIFIERS.make(name, device)
    return classifier


def title(name: str) -> str:
    """Return what a classifier is called in a record's variant; nothing is loaded."""
    _, argument = CLASSIFIERS.parse(name)
    return TIMM_NAMES.get(name, argument or name)


def _efficientnet_lite(weights_id: str, device: str) -> Classifier:
    path = ensure(weights_id)
    model = timm.create_model(TIMM_NAMES[weights_id], pretrained=False)
    model.load_state_dict(efficientnet_lite_state(path, model))
    return ready(weights_id, model, device, lookup(weights_id).sha256)


efficientnet_lite0 = partial(_efficientnet_lite, "efficientnet-lite0")
efficientnet_lite1 = partial(_efficientnet_lite, "efficientnet-lite1")
efficientnet_lite2 = partial(_efficientnet_lite, "efficientnet-lite2")


def from_timm(device: str, argument: str) -> Classifier:
    """Load an ImageNet-1k model of timm.

    Args:
        device: Where it runs.
        argument: ``NAME``, with weights from timm's hub, or ``NAME?checkpoint=FILE``.

    Raises:
        LiifBenchError: No such model, or not one of the 1000 classes; the hub cannot be reached;
            the file cannot be read safely, or does not fit.
    """
    name = f"timm:{argument}"
    model, sha256 = timm_network("classifier", argument)
    return ready(name, model, device, sha256)


def ready(name: str, model: nn.Module, device: str, sha256: str) -> Classifier:
    """Freeze a model and name its classes.

    Raises:
        LiifBenchError: Its classes are not the 1000 of ImageNet-1k.
    """
    classes = getattr(model, "num_classes", None)
    if classes != _CLASSES:
        raise LiifBenchError(
            f"classifier '{name}' tells {classes} classes apart, not the {_CLASSES} of ImageNet-1k:"
            " choose another"
        )
    info = ImageNetInfo()
    wnids = tuple(info.index_to_label_name(i) for i in range(info.num_classes()))
    return Classifier(name, frozen(model, device), wnids, device, sha256)
