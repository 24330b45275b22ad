"""LIIF checkpoints: read safely, check the architecture, build encoder and decoder parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.liif.edsr import EdsrBaseline
from liif_bench.weights.readers import read_safetensors, read_torch

_ENCODER = "encoder."
_MLP = "imnet.layers."
_UNUSED = ("encoder.sub_mean.", "encoder.add_mean.")


@dataclass(frozen=True)
class Checkpoint:
    """The parts of a LIIF-EDSR checkpoint.

    Attributes:
        encoder: State dict of `EdsrBaseline`.
        layers: `(weight, bias)` of the MLP's linear layers, first to last.
        feat_unfold: Whether the MLP was trained on unfolded features.
        cell_decode: Whether the MLP was trained with the cell.
    """

    encoder: dict[str, Tensor]
    layers: list[tuple[Tensor, Tensor]]
    feat_unfold: bool
    cell_decode: bool

    @property
    def parameters(self) -> int:
        """Number of trained parameters that are used."""
        tensors = [*self.encoder.values(), *(part for layer in self.layers for part in layer)]
        return sum(tensor.numel() for tensor in tensors)


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a LIIF-EDSR checkpoint.

    Args:
        path: A file as the authors' code saves it (``{'model': {'name', 'args', 'sd'}}``), or a
            safetensors file of the state dict alone.

    Returns:
        Its parts, with shapes checked.

    Raises:
        LiifBenchError: The file cannot be read safely, or holds another architecture.
    """
    if path.suffix == ".safetensors":
        state: Mapping[str, Any] = read_safetensors(path)
    else:
        state = _authors_state(read_torch(path), path)
    return _split(state, path)


def _authors_state(content: object, path: Path) -> Mapping[str, Any]:
    model = content.get("model") if isinstance(content, dict) else None
    if not isinstance(model, dict) or not isinstance(model.get("sd"), dict):
        raise LiifBenchError(
            f"'{path}' is not a LIIF checkpoint: expected {{'model': {{'name', 'args', 'sd'}}}}"
        )
    if model.get("name") != "liif":
        raise LiifBenchError(f"'{path}' holds the model '{model.get('name')}', not 'liif'")
    arguments = model.get("args")
    encoder = arguments.get("encoder_spec") if isinstance(arguments, dict) else None
    name = encoder.get("name") if isinstance(encoder, dict) else None
    if name != "edsr-baseline":
        raise LiifBenchError(
            f"'{path}' holds LIIF with the encoder '{name}'; liif-edsr reads 'edsr-baseline'"
        )
    return dict(model["sd"])


def _split(state: Mapping[str, Any], path: Path) -> Checkpoint:
    foreign = [key for key in state if not key.startswith((_ENCODER, _MLP))]
    if foreign:
        raise LiifBenchError(f"'{path}' is not a LIIF-EDSR state dict: unexpected '{foreign[0]}'")
    encoder = {
        key.removeprefix(_ENCODER): value
        for key, value in state.items()
        if key.startswith(_ENCODER) and not key.startswith(_UNUSED)
    }
    _check_shapes(encoder, {k: v.shape for k, v in EdsrBaseline().state_dict().items()}, path)
    layers = _mlp_layers(state, path)
    channels, inputs = EdsrBaseline.channels, layers[0][0].shape[1]
    widths = {
        channels * (9 if unfold else 1) + 2 + (2 if cell else 0): (unfold, cell)
        for unfold in (True, False)
        for cell in (True, False)
    }
    if inputs not in widths or layers[-1][0].shape[0] != 3:
        raise LiifBenchError(
            f"'{path}' has an MLP from {inputs} to {layers[-1][0].shape[0]} values; LIIF-EDSR maps"
            f" {' or '.join(str(width) for width in sorted(widths))} to 3"
        )
    feat_unfold, cell_decode = widths[inputs]
    return Checkpoint(encoder, layers, feat_unfold, cell_decode)


def _mlp_layers(state: Mapping[str, Any], path: Path) -> list[tuple[Tensor, Tensor]]:
    numbers = sorted(
        int(key.removeprefix(_MLP).removesuffix(".weight"))
        for key in state
        if key.startswith(_MLP) and key.endswith(".weight")
    )
    try:
        layers = [(state[f"{_MLP}{n}.weight"], state[f"{_MLP}{n}.bias"]) for n in numbers]
    except KeyError as error:
        raise LiifBenchError(f"'{path}' lacks {error} of the MLP") from error
    if len(layers) < 2:
        raise LiifBenchError(f"'{path}' has no MLP of two or more layers under '{_MLP}'")
    width = layers[0][0].shape[1]
    for number, (weight, bias) in zip(numbers, layers, strict=True):
        if weight.ndim != 2 or weight.shape[1] != width or bias.shape != weight.shape[:1]:
            raise LiifBenchError(f"'{path}': layer {number} of the MLP does not fit its neighbours")
        width = weight.shape[0]
    return layers


def _check_shapes(state: Mapping[str, Any], expected: Mapping[str, Any], path: Path) -> None:
    for key in [*expected, *(key for key in state if key not in expected)]:
        if key not in state:
            raise LiifBenchError(f"'{path}' is not EDSR-baseline: it lacks '{_ENCODER}{key}'")
        if key not in expected:
            raise LiifBenchError(f"'{path}' is not EDSR-baseline: unexpected '{_ENCODER}{key}'")
        if tuple(state[key].shape) != tuple(expected[key]):
            raise LiifBenchError(
                f"'{path}' is not EDSR-baseline: '{_ENCODER}{key}' is"
                f" {tuple(state[key].shape)}, expected {tuple(expected[key])}"
            )
