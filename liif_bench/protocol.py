"""Protocols: every choice that changes a number, frozen, named, versioned and hashed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from liif_bench.errors import LiifBenchError, unknown_name
from liif_bench.shipped import read_toml, suites_folder, validate_file

Precision = Literal["float32", "bfloat16", "float16"]
CellRule = Literal["exact", "clip"]
Generator = Literal["pil-bicubic-uint8", "torch-bicubic-float", "matlab-bicubic-uint8"]
Colour = Literal["rgb", "y", "y-uint8", "y-liif", "y-full", "blue"]
SsimWindow = Literal["valid", "full", "zero"]

ShaveScale = Annotated[
    float, Field(ge=0, allow_inf_nan=False, description="border left out, in multiples of scale")
]
ShaveExtra = Annotated[int, Field(ge=0, description="border left out in addition, in pixels")]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Shaved(_Rules):
    """A border that is left out.

    Attributes:
        shave_scale: In multiples of the scale.
        shave_extra: In addition, in pixels.
    """

    shave_scale: ShaveScale
    shave_extra: ShaveExtra

    def shave(self, scale: float) -> int:
        """Return the border in pixels that is left out at `scale`.

        A fractional border is rounded up, so that no pixel nearer than the stated border counts.
        """
        return math.ceil(self.shave_scale * scale - 1e-9) + self.shave_extra


class LrRules(_Rules):
    """How LR is made.

    Attributes:
        given: Whether LR files that a data set brings for a scale are used as they are.
        generator: How LR is made from HR where there is no such file. All make
            ``floor(H / s + 1e-9)`` rows from HR cropped to ``round(h * s)``.
            "pil-bicubic-uint8": Pillow's antialiased bicubic filter on 8-bit values.
            "torch-bicubic-float": PyTorch's, in float32, clamped to [0, 1] and not rounded.
            "matlab-bicubic-uint8": MATLAB's `imresize` of an 8-bit image.
        hr_multiple: HR is cropped to multiples of this many pixels before LR is made.
    """

    given: bool = Field(description="LR files of the data set are used")
    generator: Generator = Field(description="how LR is made where there is no file")
    hr_multiple: int = Field(ge=1, description="HR is first cropped to multiples of this")

    @model_validator(mode="after")
    def _given_fits(self) -> LrRules:
        if self.given and self.hr_multiple > 1:
            raise ValueError("hr_multiple must be 1 where LR files are used: they fit whole HR")
        return self


class NetworkRules(_Rules):
    """How networks are run.

    Attributes:
        cell_rule: "exact": LIIF is told the true cell; "clip": the cell never gets smaller than
            at x4, the end of the training range (LTE's rule).
        local_ensemble: Whether LIIF blends its four nearest latent codes.
        precision: Number format of the upsamplers' networks.
    """

    cell_rule: CellRule = Field(description="the cell that LIIF is told")
    local_ensemble: bool = Field(description="LIIF blends its four nearest codes")
    precision: Precision = Field(description="number format of networks")


class PsnrRules(Shaved):
    """What PSNR sees.

    Attributes:
        colour: "rgb"; "y": BT.601 luma as MATLAB's `rgb2ycbcr` (65.481, 128.553, 24.966, offset
            16, of 255); "y-uint8": the same rounded to 8 bits; "y-liif": with the coefficients
            of the LIIF authors' code (65.738, 129.057, 25.064, of 256); "y-full": full-range luma
            (0.299, 0.587, 0.114); "blue": the blue channel alone, which MMagic's SSIM saw.
        shave_scale: Border left out, in multiples of the scale.
        shave_extra: Border left out in addition, in pixels.
    """

    colour: Colour = Field(description="channels that are scored")


class SsimRules(PsnrRules):
    """What SSIM sees.

    Attributes:
        colour: As in `PsnrRules`.
        shave_scale: Border left out, in multiples of the scale.
        shave_extra: Border left out in addition, in pixels.
        window: "valid": only windows inside the image count; "full": the border is reflected and
            every pixel counts; "zero": the border is zero and every pixel counts.
    """

    window: SsimWindow = Field(description="which windows count")


class LpipsRules(Shaved):
    """What LPIPS v0.1 sees.

    Attributes:
        net: Its trunk.
        range: "-1..1", which it was made for, or "0..1", which it takes without complaint.
        shave_scale: Border left out, in multiples of the scale.
        shave_extra: Border left out in addition, in pixels.
    """

    net: Literal["alex", "vgg"] = Field(description="trunk")
    range: Literal["-1..1", "0..1"] = Field(description="range of its input")


class ZoomRules(_Rules):
    """What a classifier is shown of an image; see `downstream.views`.

    Attributes:
        classifier: Which one, as ``liif-bench list classifiers`` names them.
        sizes: Pixels of the shorter side to which the image is resized, one after the other; at
            each, nine crops are cut.
    """

    classifier: str = Field(
        pattern=r"^[^\x00-\x1f\x7f]+$", description="network that is asked what it sees"
    )
    sizes: tuple[Annotated[int, Field(ge=1, le=4096)], ...] = Field(
        min_length=1, description="shorter sides of the zoom grid, nine crops each"
    )

    @field_validator("sizes")
    @classmethod
    def _distinct(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(sizes)) < len(sizes):
            raise ValueError("a size stands twice")
        return sizes


class Protocol(_Rules):
    """How LR is made, how the network is run, and how its output is scored.

    Attributes:
        name: The preset's name.
        version: Raised whenever a field that changes numbers changes.
        description: One line for people.
        source: Where the choices come from.
        lr: How LR is made.
        network: How networks are run.
        rounding: "none": SR is clamped to [0, 1] only; "uint8": rounded to 8 bits as well.
        psnr: What PSNR sees.
        ssim: What SSIM sees.
        lpips: What LPIPS sees.
        zoom: What a classifier is shown.
    """

    name: str = Field(pattern=r"^[^\x00-\x1f\x7f]+$")
    version: int = Field(ge=1)
    description: str
    source: str
    lr: LrRules
    network: NetworkRules
    rounding: Literal["none", "uint8"] = Field(description="of SR before it is scored")
    psnr: PsnrRules
    ssim: SsimRules
    lpips: LpipsRules
    zoom: ZoomRules

    @property
    def fields(self) -> dict[str, Any]:
        """Every field that changes a number, by dotted name, such as ``ssim.window``."""
        flat: dict[str, Any] = {}
        for name, value in self.model_dump(exclude=_WORDS).items():
            if isinstance(value, dict):
                flat |= {f"{name}.{inner}": part for inner, part in value.items()}
            else:
                flat[name] = value
        return flat

    @property
    def hash(self) -> str:
        """First 12 hex digits of the SHA-256 over every field that changes a number."""
        canonical = json.dumps(self.fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()[:12]

    def changed(self, fields: Mapping[str, Any]) -> Protocol:
        """Return the protocol with other values of some fields, by dotted name; checked anew."""
        dump = self.model_dump()
        for name, value in fields.items():
            outer, _, inner = name.partition(".")
            if inner:
                dump[outer][inner] = value
            else:
                dump[outer] = value
        return Protocol.model_validate(dump)

    def with_precision(self, precision: Precision) -> Protocol:
        """Return the same protocol at another number format (its hash differs)."""
        return self.changed({"network.precision": precision})

    def with_classifier(self, classifier: str) -> Protocol:
        """Return the same protocol with another classifier (its hash differs)."""
        return self.changed({"zoom.classifier": classifier})


_WORDS = {"name", "version", "description", "source"}


class Difference(NamedTuple):
    """A field in which two protocols differ, and its values."""

    field: str
    first: Any
    second: Any


def differences(first: Protocol, second: Protocol) -> list[Difference]:
    """Return the fields in which two protocols differ; names and words do not count."""
    theirs = second.fields
    return [
        Difference(name, value, theirs[name])
        for name, value in first.fields.items()
        if value != theirs[name]
    ]


def field_meanings() -> dict[str, str]:
    """Return what each field says, by dotted name."""
    meanings: dict[str, str] = {}
    for name, info in Protocol.model_fields.items():
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            inner = info.annotation.model_fields
            meanings |= {f"{name}.{key}": part.description or "" for key, part in inner.items()}
        elif name not in _WORDS:
            meanings[name] = info.description or ""
    return meanings


def protocol_names() -> list[str]:
    """Return the names of the protocols that are shipped, sorted."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def load_protocol(name: str) -> Protocol:
    """Load a protocol preset.

    Args:
        name: One of `protocol_names`, or the path of a ``.toml`` file.

    Returns:
        The protocol; one from a path is named after the file.

    Raises:
        LiifBenchError: No such preset, or its file has an unknown, missing or wrong field.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise LiifBenchError(f"protocol file '{name}' does not exist")
        return _read(path)
    if name not in protocol_names():
        raise unknown_name("protocol", name, protocol_names())
    return _shipped(name)


@cache
def _shipped(name: str) -> Protocol:
    return _read(_folder() / f"{name}.toml")


def _folder() -> Path:
    return suites_folder() / "protocols"


def _read(path: Path) -> Protocol:
    return validate_file(Protocol, path, {"name": path.stem, **read_toml(path)}, "protocol file")


def stored_protocol(content: Mapping[str, Any], path: Path) -> Protocol:
    """Return the protocol that a manifest holds.

    Args:
        content: As `Protocol.model_dump` wrote it.
        path: The run's folder, for the message.

    Raises:
        LiifBenchError: It was written by a liif-bench whose protocols had other fields.
    """
    return validate_file(Protocol, path, content, "protocol of the run")


def to_toml(protocol: Protocol) -> str:
    """Return a protocol as the text of a preset file, each field with its meaning."""
    meanings = field_meanings()
    lines = [f"# {protocol.name}: hash {protocol.hash}"]
    lines += [f"{name} = {_toml(getattr(protocol, name))}" for name in _HEAD]
    table = ""
    for name, value in sorted(protocol.fields.items(), key=lambda item: "." in item[0]):
        outer, _, inner = name.rpartition(".")
        if outer != table:
            lines += ["", f"[{outer}]"]
            table = outer
        lines.append(f"{f'{inner} = {_toml(value)}':<36} # {meanings[name]}")
    return "\n".join(lines) + "\n"


_HEAD = ("version", "description", "source")


def _toml(value: object) -> str:
    """Write a string, number, truth value or list as TOML: JSON's way but for one sign."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
