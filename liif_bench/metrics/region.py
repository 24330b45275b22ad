"""The part of an image that a metric sees: all but a border."""

from __future__ import annotations

from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import Shaved


def shaved(image: Tensor, shave: int) -> Tensor:
    """Return an image without a border.

    Args:
        image: `(C, H, W)`.
        shave: Width of the border in pixels.

    Returns:
        `(C, H - 2 shave, W - 2 shave)`.

    Raises:
        LiifBenchError: Nothing would be left.
    """
    height, width = image.shape[1:]
    if min(height, width) <= 2 * shave:
        raise LiifBenchError(
            f"{width}x{height} pixels are too small for a shave of {shave} on every side"
        )
    return image[:, shave : height - shave, shave : width - shave]


def shave_variant(rules: Shaved) -> str:
    """Say which border is left out, as in "shave s+6" or "whole image"."""
    factor = "" if rules.shave_scale == 1 else f"{rules.shave_scale:g}"
    terms = [f"{factor}s"] if rules.shave_scale else []
    terms += [str(rules.shave_extra)] if rules.shave_extra else []
    return f"shave {'+'.join(terms)}" if terms else "whole image"
