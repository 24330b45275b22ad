"""Networks of timm that look at images: how they are loaded, frozen and shown something."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from liif_bench.errors import LiifBenchError, one_line, shorten, unknown_name
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.upsamplers.options import split_options
from liif_bench.weights.readers import read_safetensors, read_torch

LONGEST_REASON = 163

_WRAPPERS = ("state_dict", "model")  # under which training codes save a state dict


def frozen(model: nn.Module, device: str) -> nn.Module:
    """Return a network in evaluation mode on a device, its parameters fixed."""
    # Channels last is the faster layout for convolutions on the CPU.
    model.eval().requires_grad_(False).to(device).to(memory_format=torch.channels_last)
    return model


def normalised(images: Tensor, mean: Sequence[float], std: Sequence[float], device: str) -> Tensor:
    """Return images as a network takes them.

    Args:
        images: `(N, 3, H, W)` RGB in [0, 1].
        mean: Subtracted from each channel.
        std: Divides it afterwards.
        device: Where the network runs.
    """
    centre, spread = (images.new_tensor(each).view(3, 1, 1) for each in (mean, std))
    return ((images - centre) / spread).to(device, memory_format=torch.channels_last)


def timm_network(kind: str, argument: str, **settings: Any) -> tuple[nn.Module, str]:
    """Make a network of timm with its weights.

    Args:
        kind: What it is for, in the singular, for messages.
        argument: ``NAME``, with weights from timm's hub, or ``NAME?checkpoint=FILE``.
        settings: For timm's `create_model`.

    Returns:
        The network, and the SHA-256 of the file of its weights, or of the weights themselves where
        they came from the hub.

    Raises:
        LiifBenchError: No such model; the hub cannot be reached; the file cannot be read safely,
            or does not fit.
    """
    architecture, options = split_options(argument, ("checkpoint",))
    if not timm.is_model(architecture):
        raise unknown_name("timm model", architecture, timm.list_models())
    if "checkpoint" not in options:
        model = _from_hub(kind, architecture, settings)
        return model, state_sha256(model.state_dict())
    path = user_path(options["checkpoint"])
    if not path.is_file():
        raise LiifBenchError(f"checkpoint '{path}' does not exist")
    model = _created(kind, architecture, settings, pretrained=False)
    state = read_state(path)
    try:
        model.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = shorten(one_line(error), LONGEST_REASON)
        raise LiifBenchError(f"'{path}' is no checkpoint of '{architecture}': {reason}") from None
    return model, file_sha256(path)


def _from_hub(kind: str, architecture: str, settings: Mapping[str, Any]) -> nn.Module:
    if not timm.is_model_pretrained(architecture):
        raise LiifBenchError(
            f"timm has no weights for '{architecture}': name a file as"
            f" timm:{architecture}?checkpoint=FILE"
        )
    chatter = logging.getLogger("huggingface_hub")  # which tells of every attempt that failed
    level = chatter.level
    chatter.setLevel(logging.ERROR)
    try:
        return _created(kind, architecture, settings, pretrained=True)
    except LiifBenchError as error:
        raise LiifBenchError(
            f"{error}; where its hub cannot be reached, name a file as"
            f" timm:{architecture}?checkpoint=FILE"
        ) from None
    finally:
        chatter.setLevel(level)


def _created(
    kind: str, architecture: str, settings: Mapping[str, Any], *, pretrained: bool
) -> nn.Module:
    try:
        return timm.create_model(architecture, pretrained=pretrained, **settings)
    except Exception as error:  # hubs, caches and files raise almost anything
        reason = shorten(one_line(error), LONGEST_REASON)
        raise LiifBenchError(f"{kind} 'timm:{architecture}' cannot be loaded: {reason}") from None


def read_state(path: Path) -> Mapping[str, Any]:
    """Read a state dict: a safetensors file, or one of `torch.save`, as it is or in a wrapper."""
    content = read_safetensors(path) if path.suffix == ".safetensors" else read_torch(path)
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise LiifBenchError(f"'{path}' holds no state dict")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def state_sha256(state: Mapping[str, Tensor]) -> str:
    """Return a SHA-256 over names and values of a model's tensors."""
    digest = hashlib.sha256()
    for name, tensor in state.items():
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        values = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
