"""The encoders that LIIF's authors put in front of their decoders, by the name in a checkpoint."""

from __future__ import annotations

from typing import Any

import torch

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.liif.edsr import EdsrBaseline
from liif_bench.upsamplers.liif.features import Encoder
from liif_bench.upsamplers.liif.rdn import Rdn

EDSR_BASELINE = "edsr-baseline"
RDN = "rdn"

ENCODERS: dict[str, type[EdsrBaseline] | type[Rdn]] = {EDSR_BASELINE: EdsrBaseline, RDN: Rdn}


def check_precision(options: Options) -> None:
    """Refuse a number format that the device cannot compute in.

    Raises:
        LiifBenchError: float16 on the CPU.
    """
    if options.precision == "float16" and torch.device(options.device).type == "cpu":
        raise LiifBenchError("float16 needs a GPU; use bfloat16 or float32 on the CPU")


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
