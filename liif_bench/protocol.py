"""Protocols: every choice that changes a number, frozen, named, versioned and hashed."""

from __future__ import annotations

import hashlib
import json
import math
from functools import cache
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liif_bench.errors import LiifBenchError, unknown_name
from liif_bench.shipped import read_toml, suites_folder

Precision = Literal["float32", "bfloat16", "float16"]


class Protocol(BaseModel):
    """How LR is made, how the network is run, and how its output is scored.

    Attributes:
        name: The preset's name.
        version: Raised whenever a field that changes numbers changes.
        description: One line for people; not part of the hash.
        source: Where the choices come from; not part of the hash.
        degradation: How LR is made from HR. "pil-bicubic-uint8": LR has ``floor(H / s + 1e-9)``
            rows, HR is cropped to ``round(h * s)``, and Pillow's antialiased bicubic filter works
            on 8-bit values (LIIF's own generator).
        given_lr: Whether LR files that a data set brings for a scale are used as they are.
        colour: Channels that PSNR and SSIM see: "rgb", or "y", the BT.601 luma.
        shave_scale: Border left out of PSNR and SSIM, in multiples of the scale.
        shave_extra: Border left out of PSNR and SSIM in addition, in pixels.
        rounding: "none": SR is clamped to [0, 1] only; "uint8": rounded to 8 bits as well.
        ssim_window: "valid": only windows that lie inside the image count; "full": the border is
            reflected and every pixel counts.
        lpips_net: Trunk of LPIPS v0.1, which sees the whole image.
        cell_rule: "exact": LIIF is told the true cell; "clip": the cell never gets smaller than
            at x4, the end of the training range (LTE's rule).
        local_ensemble: Whether LIIF blends its four nearest latent codes.
        precision: Number format of the upsamplers' networks.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    version: int = Field(ge=1)
    description: str
    source: str
    degradation: Literal["pil-bicubic-uint8"]
    given_lr: bool
    colour: Literal["rgb", "y"]
    shave_scale: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    shave_extra: Annotated[int, Field(ge=0)]
    rounding: Literal["none", "uint8"]
    ssim_window: Literal["valid", "full"]
    lpips_net: Literal["alex", "vgg"]
    cell_rule: Literal["exact", "clip"]
    local_ensemble: bool
    precision: Precision

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over every field that changes a number."""
        fields = self.model_dump(exclude={"description", "source"})
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def shave(self, scale: float) -> int:
        """Return the border in pixels that PSNR and SSIM leave out at `scale`.

        A fractional border is rounded up, so that no pixel nearer than the stated border counts.
        """
        return math.ceil(self.shave_scale * scale - 1e-9) + self.shave_extra

    def with_precision(self, precision: Precision) -> Protocol:
        """Return the same protocol at another number format (its hash differs)."""
        return self.model_copy(update={"precision": precision})


def protocol_names() -> list[str]:
    """Return the names of the protocols that are shipped, sorted."""
    return sorted(path.stem for path in (suites_folder() / "protocols").glob("*.toml"))


@cache
def load_protocol(name: str) -> Protocol:
    """Load a protocol preset.

    Args:
        name: One of `protocol_names`.

    Returns:
        The protocol.

    Raises:
        LiifBenchError: No such preset, or its file has an unknown or wrong field.
    """
    if name not in protocol_names():
        raise unknown_name("protocol", name, protocol_names())
    path = suites_folder() / "protocols" / f"{name}.toml"
    try:
        return Protocol.model_validate({**read_toml(path), "name": name})
    except ValidationError as error:
        raise LiifBenchError(f"protocol file '{path}': {describe_invalid(error)}") from error


def describe_invalid(error: ValidationError) -> str:
    """Put a validation error into one line: each wrong field, what is wrong, what came."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
        + ("" if item["type"] == "missing" else f" (got {item['input']!r})")
        for item in error.errors()
    )
