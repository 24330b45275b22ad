"""How far protocols lie apart: what each choice of one moves, and which choices make a difference.

Everything is paired by image: an offset is the mean over images of the difference of two scores of
the same output, or of two outputs for the same HR where the choice decides what the network does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pandas as pd

from liif_bench.protocol import Colour, Generator, Protocol, SsimWindow, differences

METRICS = ("psnr", "ssim", "lpips")
"""The metrics whose numbers a protocol decides."""

# Choices in the order in which a case is made and scored. Fields that end alike move together.
_CHOICES = {
    "LR": ("lr.given", "lr.generator", "lr.hr_multiple"),
    "cell rule": ("network.cell_rule",),
    "local ensemble": ("network.local_ensemble",),
    "precision": ("network.precision",),
    "rounding": ("rounding",),
    "colour": ("psnr.colour", "ssim.colour"),
    "border": tuple(f"{metric}.shave_{part}" for metric in METRICS for part in ("scale", "extra")),
    "window": ("ssim.window",),
    "trunk": ("lpips.net",),
    "input range": ("lpips.range",),
    "classifier": ("zoom.classifier",),
    "zoom grid": ("zoom.sizes",),
}

RENDERING = ("LR", "cell rule", "local ensemble", "precision")
"""The choices that decide what the network sees and does; the others only score its output."""


@dataclass(frozen=True)
class Step:
    """One choice, changed.

    Attributes:
        choice: What was chosen otherwise, such as "colour".
        before: The protocol before.
        after: The protocol after.
    """

    choice: str
    before: Protocol
    after: Protocol

    def concerns(self, metric: str) -> bool:
        """Whether a field changes that this metric depends on."""
        return any(
            field.startswith(f"{metric}.") or field.partition(".")[0] not in (*METRICS, "zoom")
            for field, _, _ in differences(self.before, self.after)
        )

    def states(self, metric: str) -> tuple[str, str]:
        """Return what was and what is chosen for a metric, as in ("y-liif", "rgb")."""
        before, after = (_state(p, self.choice, metric) for p in (self.before, self.after))
        return before, after

    def describe(self, metric: str) -> str:
        """Say what changes for a metric, as in "colour y-liif -> rgb"."""
        before, after = self.states(metric)
        return f"{self.choice} {before} -> {after}"


def _state(protocol: Protocol, choice: str, metric: str) -> str:
    fields = protocol.fields
    if choice == "LR":
        lr = protocol.lr
        multiple = f" of HR in multiples of {lr.hr_multiple}" if lr.hr_multiple > 1 else ""
        return f"files, else {lr.generator}" if lr.given else f"{lr.generator}{multiple}"
    if choice == "border":
        scale, extra = fields[f"{metric}.shave_scale"], fields[f"{metric}.shave_extra"]
        terms = [] if not scale else ["s" if scale == 1 else f"{scale:g}s"]
        return "+".join(terms + ([str(extra)] if extra or not terms else []))
    if choice == "colour":
        return str(fields[f"{metric}.colour"])
    value = fields[_CHOICES[choice][0]]
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def path(first: Protocol, second: Protocol) -> list[Step]:
    """Walk from one protocol to another, one choice at a time, in the order of `_CHOICES`.

    The offsets of the steps add up to the offset between the two.
    """
    differing = {difference.field: difference.second for difference in differences(first, second)}
    steps, here = [], first
    for choice, fields in _CHOICES.items():
        changes = {field: differing[field] for field in fields if field in differing}
        if changes:
            there = here.changed(changes)
            steps.append(Step(choice, here, there))
            here = there
    return steps


def single_steps(base: Protocol, metrics: Sequence[str]) -> list[Step]:
    """Return every way of changing one choice of a protocol, for the metrics asked for.

    Precision is left out: on most machines another one is many times slower.
    """
    return [
        Step(choice, base, changed)
        for choice, changes in _alternatives(metrics)
        if differences(base, changed := base.changed(changes))
    ]


def _alternatives(metrics: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "LR", {"lr.hr_multiple": 1, "lr.given": True}
    for generator in get_args(Generator):
        yield "LR", {"lr.given": False, "lr.generator": generator}
    for rule in ("exact", "clip"):
        yield "cell rule", {"network.cell_rule": rule}
    for ensemble in (True, False):
        yield "local ensemble", {"network.local_ensemble": ensemble}
    for rounding in ("none", "uint8"):
        yield "rounding", {"rounding": rounding}
    regions = [metric for metric in metrics if metric != "lpips"]
    if regions:
        for colour in get_args(Colour):
            yield "colour", {f"{metric}.colour": colour for metric in regions}
    for scale, extra in ((0, 0), (1, 0), (1, 6)):
        shave = {"shave_scale": scale, "shave_extra": extra}
        yield "border", {f"{metric}.{key}": v for metric in metrics for key, v in shave.items()}
    if "ssim" in metrics:
        for window in get_args(SsimWindow):
            yield "window", {"ssim.window": window}
    if "lpips" in metrics:
        for net in ("alex", "vgg"):
            yield "trunk", {"lpips.net": net}
        for reach in ("-1..1", "0..1"):
            yield "input range", {"lpips.range": reach}


@dataclass(frozen=True)
class Offset:
    """How far a score moves.

    Attributes:
        mean: Mean over images of the difference.
        largest: Largest difference of one image, by absolute value, with its sign.
        images: Number of images that have both scores.
    """

    mean: float
    largest: float
    images: int


@dataclass(frozen=True)
class Audit:
    """Outputs scored under many protocols.

    Attributes:
        base: What the others are held against.
        presets: The protocols asked for.
        steps: Every choice of the base changed alone.
        metrics: Those that were scored.
        scores: Columns dataset, item, scale, upsampler, metric, protocol_hash, value, error.
    """

    base: Protocol
    presets: tuple[Protocol, ...]
    steps: tuple[Step, ...]
    metrics: tuple[str, ...]
    scores: pd.DataFrame

    def groups(self) -> list[tuple[str, str]]:
        """Return the pairs of data set and upsampler that were scored, in order."""
        pairs = self.scores[["dataset", "upsampler"]].drop_duplicates()
        return [(str(dataset), str(model)) for dataset, model in pairs.itertuples(index=False)]

    def scales(self) -> list[float]:
        """Return the scales that were scored, ascending."""
        return sorted(float(scale) for scale in self.scores["scale"].unique())

    def mean(
        self, protocol: Protocol, group: tuple[str, str], metric: str, scale: float
    ) -> float | None:
        """Return a protocol's mean over the images that have a score; None where none has."""
        values = self._values(protocol, group, metric, scale).dropna()
        return None if values.empty else float(values.mean())

    def offset(
        self, first: Protocol, second: Protocol, group: tuple[str, str], metric: str, scale: float
    ) -> Offset | None:
        """Return how far a metric moves from one protocol to another; None where no image can say.

        Args:
            first: Its score is subtracted.
            second: Its score is kept.
            group: Data set and upsampler.
            metric: Metric.
            scale: Scale.
        """
        one, other = (self._values(p, group, metric, scale) for p in (first, second))
        moved = (other - one).replace([np.inf, -np.inf], np.nan).dropna()
        if moved.empty:
            return None
        largest = moved.loc[moved.abs().idxmax()]
        return Offset(float(moved.mean()), float(largest), len(moved))

    def _values(
        self, protocol: Protocol, group: tuple[str, str], metric: str, scale: float
    ) -> pd.Series[float]:
        nothing: pd.Series[float] = pd.Series(dtype=float)
        return self._cells.get((protocol.hash, *group, metric, scale), nothing)

    @cached_property
    def _cells(self) -> dict[Any, pd.Series[float]]:
        """Scores by image, for each protocol, data set, upsampler, metric and scale."""
        keys = ["protocol_hash", "dataset", "upsampler", "metric", "scale"]
        by_item = self.scores.set_index("item")
        return {key: rows["value"].astype(float) for key, rows in by_item.groupby(keys)}


def needed_protocols(
    base: Protocol, presets: Sequence[Protocol], steps: Sequence[Step]
) -> dict[str, Protocol]:
    """Return every protocol that an audit has to score, by hash."""
    walked = [step.after for preset in presets for step in path(base, preset)]
    wanted = [base, *presets, *walked, *(step.after for step in steps)]
    return {protocol.hash: protocol for protocol in wanted}
