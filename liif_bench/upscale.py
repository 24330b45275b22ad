"""``liif-bench upscale``: zoom one picture, band by band, so that only its pixels are held."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Console
from rich.progress import track

from liif_bench.devices import resolve_device
from liif_bench.errors import LiifBenchError
from liif_bench.images import read_rgb, to_tensor, to_uint8, write_rgb
from liif_bench.progress import Bars
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import DEFAULT_MEMORY, Options, pixel_window

if TYPE_CHECKING:
    from liif_bench.protocol import Precision

_BAND_PIXELS = 1 << 18


def upscale_file(
    source: Path,
    target: Path,
    scale: float,
    model: str,
    *,
    device: str = "auto",
    precision: Precision = "float32",
    memory: int | None = None,
    console: Console | None = None,
) -> tuple[int, int]:
    """Enlarge an image file.

    Args:
        source: The image.
        target: What to write, whole or not at all; the suffix chooses the format.
        scale: Real number >= 1; the result has ``round(side * scale)`` pixels per side.
        model: Upsampler, as `load_upsampler`.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: Number format of the network.
        memory: Bytes that the upsampler may hold beyond LR and a band of output; 512 MiB where
            None.
        console: Where progress is shown; nowhere where None.

    Returns:
        `(H, W)` of the result.

    Raises:
        LiifBenchError: The image cannot be decoded, the model cannot be loaded, or the result
            cannot be held or written.
    """
    image = read_rgb(source)
    size = (round(image.shape[0] * scale), round(image.shape[1] * scale))
    options = Options(
        device=resolve_device(device),
        precision=precision,
        memory=DEFAULT_MEMORY if memory is None else memory,
    )
    shown = console or Console(quiet=True)
    upsampler = load_upsampler(model, options, Bars(shown).warn)
    try:
        result = np.empty((*size, 3), dtype=np.uint8)
    except MemoryError as error:
        raise LiifBenchError(
            f"{size[1]}x{size[0]} pixels do not fit into memory: choose a smaller scale"
        ) from error
    encoded = upsampler.encode(to_tensor(image))
    rows = max(1, _BAND_PIXELS // size[1])
    bands = track(
        range(0, size[0], rows),
        description=f"{upsampler.name} x{scale:g}",
        console=shown,
        transient=True,
    )
    for top in bands:
        height = min(rows, size[0] - top)
        window = pixel_window(size, top, 0, height, size[1])
        result[top : top + height] = to_uint8(encoded.render((height, size[1]), window))
    write_rgb(result, target)
    return size
