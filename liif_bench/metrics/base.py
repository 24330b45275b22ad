"""What a metric is: a function of a case and an output, with a name, a variant and a direction."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, runtime_checkable

from torch import Tensor

from liif_bench.protocol import Protocol as ScoringProtocol
from liif_bench.upsamplers.base import ContinuousImage

T = TypeVar("T")


class Memo:
    """Remembers what has been computed from one image alone, so that metrics share it."""

    def __init__(self) -> None:
        self._values: dict[Hashable, Any] = {}
        self._latest: dict[str, tuple[Hashable, Any]] = {}

    def once(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of `key`, computing it the first time it is asked for."""
        if key not in self._values:
            self._values[key] = compute()
        value: T = self._values[key]
        return value

    def latest(self, kind: str, key: Hashable, compute: Callable[[], T]) -> T:
        """Return the value of `key`, computing it unless it is the last of its kind asked for.

        For values too large to keep one for every key: the one before is dropped first.
        """
        if kind not in self._latest or self._latest[kind][0] != key:
            self._latest.pop(kind, None)
            self._latest[kind] = (key, compute())
        value: T = self._latest[kind][1]
        return value


@dataclass(frozen=True)
class Case:
    """One item at one scale under a protocol.

    Attributes:
        protocol: How it is scored.
        scale: HR size / LR size.
        lr: `(3, h, w)` float32, RGB, [0, 1].
        hr: `(3, H, W)` float32, RGB, [0, 1], cropped to what LR answers to.
        lr_source: "given" for a file of the data set, or the generator that made LR.
        labels: WordNet ids of every right ImageNet class; empty if unknown.
        item: Name of the image; empty where it has none.
        memo: What is computed from HR alone, once for all upsamplers.
    """

    protocol: ScoringProtocol
    scale: float
    lr: Tensor
    hr: Tensor
    lr_source: str
    labels: tuple[str, ...] = ()
    item: str = ""
    memo: Memo = field(default_factory=Memo, compare=False)

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` of HR."""
        return (self.hr.shape[1], self.hr.shape[2])


class Output:
    """What an upsampler made of a case.

    Args:
        sr: `(3, H, W)` float32, RGB, [0, 1], the size of HR; or what renders it when it is first
            asked for.
        image: What the upsampler encoded; None where there are only pixels.
        watch: Counts the time of rendering parts of `image`.
    """

    def __init__(
        self,
        sr: Tensor | Callable[[], Tensor],
        image: ContinuousImage | None = None,
        watch: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._sr = sr
        self.image = image
        self.watch = watch
        self.memo = Memo()

    @property
    def rendered(self) -> bool:
        """Whether `sr` is there already."""
        return isinstance(self._sr, Tensor)

    @property
    def sr(self) -> Tensor:
        """`(3, H, W)` float32, RGB, [0, 1], the size of HR.

        Raises:
            LiifBenchError: It is rendered only now, and cannot be.
        """
        if not isinstance(self._sr, Tensor):
            self._sr = self._sr()
        return self._sr


def as_scored(rendered: Tensor, protocol: ScoringProtocol) -> Tensor:
    """Clamp and round a rendered image, or a part of one, as a protocol scores it.

    Args:
        rendered: `(3, H, W)` RGB as rendered; [0, 1] but for what will be clamped.
        protocol: Says how SR is rounded.
    """
    clamped = rendered.clamp(0, 1)
    return clamped.mul(255).round().div(255) if protocol.rounding == "uint8" else clamped


class Metric(Protocol):
    """A measurement.

    Attributes:
        name: As in tables and records.
        higher_is_better: Direction.
    """

    @property
    def name(self) -> str:
        """As in tables and records."""
        ...

    @property
    def higher_is_better(self) -> bool:
        """Direction."""
        ...

    def variant(self, protocol: ScoringProtocol) -> str:
        """Say which of the numbers that go by this name is measured."""
        ...

    def needs(self, protocol: ScoringProtocol) -> tuple[str, ...]:
        """Return the registry ids of the weights that it reads."""
        ...

    def score(self, case: Case, output: Output) -> float:
        """Measure.

        Raises:
            NotApplicableError: The metric has no meaning for this case.
            LiifBenchError: It has one, but cannot be computed; the message says why.
        """
        ...


@runtime_checkable
class Identified(Protocol):
    """A metric that reads pre-trained weights which are not in the registry."""

    def identify(self, protocol: ScoringProtocol) -> Mapping[str, str]:
        """Return the SHA-256 of each of them, by name.

        Raises:
            LiifBenchError: They cannot be read. The run then does not begin.
        """
        ...


@runtime_checkable
class Detailed(Protocol):
    """A metric that keeps what its values were made of, as rows of a table of its own.

    Metrics that name one table share its rows: the first of them is asked. Where a table has
    several parts, such as one per encoder, metrics say theirs as ``part``, and the first of each
    is asked.

    Attributes:
        table: Name of the table; the run's folder holds it as ``<table>.parquet``.
    """

    @property
    def table(self) -> str:
        """Name of the table."""
        ...

    def details(self, case: Case, output: Output) -> Sequence[Mapping[str, Any]]:
        """Return the rows of an output.

        Values by column are strings, numbers, truth values, lists of numbers, or None.

        Raises:
            LiifBenchError: They cannot be computed; the message says why.
        """
        ...


def rows_of(metric: Detailed) -> tuple[str, str]:
    """Return which rows a metric gives: the table, and the part of it ("" where it has none)."""
    return metric.table, getattr(metric, "part", "")


def sees_whole(metric: Metric) -> bool:
    """Whether a metric looks at SR as a whole.

    One that only renders parts of `Output.image` says ``windows_only = True``. Where all of a run's
    metrics do, SR is not rendered as a whole.
    """
    return not getattr(metric, "windows_only", False)
