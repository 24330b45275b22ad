"""Checkpoints of LIIF's authors: read safely, check the architecture, take the parts out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.upsamplers.base import Weights
from liif_bench.upsamplers.liif.encoders import EDSR_BASELINE, ENCODERS
from liif_bench.weights.readers import check_tensors, read_safetensors, read_torch

_ENCODER = "encoder."
_MLP = "imnet.layers."
_MLP_WEIGHT = re.compile(re.escape(_MLP) + r"(0|[1-9][0-9]{0,3})\.weight")
_UNUSED = ("encoder.sub_mean.", "encoder.add_mean.")


@dataclass(frozen=True)
class Parts:
    """An encoder and an MLP, as the authors' models have them.

    Attributes:
        encoder: State dict of the encoder.
        layers: `(weight, bias)` of the MLP's linear layers, first to last.
    """

    encoder: dict[str, Tensor]
    layers: list[tuple[Tensor, Tensor]]

    @property
    def parameters(self) -> int:
        """Number of trained parameters that are used."""
        return self.encoder_parameters + self.mlp_parameters

    @property
    def encoder_parameters(self) -> int:
        """Number of those of the encoder."""
        return sum(tensor.numel() for tensor in self.encoder.values())

    @property
    def mlp_parameters(self) -> int:
        """Number of those of the MLP."""
        return sum(part.numel() for layer in self.layers for part in layer)


@dataclass(frozen=True)
class Checkpoint(Parts):
    """The parts of a LIIF checkpoint.

    Attributes:
        feat_unfold: Whether the MLP was trained on unfolded features.
        cell_decode: Whether the MLP was trained with the cell.
    """

    feat_unfold: bool
    cell_decode: bool


def user_checkpoint(name: str, argument: str) -> tuple[Path, str, Weights]:
    """Find a checkpoint that the user named.

    Args:
        name: The model that it is for.
        argument: The path as the user wrote it.

    Returns:
        The path, the model's name with it, and the identity of the weights.

    Raises:
        LiifBenchError: There is no such file.
    """
    path = user_path(argument)
    if not path.is_file():
        raise LiifBenchError(f"checkpoint '{path}' does not exist")
    return path, f"{name}:{path.stem}", Weights(str(path), file_sha256(path))


def read_checkpoint(
    path: Path, encoder: str = EDSR_BASELINE, name: str = "liif-edsr"
) -> Checkpoint:
    """Read a LIIF checkpoint.

    Args:
        path: As `read_parts`.
        encoder: The encoder that it has to hold, a name of `ENCODERS`.
        name: The model that reads it.

    Returns:
        Its parts, with shapes checked.

    Raises:
        LiifBenchError: The file cannot be read safely, or holds another architecture.
    """
    parts = read_parts(path, "liif", encoder, name)
    channels, inputs = ENCODERS[encoder].channels, parts.layers[0][0].shape[1]
    widths = {
        channels * (9 if unfold else 1) + 2 + (2 if cell else 0): (unfold, cell)
        for unfold in (True, False)
        for cell in (True, False)
    }
    if inputs not in widths or parts.layers[-1][0].shape[0] != 3:
        raise LiifBenchError(
            f"'{path}' has an MLP from {inputs} to {parts.layers[-1][0].shape[0]} values; {name}"
            f" maps {' or '.join(str(width) for width in sorted(widths))} to 3"
        )
    feat_unfold, cell_decode = widths[inputs]
    return Checkpoint(parts.encoder, parts.layers, feat_unfold, cell_decode)


def read_parts(path: Path, model: str, encoder: str, name: str) -> Parts:
    """Read an encoder and an MLP.

    Args:
        path: A file as the authors' code saves it (``{'model': {'name', 'args', 'sd'}}``), or a
            safetensors file of the state dict alone.
        model: The authors' name of the model that it has to hold.
        encoder: The encoder that it has to hold, a name of `ENCODERS`.
        name: Our model that reads it.

    Returns:
        The parts; the encoder's shapes fit, and so do the MLP's layers to each other.

    Raises:
        LiifBenchError: The file cannot be read safely, or holds another architecture.
    """
    if path.suffix == ".safetensors":
        state: Mapping[str, Any] = read_safetensors(path)
    else:
        state = _authors_state(read_torch(path), path, model, encoder, name)
    check_tensors(path, state)
    whole = [key for key, value in state.items() if not value.is_floating_point()]
    if whole:
        raise LiifBenchError(f"'{path}' is no state dict of {name}: '{whole[0]}' holds no floats")
    foreign = [key for key in state if not key.startswith((_ENCODER, _MLP))]
    if foreign:
        raise LiifBenchError(f"'{path}' is no state dict of {name}: unexpected '{foreign[0]}'")
    found = {
        key.removeprefix(_ENCODER): value
        for key, value in state.items()
        if key.startswith(_ENCODER) and not key.startswith(_UNUSED)
    }
    _check_encoder(found, encoder, path)
    return Parts(found, _mlp_layers(state, path))


def _authors_state(
    content: object, path: Path, model: str, encoder: str, name: str
) -> Mapping[str, Any]:
    held = content.get("model") if isinstance(content, dict) else None
    if not isinstance(held, dict) or not isinstance(held.get("sd"), dict):
        raise LiifBenchError(
            f"'{path}' is not a LIIF checkpoint: expected {{'model': {{'name', 'args', 'sd'}}}}"
        )
    if held.get("name") != model:
        raise LiifBenchError(f"'{path}' holds the model '{held.get('name')}', not '{model}'")
    arguments = held.get("args")
    specified = arguments.get("encoder_spec") if isinstance(arguments, dict) else None
    found = specified.get("name") if isinstance(specified, dict) else None
    if found != encoder:
        raise LiifBenchError(
            f"'{path}' holds {model} with the encoder '{found}'; {name} reads '{encoder}'"
        )
    return dict(held["sd"])


def _mlp_layers(state: Mapping[str, Any], path: Path) -> list[tuple[Tensor, Tensor]]:
    numbers = sorted(
        int(found[1]) for key in state if (found := _MLP_WEIGHT.fullmatch(key)) is not None
    )
    try:
        layers = [(state[f"{_MLP}{n}.weight"], state[f"{_MLP}{n}.bias"]) for n in numbers]
    except KeyError as error:
        raise LiifBenchError(f"'{path}' lacks {error} of the MLP") from error
    if len(layers) < 2:
        raise LiifBenchError(f"'{path}' has no MLP of two or more layers under '{_MLP}'")
    width = layers[0][0].shape[-1] if layers[0][0].ndim else 0
    for number, (weight, bias) in zip(numbers, layers, strict=True):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise LiifBenchError(f"'{path}': layer {number} of the MLP does not fit its neighbours")
        width = weight.shape[0]
    return layers


def _check_encoder(state: Mapping[str, Any], encoder: str, path: Path) -> None:
    kind = ENCODERS[encoder]
    with torch.device("meta"):  # shapes, no numbers
        expected = {key: tuple(value.shape) for key, value in kind().state_dict().items()}
    for key in [*expected, *(key for key in state if key not in expected)]:
        if key not in state:
            raise LiifBenchError(f"'{path}' is not {kind.label}: it lacks '{_ENCODER}{key}'")
        if key not in expected:
            raise LiifBenchError(f"'{path}' is not {kind.label}: unexpected '{_ENCODER}{key}'")
        if tuple(state[key].shape) != expected[key]:
            raise LiifBenchError(
                f"'{path}' is not {kind.label}: '{_ENCODER}{key}' is"
                f" {tuple(state[key].shape)}, expected {expected[key]}"
            )
