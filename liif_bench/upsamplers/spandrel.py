"""Checkpoints of the architectures that spandrel knows, as fixed-scale upsamplers.

The file is read by our own readers (tensors and plain containers only, or safetensors); spandrel
is given the state dict, and recognises the architecture by its names and shapes. TorchScript
archives, which carry code, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from spandrel import (
    ModelLoader,
    UnsupportedModelError,
    canonicalize_state_dict,
)
from torch import Tensor

from liif_bench.errors import LiifBenchError, one_line
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.upsamplers.base import Options, Weights, check_precision
from liif_bench.upsamplers.fixed import (
    TILE_OPTIONS,
    FixedScale,
    Tiling,
    describe_tiling,
    read_passes,
    read_tiling,
)
from liif_bench.upsamplers.options import split_options
from liif_bench.weights.readers import check_tensors, read_safetensors, read_torch

_MODULES_PER_TENSOR, _FEW_MODULES = 4, 64
_PICKLES = (".pth", ".pt", ".ckpt", ".bin")


class SpandrelNetwork:
    """A network that spandrel recognised.

    Args:
        label: For messages.
        descriptor: The network, ready on its device and in its number format.
        tiling: How its input is cut.
    """

    def __init__(self, label: str, descriptor: Any, tiling: Tiling) -> None:
        self.label = label
        self.tiling = tiling
        self.scale: int = descriptor.scale
        self._descriptor = descriptor

    def run(self, lr: Tensor) -> Tensor:
        """Enlarge; see `Network.run`. The descriptor pads LR as its network needs, and cuts it off.

        Raises:
            LiifBenchError: The output has another size.
        """
        given = lr[None].to(self._descriptor.device, self._descriptor.dtype)
        made: Tensor = self._descriptor(given)[0].float().cpu()
        expected = (3, lr.shape[1] * self.scale, lr.shape[2] * self.scale)
        if made.shape != expected:
            raise LiifBenchError(
                f"model '{self.label}' makes {tuple(made.shape)} of {tuple(lr.shape)}, expected"
                f" {expected}: spandrel took it for another network"
            )
        return made


def spandrel_file(options: Options, argument: str) -> FixedScale:
    """Load a checkpoint.

    Args:
        options: Device, precision and the budget of memory.
        argument: ``PATH`` of a ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors`` file; options:
            ``tile``, ``overlap``, ``passes``.

    Raises:
        LiifBenchError: The file is missing, cannot be read safely, is of no architecture that
            spandrel knows, is no RGB super-resolution, or cannot run in that precision.
    """
    text, given = split_options(argument, ("passes", *TILE_OPTIONS))
    path = user_path(text)
    descriptor = _descriptor(path)
    _check_precision(path, descriptor, options)
    descriptor.eval().to(torch.device(options.device), options.dtype)
    tiling = read_tiling(given)
    label = f"spandrel:{path.stem}"
    return FixedScale(
        label,
        (SpandrelNetwork(label, descriptor, tiling),),
        Weights(str(path), file_sha256(path)),
        options.memory,
        read_passes(given),
        {
            **describe_tiling(tiling),
            "architecture": " ".join([descriptor.architecture.name, *descriptor.tags]),
            "spandrel": metadata.version("spandrel"),
        },
    )


def _descriptor(path: Path) -> Any:
    """Read a checkpoint and let spandrel recognise it."""
    state = _state(path)
    try:
        state = canonicalize_state_dict(state)
        _check_size(path, state)
        descriptor = ModelLoader().load_from_state_dict(state)
    except LiifBenchError:
        raise
    except UnsupportedModelError as error:
        raise LiifBenchError(
            f"'{path}' is of no architecture that spandrel {metadata.version('spandrel')} knows"
        ) from error
    except Exception as error:  # architectures raise almost anything on shapes that do not fit
        raise LiifBenchError(f"spandrel cannot load '{path}': {one_line(error)}") from error
    if descriptor.purpose != "SR":
        raise LiifBenchError(
            f"'{path}' is {descriptor.architecture.name} for {descriptor.purpose}, not for"
            " super-resolution"
        )
    channels = descriptor.input_channels, descriptor.output_channels
    if channels != (3, 3):
        raise LiifBenchError(
            f"'{path}' maps {channels[0]} channels to {channels[1]}: only RGB networks can be run"
        )
    if descriptor.scale < 2:
        raise LiifBenchError(f"'{path}' does not enlarge: its scale is {descriptor.scale}")
    return descriptor


def _check_size(path: Path, state: Mapping[str, Any]) -> None:
    """Refuse what would make spandrel build a network far larger than the file.

    It builds as many layers as the highest number in a name asks for. A sequence has a few modules
    without weights, such as activations, for each that has some.
    """
    check_tensors(path, state)
    highest = max((int(n) for name in state for n in re.findall(r"(?<![^.])\d+", name)), default=0)
    if highest > _MODULES_PER_TENSOR * len(state) + _FEW_MODULES:
        raise LiifBenchError(
            f"'{path}' numbers a layer {highest} and holds {len(state)} tensors: damaged"
        )


def _state(path: Path) -> dict[str, Any]:
    """Read a state dict, perhaps inside others; nothing but data is let through."""
    if not path.is_file():
        raise LiifBenchError(f"checkpoint '{path}' does not exist")
    if path.suffix == ".safetensors":
        return dict(read_safetensors(path))
    if path.suffix not in _PICKLES:
        raise LiifBenchError(
            f"'{path}' has the suffix '{path.suffix}': use {', '.join(_PICKLES)} or .safetensors"
        )
    content = read_torch(path)
    if not isinstance(content, dict):
        raise LiifBenchError(f"'{path}' holds a {type(content).__name__}, not a state dict")
    return content


def _check_precision(path: Path, descriptor: Any, options: Options) -> None:
    check_precision(options)
    possible = {
        "float32": True,
        "bfloat16": descriptor.supports_bfloat16,
        "float16": descriptor.supports_half,
    }
    if not possible[options.precision]:
        raise LiifBenchError(
            f"'{path}' is {descriptor.architecture.name}, which cannot run in {options.precision}:"
            " use --precision float32"
        )
