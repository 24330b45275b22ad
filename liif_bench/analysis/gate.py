"""The gate: is a run worse than its baseline, by more than is tolerated and than chance explains?

Every cell of the baseline (data set, scale, model, metric) that a rule fits is compared image by
image. It fails where its mean has dropped by more than the rule tolerates *and* the drop is
significant; where it has dropped by as much and the images are too few to tell, it is a warning.
What cannot be compared is an outcome of its own, never a silent pass.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from scipy.stats import binomtest, ttest_1samp

from liif_bench.analysis.baseline import (
    Cell,
    CellKey,
    Change,
    Snapshot,
    data_changes,
    other_changes,
    protocol_changes,
)
from liif_bench.analysis.stats import Floats, holm, right_or_wrong
from liif_bench.shipped import read_toml, validate_file

_DEFAULT = Path(__file__).with_name("gate.toml")


class Rule(BaseModel):
    """How much worse a cell may get.

    Attributes:
        metric: Name of a metric, `*` standing for anything, as in a shell.
        tolerance: In the metric's unit; how far the mean over the images may drop.
        upsampler: Name of a model, likewise.
        dataset: Name of a data set, likewise.
        scales: Smallest and largest scale.
        regime: "in" or "out" of the model's training range.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: str
    tolerance: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    upsampler: str = "*"
    dataset: str = "*"
    scales: tuple[float, float] | None = None
    regime: Literal["in", "out"] | None = None

    def fits(self, cell: Cell) -> bool:
        """Whether a cell obeys this rule."""
        return (
            fnmatchcase(cell.metric, self.metric)
            and fnmatchcase(cell.upsampler, self.upsampler)
            and fnmatchcase(cell.dataset, self.dataset)
            and (self.scales is None or self.scales[0] <= cell.scale <= self.scales[1])
            and self.regime in (None, cell.regime)
        )


class Tripwire(BaseModel):
    """By what factor a run may cost more than its baseline; None where that is not asked.

    Attributes:
        time: Mean time of an enlargement, by model.
        memory: Most memory resident.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    time: Annotated[float, Field(gt=1)] | None = None
    memory: Annotated[float, Field(gt=1)] | None = None


class Rules(BaseModel):
    """What the gate asks.

    Attributes:
        alpha: Chance that an unchanged run fails by one of its cells, for Holm's correction.
        rule: A cell obeys the first that fits it.
        tripwire: What a run may cost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    alpha: Annotated[float, Field(gt=0, lt=1)] = 0.01
    rule: Annotated[tuple[Rule, ...], Field(min_length=1)]
    tripwire: Tripwire = Tripwire()


def read_rules(path: Path | None = None) -> Rules:
    """Read rules from a TOML file; the default ones without.

    Raises:
        LiifBenchError: The file cannot be read, or a field is unknown, missing or wrong.
    """
    file = path or _DEFAULT
    return validate_file(Rules, file, read_toml(file), "rules")


class Outcome(str, Enum):
    """What became of a cell. The first four let the gate fail."""

    worse = "worse"
    error = "error"
    missing = "missing"
    incomparable = "incomparable"
    unsure = "unsure"
    new = "new"
    unruled = "no rule"
    better = "better"
    same = "same"


FAILING = (Outcome.worse, Outcome.error, Outcome.missing, Outcome.incomparable)
WARNING = (Outcome.unsure, Outcome.unruled, Outcome.new)


@dataclass(frozen=True)
class Verdict:
    """What became of a cell.

    Attributes:
        key: The cell.
        outcome: In a word.
        says: One line.
        before: Mean of the baseline over the images of both; None where there is none.
        after: Mean of the candidate.
        change: By how much it got better (negative: worse), in the metric's unit.
        tolerance: Of the rule.
        p: Of the drop, after Holm; None where it was not tested.
        images: How many were compared.
        worst: The image that lost most, "" where none did.
    """

    key: CellKey
    outcome: Outcome
    says: str
    before: float | None = None
    after: float | None = None
    change: float | None = None
    tolerance: float | None = None
    p: float | None = None
    images: int = 0
    worst: str = ""


@dataclass(frozen=True)
class Report:
    """What the gate found.

    Attributes:
        candidate: Name of the run.
        baseline: Name of the run that it is held against.
        verdicts: One per cell, the gravest first; none where protocols or images differ.
        refusals: Why nothing could be compared.
        notes: What else changed, which explains and does not fail.
        costs: Tripwires that were touched.
        alpha: Of the rules.
    """

    candidate: str
    baseline: str
    verdicts: tuple[Verdict, ...]
    refusals: tuple[Change, ...] = ()
    notes: tuple[Change, ...] = ()
    costs: tuple[str, ...] = ()
    alpha: float = 0.01
    counts: Mapping[Outcome, int] = field(init=False)

    def __post_init__(self) -> None:
        outcomes = [verdict.outcome for verdict in self.verdicts]
        object.__setattr__(self, "counts", {o: outcomes.count(o) for o in Outcome if o in outcomes})

    @property
    def passed(self) -> bool:
        """Whether nothing fails."""
        return not (self.refusals or self.costs or any(map(self.counts.get, FAILING)))

    @property
    def failing(self) -> tuple[Verdict, ...]:
        """The cells that fail, the gravest first."""
        return tuple(verdict for verdict in self.verdicts if verdict.outcome in FAILING)


def gate(candidate: Snapshot, baseline: Snapshot, rules: Rules) -> Report:
    """Hold a run against its baseline."""
    refusals = protocol_changes(baseline, candidate) + data_changes(baseline, candidate)
    notes = other_changes(baseline, candidate)
    if refusals:
        return Report(
            candidate.run, baseline.run, (), tuple(refusals), tuple(notes), alpha=rules.alpha
        )
    ours = {cell.key: cell for cell in candidate.cells}
    theirs = {cell.key: cell for cell in baseline.cells}
    compared = {key: _compare(theirs[key], ours[key], rules) for key in theirs if key in ours}
    tested = [key for key, draft in compared.items() if draft.p is not None]
    corrected = dict(
        zip(tested, holm([p for key in tested if (p := compared[key].p) is not None]), strict=True)
    )
    verdicts = [
        *(_decide(draft, corrected.get(key), rules.alpha) for key, draft in compared.items()),
        *(_gone(theirs[key]) for key in theirs if key not in ours),
        *(_come(ours[key]) for key in ours if key not in theirs),
    ]
    order = list(Outcome)
    verdicts.sort(key=lambda verdict: (order.index(verdict.outcome), -_gravity(verdict)))
    costs = tuple(_costs(candidate, baseline, rules.tripwire))
    return Report(
        candidate.run, baseline.run, tuple(verdicts), (), tuple(notes), costs, rules.alpha
    )


def _gravity(verdict: Verdict) -> float:
    """How many tolerances a cell has dropped."""
    if verdict.change is None:
        return 0.0
    return -verdict.change / max(verdict.tolerance or 0.0, 1e-12)


@dataclass(frozen=True)
class _Draft:
    """A cell of both runs before its p-value is corrected."""

    cell: Cell
    tolerance: float | None
    p: float | None = None
    gains: Mapping[str, float] = field(default_factory=dict)
    before: float | None = None
    after: float | None = None
    broken: str = ""
    outcome: Outcome | None = None


def _compare(before: Cell, after: Cell, rules: Rules) -> _Draft:
    rule = next((rule for rule in rules.rule if rule.fits(before)), None)
    tolerance = None if rule is None else rule.tolerance
    lost = [item for item in after.errors if item in before.values]
    if lost:
        says = f"{lost[0]}: {after.errors[lost[0]]}"
        more = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        return _Draft(after, tolerance, broken=says + more, outcome=Outcome.error)
    if before.variant != after.variant:
        says = f"another variant: '{before.variant}' before, '{after.variant}' now"
        return _Draft(after, tolerance, broken=says, outcome=Outcome.incomparable)
    gone = [item for item in before.values if item not in after.values]
    if gone:
        says = f"no value of {len(gone)} of {len(before.values)} images, such as {gone[0]}"
        return _Draft(after, tolerance, broken=says, outcome=Outcome.missing)
    items = list(before.values)
    old = np.array([before.values[item] for item in items])
    new = np.array([after.values[item] for item in items])
    gains = _gains(new, old, higher_is_better=after.higher_is_better)
    if np.isposinf(gains).any() and np.isneginf(gains).any():
        up, down = (items[int(np.argmax(sign * gains))] for sign in (1, -1))
        says = f"{up} is better by infinity and {down} worse: there is no mean change"
        return _Draft(after, tolerance, broken=says, outcome=Outcome.incomparable)
    return _Draft(
        after,
        tolerance,
        None if tolerance is None else drop_p(gains, tolerance, binary=right_or_wrong(old, new)),
        dict(zip(items, map(float, gains), strict=True)),
        _mean(old),
        _mean(new),
    )


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if len(values) else None


def _gains(new: Floats, old: Floats, *, higher_is_better: bool) -> Floats:
    """By how much each image got better; nothing where both are infinite."""
    with np.errstate(invalid="ignore"):
        difference = new - old if higher_is_better else old - new
    return np.where(new == old, 0.0, difference)


def drop_p(gains: Floats, unit: float, *, binary: bool = False) -> float | None:
    """Return the one-sided p-value of a drop.

    Student's t-test of asinh(gain / unit): as it is where a gain is smaller than the unit, its
    logarithm where it is larger, so that an image which lost 5 dB does not hide that all others
    lost 1. Differences that are symmetric around 0 stay so. McNemar's exact test where every value
    is right or wrong. `benchmarks/gate.py` measures how often it is wrong on differences as they
    are.

    Args:
        gains: By image, negative where it got worse.
        unit: What is a small difference, above 0: the rule's tolerance.
        binary: Whether values are 0 or 1.

    Returns:
        The chance of as large a drop if nothing had changed; 1 where nothing differs; None for
        fewer than two images.
    """
    if len(gains) < 2:
        return None
    if not gains.any():
        return 1.0
    if binary:
        lost, won = int((gains < 0).sum()), int((gains > 0).sum())
        return float(binomtest(lost, lost + won, 0.5, alternative="greater").pvalue)
    if not np.isfinite(gains).all():
        return 0.0 if gains.min() == -math.inf else 1.0
    if np.ptp(gains) <= 1e-9 * np.abs(gains).max():  # by the same everywhere: that is no chance
        return 0.0 if gains[0] < 0 else 1.0
    return float(ttest_1samp(np.arcsinh(gains / unit), 0, alternative="less").pvalue)


def _decide(draft: _Draft, p: float | None, alpha: float) -> Verdict:
    cell, gains = draft.cell, draft.gains
    if draft.outcome is not None:
        return Verdict(cell.key, draft.outcome, draft.broken, tolerance=draft.tolerance)
    if not gains:
        return Verdict(cell.key, Outcome.same, "no image has a value, then and now")
    change = float(np.mean(list(gains.values())))
    worst = min(gains, key=lambda item: gains[item])
    return Verdict(
        cell.key,
        *_outcome(draft, change, p, alpha),
        before=draft.before,
        after=draft.after,
        change=change,
        tolerance=draft.tolerance,
        p=p,
        images=len(gains),
        worst=worst if gains[worst] < 0 else "",
    )


def _outcome(draft: _Draft, change: float, p: float | None, alpha: float) -> tuple[Outcome, str]:
    if draft.tolerance is None:
        return Outcome.unruled, "no rule says how much worse it may get"
    if change >= -draft.tolerance:
        if change > draft.tolerance:
            return Outcome.better, "better by more than the tolerance: save a new baseline?"
        return Outcome.same, "within the tolerance"
    if p is not None and p < alpha:
        return Outcome.worse, "worse by more than the tolerance, and significantly"
    if p is None:
        return Outcome.unsure, "worse by more than the tolerance, but one image cannot tell"
    lost = sum(gain < 0 for gain in draft.gains.values())
    return Outcome.unsure, (
        f"worse by more than the tolerance, but {len(draft.gains)} images cannot tell:"
        f" {lost} of them got worse"
    )


def _gone(cell: Cell) -> Verdict:
    return Verdict(cell.key, Outcome.missing, "the baseline has it, the candidate does not")


def _come(cell: Cell) -> Verdict:
    return Verdict(cell.key, Outcome.new, "the baseline does not have it", after=cell.mean)


def _costs(candidate: Snapshot, baseline: Snapshot, wire: Tripwire) -> Sequence[str]:
    found = []
    if wire.time is not None:
        for name, before in baseline.seconds.items():
            after = candidate.seconds.get(name)
            if after is not None and before > 0 and after > wire.time * before:
                found.append(
                    f"{name} takes {after:.3g} s an enlargement, {after / before:.1f} times its"
                    f" {before:.3g} s; {wire.time:g} times are allowed"
                )
    before, after = (each.peak_rss_bytes / 2**30 for each in (baseline, candidate))
    if wire.memory is not None and before and after > wire.memory * before:
        found.append(
            f"the run took {after:.2f} GiB, {after / before:.1f} times the baseline's"
            f" {before:.2f} GiB; {wire.memory:g} times are allowed"
        )
    return found
