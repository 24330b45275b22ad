"""What an upsampler is: it encodes LR once and renders any window of it at any size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import CellRule, NetworkRules, Precision

DEFAULT_MEMORY = 512 << 20


class Window(NamedTuple):
    """A part of an image, in fractions of its sides: 0 is the top or left edge, 1 the other."""

    top: float
    left: float
    bottom: float
    right: float


FULL = Window(0.0, 0.0, 1.0, 1.0)


def pixel_window(size: tuple[int, int], top: int, left: int, height: int, width: int) -> Window:
    """Return the window that covers whole pixels of an image rendered at `size` `(H, W)`."""
    return Window(top / size[0], left / size[1], (top + height) / size[0], (left + width) / size[1])


class ContinuousImage(Protocol):
    """Anything that renders any window of itself at any size."""

    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window.

        Args:
            size: `(H, W)` of the result in pixels.
            window: The part to render. Rendering a window gives the same pixels as rendering
                everything and cutting the window out.

        Returns:
            `(3, H, W)` float32 on the CPU, RGB, clamped to [0, 1].
        """
        ...


@dataclass(frozen=True)
class Weights:
    """Identity of pre-trained weights: registry id or path, and the SHA-256 of the file."""

    id: str
    sha256: str


TrainingScales = tuple[tuple[float, float], ...]
"""Ranges of scales: ((1, 4),) for LIIF, ((4, 4),) for a network of x4 alone."""


class Upsampler(Protocol):
    """A way to enlarge images.

    Attributes:
        name: As in tables and records.
        training_scales: The scales of its training; None if it was never trained.
        weights: What it was loaded from; None if it has no weights.
        settings: Every other choice that changes its output, by name, for the run's manifest.
    """

    @property
    def name(self) -> str:
        """As in tables and records."""
        ...

    @property
    def training_scales(self) -> TrainingScales | None:
        """The scales of its training."""
        ...

    @property
    def weights(self) -> Weights | None:
        """What it was loaded from."""
        ...

    @property
    def settings(self) -> Mapping[str, str]:
        """Every other choice that changes its output."""
        ...

    def encode(self, lr: Tensor) -> ContinuousImage:
        """Encode LR once.

        Args:
            lr: `(3, h, w)` float32, RGB, [0, 1].

        Returns:
            What renders any window at any size.
        """
        ...


@dataclass(frozen=True)
class Request:
    """What an upsampler may know of a case: everything but HR.

    Attributes:
        item: Name of the image.
        scale: HR size / LR size.
        size: `(H, W)` of HR in pixels.
        lr: `(3, h, w)` float32, RGB, [0, 1].
    """

    item: str
    scale: float
    size: tuple[int, int]
    lr: Tensor


@runtime_checkable
class CaseUpsampler(Protocol):
    """An upsampler that has to know which case it answers, such as a folder of finished images."""

    def encode_case(self, request: Request) -> ContinuousImage:
        """Encode a case; see `Upsampler.encode`."""
        ...


@runtime_checkable
class Retunable(Protocol):
    """An encoded image that renders under other rules of the protocol without encoding again."""

    def under(self, *, local_ensemble: bool, cell_rule: CellRule) -> ContinuousImage:
        """Return the same image under other rules."""
        ...


@runtime_checkable
class Described(Protocol):
    """An upsampler that says how it is built, for the manifest of a run and who explains it."""

    @property
    def structure(self) -> Mapping[str, str | int]:
        """What it is made of, by name: labels, widths, numbers of parameters."""
        ...


@runtime_checkable
class Oracle(Protocol):
    """What stands among upsamplers and is none: it is shown HR, as the ceiling of the others."""

    def encode_truth(self, hr: Tensor) -> ContinuousImage:
        """Encode HR, `(3, H, W)` float32, RGB, [0, 1]."""
        ...


def encode_case(upsampler: Upsampler, request: Request) -> ContinuousImage:
    """Let an upsampler encode a case, by name where it wants to know the name."""
    if isinstance(upsampler, CaseUpsampler):
        return upsampler.encode_case(request)
    return upsampler.encode(request.lr)


@dataclass(frozen=True)
class Options:
    """How networks are run; a protocol fixes all but the device.

    Attributes:
        device: "cpu" or "cuda" (or "cuda:1", ...).
        precision: Number format of weights and activations.
        local_ensemble: Whether LIIF blends its four nearest latent codes.
        cell_rule: "exact", or "clip" at the cell of x4.
        memory: Most bytes that an upsampler may hold beyond LR and its output. It changes no
            number.
    """

    device: str = "cpu"
    precision: Precision = "float32"
    local_ensemble: bool = True
    cell_rule: CellRule = "exact"
    memory: int = DEFAULT_MEMORY

    @classmethod
    def under(cls, rules: NetworkRules, device: str, memory: int = DEFAULT_MEMORY) -> Options:
        """Return what a protocol fixes, on a device, within a budget of memory."""
        return cls(device, rules.precision, rules.local_ensemble, rules.cell_rule, memory)

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype of `precision`."""
        return {
            "float32": torch.float32,
            "bfloat16": torch.bfloat16,
            "float16": torch.float16,
        }[self.precision]


def render_checked(image: ContinuousImage, size: tuple[int, int], window: Window = FULL) -> Tensor:
    """Render a window and refuse what is no picture of that size; see `ContinuousImage.render`.

    Raises:
        LiifBenchError: The output has another size or is not finite.
    """
    rendered = image.render(size, window)
    if rendered.shape != (3, *size):
        raise LiifBenchError(f"output is {tuple(rendered.shape)}, expected {(3, *size)}")
    if not bool(torch.isfinite(rendered).all()):
        raise LiifBenchError("output holds values that are not finite")
    return rendered


def check_precision(options: Options) -> None:
    """Refuse a number format that the device cannot compute in.

    Raises:
        LiifBenchError: float16 on the CPU.
    """
    if options.precision == "float16" and torch.device(options.device).type == "cpu":
        raise LiifBenchError("float16 needs a GPU; use bfloat16 or float32 on the CPU")


def check_lr(lr: Tensor) -> None:
    """Refuse what is not a `(3, h, w)` floating-point tensor in [0, 1].

    Raises:
        LiifBenchError: Says what came instead.
    """
    if lr.ndim != 3 or lr.shape[0] != 3 or not lr.is_floating_point() or lr.numel() == 0:
        raise LiifBenchError(
            f"lr must be a (3, h, w) floating-point tensor, got {tuple(lr.shape)} {lr.dtype}"
        )
    low, high = (float(bound) for bound in torch.aminmax(lr))
    if not (low >= 0 and high <= 1):
        raise LiifBenchError(f"lr must lie in [0, 1], got values from {low:g} to {high:g}")


def regime(upsampler: Upsampler, scale: float) -> str | None:
    """Return "in" or "out" of the upsampler's training scales; None if it was never trained."""
    if upsampler.training_scales is None:
        return None
    inside = any(low <= scale <= high for low, high in upsampler.training_scales)
    return "in" if inside else "out"
