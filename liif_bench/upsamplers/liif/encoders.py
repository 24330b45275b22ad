"""The encoders that LIIF's authors put in front of their decoders, by the name in a checkpoint."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.liif.edsr import EdsrBaseline
from liif_bench.upsamplers.liif.features import Encoder, Features, make_features
from liif_bench.upsamplers.liif.rdn import Rdn

EDSR_BASELINE = "edsr-baseline"
RDN = "rdn"

ENCODERS: dict[str, type[EdsrBaseline] | type[Rdn]] = {EDSR_BASELINE: EdsrBaseline, RDN: Rdn}


def encode(batch: Tensor, encoder: Encoder, options: Options) -> list[Features]:
    """Encode LR images as LIIF's authors do: with values in [-1, 1].

    Args:
        batch: `(N, 3, h, w)` float32, RGB, [0, 1].
        encoder: Ready to encode.
        options: Device, precision and the budget of memory.
    """
    normalised = ((batch.to(options.device) - 0.5) / 0.5).to(options.dtype)
    return make_features(normalised, encoder, options.memory)


def decoded(normalised: Tensor) -> Tensor:
    """Return what a decoder made, in [-1, 1] or beyond, as RGB in [0, 1] on the CPU.

    Args:
        normalised: `(3, H, W)` float32; it is overwritten.
    """
    return normalised.mul_(0.5).add_(0.5).clamp_(0, 1).cpu()


def ready_encoder(name: str, state: dict[str, Any], options: Options) -> Encoder:
    """Make an encoder with its weights.

    Args:
        name: A name of `ENCODERS`.
        state: Its state dict.
        options: Device and precision.

    Returns:
        The network, ready to encode LR in [-1, 1].
    """
    encoder = ENCODERS[name]()
    encoder.load_state_dict(state)
    encoder.eval().requires_grad_(False).to(torch.device(options.device), options.dtype)
    encoder.to(memory_format=torch.channels_last)
    return encoder
