"""ImageNet classifiers on timm, with weights from the registry."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from timm.data.imagenet_info import ImageNetInfo
from torch import Tensor, nn

from liif_bench.errors import unknown_name
from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import efficientnet_lite_state

TIMM_NAMES = {
    "efficientnet-lite0": "tf_efficientnet_lite0",
    "efficientnet-lite1": "tf_efficientnet_lite1",
    "efficientnet-lite2": "tf_efficientnet_lite2",
}
"""Registry id of the weights -> timm architecture."""


@dataclass(frozen=True)
class Classifier:
    """An ImageNet-1k classifier.

    Attributes:
        name: Registry id of its weights.
        model: The timm network, in evaluation mode.
        wnids: WordNet id of each of its 1000 outputs.
        device: Where it runs.
    """

    name: str
    model: nn.Module
    wnids: tuple[str, ...]
    device: str

    @property
    def config(self) -> dict[str, Any]:
        """Its preprocessing as timm states it: input_size, mean, std, crop_pct, interpolation."""
        return dict(resolve_model_data_config(self.model))

    @property
    def input_size(self) -> int:
        """Side of its square input in pixels."""
        return int(self.config["input_size"][-1])

    @torch.inference_mode()
    def log_probabilities(self, crops: Tensor) -> Tensor:
        """Classify.

        Args:
            crops: `(N, 3, S, S)` RGB in [0, 1]; S is best `input_size`.

        Returns:
            `(N, 1000)` natural logarithms of probabilities, on the CPU.
        """
        config = self.config
        mean = crops.new_tensor(config["mean"]).view(3, 1, 1)
        std = crops.new_tensor(config["std"]).view(3, 1, 1)
        batch = ((crops - mean) / std).to(self.device, memory_format=torch.channels_last)
        logits = self.model(batch)
        return torch.log_softmax(logits.float(), dim=-1).cpu()


@lru_cache(maxsize=4)
def load_classifier(name: str, device: str = "cpu") -> Classifier:
    """Load a classifier.

    Args:
        name: Key of `TIMM_NAMES`.
        device: Where it runs.

    Raises:
        LiifBenchError: Unknown name, or weights that do not fit.
        WeightsUnavailableError: The weights are neither in the cache nor to be fetched.
    """
    if name not in TIMM_NAMES:
        raise unknown_name("classifier", name, TIMM_NAMES)
    path = ensure(name)
    model = timm.create_model(TIMM_NAMES[name], pretrained=False)
    model.load_state_dict(efficientnet_lite_state(path, model))
    # Channels last is the faster layout for its depthwise convolutions on the CPU.
    model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    info = ImageNetInfo()
    wnids = tuple(info.index_to_label_name(i) for i in range(info.num_classes()))
    return Classifier(name, model, wnids, device)
