"""Zero-shot classifiers of open_clip: an image belongs to the class whose name describes it best.

As CLIP does it (Radford et al., arXiv 2103.00020): the name of every ImageNet class is put into a
few sentences, whose embeddings are averaged; the logits of an image are the cosines of its
embedding and theirs, times the model's temperature. Names and sentences are those that open_clip
ships (`IMAGENET_CLASSNAMES`, and the seven of `SIMPLE_IMAGENET_TEMPLATES`).
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import open_clip
import torch.nn.functional as F
from torch import Tensor, nn

from liif_bench.downstream.classifiers import Classifier, ready
from liif_bench.downstream.networks import LONGEST_REASON, read_state, state_sha256
from liif_bench.errors import LiifBenchError, one_line, shorten, unknown_name
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.upsamplers.options import split_options

_PRETRAINED = "pretrained"


class ZeroShot(nn.Module):
    """The image tower of a CLIP model with the embedded classes as its last layer.

    The classes are a buffer: what adapts the parameters adapts the image tower alone.

    Args:
        model: The whole model; its text tower is not kept.
        head: `(dimensions, 1000)` embeddings of the classes, of length 1.
    """

    head: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, model: Any, head: Tensor) -> None:
        super().__init__()
        self.visual = model.visual
        self.num_classes = head.shape[1]
        self.pretrained_cfg = _preprocessing(model)
        bias = getattr(model, "logit_bias", None)
        self.register_buffer("head", head)
        self.register_buffer("scale", model.logit_scale.detach().exp())
        self.register_buffer("bias", head.new_zeros(()) if bias is None else bias.detach())

    def forward(self, images: Tensor) -> Tensor:
        """Return `(N, 1000)` logits of prepared images."""
        features = F.normalize(self.visual(images), dim=-1)
        logits: Tensor = self.scale * features @ self.head + self.bias
        return logits


def from_open_clip(device: str, argument: str) -> Classifier:
    """Load a zero-shot classifier.

    Args:
        device: Where it runs.
        argument: ``MODEL?pretrained=TAG_OR_FILE``: a tag that open_clip fetches from its hub, or a
            file with a state dict (safetensors, or tensors alone of `torch.save`).

    Raises:
        LiifBenchError: No such model; neither a tag of it nor a file; the hub cannot be reached;
            the file cannot be read safely, or does not fit.
    """
    name, options = split_options(argument, (_PRETRAINED,))
    if name not in open_clip.list_models():
        raise unknown_name("open_clip model", name, open_clip.list_models())
    full = f"open-clip:{argument}"
    if _PRETRAINED not in options:
        raise LiifBenchError(
            f"classifier '{full}' has no weights: write open-clip:{name}?pretrained=TAG_OR_FILE"
        )
    source = options[_PRETRAINED]
    if source in open_clip.list_pretrained_tags_by_model(name):
        model = _created(full, name, source)
        sha256 = state_sha256(model.state_dict())
    else:
        path = user_path(source)
        if not path.is_file():
            raise LiifBenchError(
                f"'{source}' is neither a file nor a tag of open_clip's '{name}': see"
                f" open_clip.list_pretrained_tags_by_model('{name}')"
            )
        model = _created(full, name, None)
        _load(model, name, path)
        sha256 = file_sha256(path)
    model.eval().to(device)
    return ready(full, ZeroShot(model, _head(full, name, model, device)), device, sha256)


def _created(full: str, name: str, tag: str | None) -> nn.Module:
    """Make a model with the weights of a tag, or with random ones."""
    chatter = logging.getLogger()  # open_clip tells there of everything that it does
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        model: nn.Module = open_clip.create_model(name, pretrained=tag, pretrained_text=False)
    except Exception as error:  # hubs, caches and files raise almost anything
        raise _unloadable(full, error) from None
    finally:
        chatter.setLevel(level)
    return model


def _load(model: nn.Module, name: str, path: Path) -> None:
    try:
        model.load_state_dict(read_state(path))
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = shorten(one_line(error), LONGEST_REASON)
        raise LiifBenchError(f"'{path}' is no checkpoint of '{name}': {reason}") from None


def _head(full: str, name: str, model: nn.Module, device: str) -> Tensor:
    """Embed the classes; some models fetch their tokenizer from the hub."""
    try:
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:
        raise _unloadable(full, error) from None
    head: Tensor = open_clip.build_zero_shot_classifier(
        model,
        tokenizer,
        open_clip.IMAGENET_CLASSNAMES,
        open_clip.SIMPLE_IMAGENET_TEMPLATES,
        device=device,
    )
    return head.contiguous()


def _unloadable(full: str, error: Exception) -> LiifBenchError:
    reason = shorten(one_line(error), LONGEST_REASON)
    return LiifBenchError(f"classifier '{full}' cannot be loaded: {reason}")


def _preprocessing(model: Any) -> dict[str, Any]:
    """Return a model's preprocessing in timm's words."""
    config = model.visual.preprocess_cfg
    size = config["size"]
    height, width = size if isinstance(size, (tuple, list)) else (size, size)
    return {
        "input_size": (3, height, width),
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "interpolation": config["interpolation"],
        "crop_pct": 1.0,
    }
