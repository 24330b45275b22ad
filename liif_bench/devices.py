"""Where networks run."""

from __future__ import annotations

import torch

from liif_bench.errors import LiifBenchError


def resolve_device(device: str) -> str:
    """Turn "auto" into what is there, and check what was asked for.

    Raises:
        LiifBenchError: No such device on this machine.
    """
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(device)
    except RuntimeError as error:
        raise LiifBenchError(f"unknown device '{device}': use auto, cpu, cuda or cuda:N") from error
    if kind.type == "cuda" and (kind.index or 0) >= torch.cuda.device_count():
        raise LiifBenchError(
            f"device '{device}' is not there: {torch.cuda.device_count()} CUDA devices found;"
            " use --device cpu"
        )
    if kind.type not in ("cpu", "cuda"):
        raise LiifBenchError(f"device '{device}' is not supported: use auto, cpu, cuda or cuda:N")
    return device


def forbid_tf32() -> None:
    """Make CUDA's matrix products and convolutions keep float32's digits."""
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
