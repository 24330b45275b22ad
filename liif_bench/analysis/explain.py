"""What keeps an enlargement real, and where that ends: what a run's records say of LIIF.

Everything is paired by image. Whether an advantage is there is asked from the smallest scale
upwards, and the first scale at which it is not shown ends it: tests in an order that was fixed
before need no correction for their number (Maurer, Hothorn and Lehmacher, 1995).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from liif_bench.analysis.resolution import MTF50, MTF50_LR, Resolution, resolutions
from liif_bench.analysis.stats import LEVEL, Paired, holm, least_p, paired
from liif_bench.errors import LiifBenchError, unknown_name
from liif_bench.records import Run

BASELINE = "bicubic"
FAMILY = ("liif-edsr", "rdn-liif")
"""Models that are LIIF, by the name before the colon."""

MEASURES = ("psnr", "lpips", "realism")
"""Metrics that an explanation is about, as far as a run has them."""


@dataclass(frozen=True)
class Comparison:
    """One model against another by one metric at one scale, over the images that both have.

    Attributes:
        metric: Name of the metric.
        higher_is_better: Its direction.
        scale: HR size / LR size.
        candidate: Mean of the one over those images.
        baseline: Mean of the other.
        paired: How they differ, in the metric's unit.
    """

    metric: str
    higher_is_better: bool
    scale: float
    candidate: float
    baseline: float
    paired: Paired

    @property
    def better(self) -> bool | None:
        """Whether the candidate is better; None where the interval holds zero."""
        difference = self.paired.difference
        if difference.low <= 0 <= difference.high:
            return None
        return (difference.mean > 0) == self.higher_is_better

    @property
    def shown(self) -> bool:
        """Whether it is better by the interval and by the signed-rank test at the 5 % level."""
        return self.better is True and self.paired.p <= LEVEL

    @property
    def gain(self) -> float:
        """Mean difference, positive where the candidate is better."""
        return self.paired.difference.mean * (1 if self.higher_is_better else -1)


@dataclass(frozen=True)
class Advantage:
    """LIIF against the baseline by one metric.

    Attributes:
        metric: Name of the metric.
        steps: One comparison per scale, ascending.
    """

    metric: str
    steps: tuple[Comparison, ...]

    @property
    def lost(self) -> Comparison | None:
        """The first scale at which the advantage is not shown; None where it is at every one."""
        return next((step for step in self.steps if not step.shown), None)

    @property
    def last(self) -> Comparison | None:
        """The scale before that; None where it is not shown at the smallest one either."""
        held = None
        for step in self.steps:
            if not step.shown:
                break
            held = step
        return held

    @property
    def testable(self) -> bool:
        """Whether so many images could have shown anything at the 5 % level."""
        return all(least_p(step.paired.n) <= LEVEL for step in self.steps)


@dataclass(frozen=True)
class Variant:
    """A model that lacks an ingredient on the same weights, and what the ingredient does.

    Attributes:
        model: Its name.
        switches: What is switched off: option and value.
        effects: The whole model against this one, by metric, scales ascending.
    """

    model: str
    switches: Mapping[str, str]
    effects: Mapping[str, tuple[Comparison, ...]]


@dataclass(frozen=True)
class Correction:
    """How many effects of ingredients stay when their number is corrected for.

    Attributes:
        metric: Name of the metric.
        comparisons: How many there are.
        significant: How many of them Holm's p-value is at most 5 % of.
        possible: Whether so few images can reach it at all.
    """

    metric: str
    comparisons: int
    significant: int
    possible: bool


@dataclass(frozen=True)
class Example:
    """One case of the run, for the shapes of tensors.

    Attributes:
        item: Name of the image.
        scale: HR size / LR size.
        lr: `(h, w)` of LR in pixels.
        hr: `(H, W)` of HR, and of SR.
    """

    item: str
    scale: float
    lr: tuple[int, int]
    hr: tuple[int, int]


@dataclass(frozen=True)
class Explained:
    """What a run says of LIIF on one data set.

    Attributes:
        run: The run.
        dataset: Name of the data set.
        images: How many.
        scales: Ascending.
        regimes: "in" or "out" of the training range, by scale.
        model: Name of the whole LIIF.
        spec: How it is named on the command line.
        network: How it is built; empty where the run does not say.
        example: A case for shapes; None where no case has any.
        seconds: Mean wall seconds per image to enlarge it, by model and scale.
        advantages: Over the baseline, by metric; empty where the run lacks the baseline.
        variants: With what their ingredients do.
        corrections: One per metric that variants have.
        edges: The run that says what models resolve; None where none of those given does.
        resolution: What LIIF and the baseline resolve in it, by model.
        lines: For a figure, mean gains over the baseline by metric and model, scales ascending.
    """

    run: Run
    dataset: str
    images: int
    scales: tuple[float, ...]
    regimes: Mapping[float, str]
    model: str
    spec: str
    network: Mapping[str, Any]
    example: Example | None
    seconds: Mapping[str, Mapping[float, float]]
    advantages: tuple[Advantage, ...]
    variants: tuple[Variant, ...]
    corrections: tuple[Correction, ...]
    edges: Run | None = None
    resolution: Mapping[str, Resolution] = field(default_factory=dict)
    lines: Mapping[str, Mapping[str, Mapping[float, float]]] = field(default_factory=dict)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the explanation is about."""
        named = [each.metric for each in self.advantages]
        named += [metric for each in self.variants for metric in each.effects]
        return tuple(dict.fromkeys(named))

    @property
    def stages(self) -> tuple[float, float] | None:
        """Wall seconds that LIIF encoded and rendered in the whole run; None if not counted."""
        counted = self.run.manifest.get("stages", {})
        found = counted.get(f"{self.model}: encode"), counted.get(f"{self.model}: render")
        return None if None in found else found


def explain(runs: Sequence[Run], dataset: str | None = None) -> Explained:
    """Read what keeps an enlargement real, and where that ends, from a run's records.

    Args:
        runs: The run to explain first; further ones may bring MTF50 of slanted edges.
        dataset: Which of its data sets; may be None where it has one.

    Returns:
        The facts.

    Raises:
        LiifBenchError: The run has no records, no LIIF, several data sets and none is chosen, or
            no data set of that name.
    """
    run, records = runs[0], runs[0].records
    if records.empty:
        raise LiifBenchError(f"'{run.path}' holds no records yet: continue the run first")
    model, spec = _whole(run)
    name = _dataset(records, dataset)
    here = records[records["dataset"] == name]
    wanted = [metric for metric in MEASURES if metric in set(here["metric"])]
    values = {
        metric: here[(here["metric"] == metric) & here["value"].notna()].pivot_table(
            index=["scale", "item"], columns="upsampler", values="value", aggfunc="first"
        )
        for metric in wanted
    }
    direction = here.groupby("metric")["higher_is_better"].first().to_dict()

    def compare(metric: str, candidate: str, baseline: str) -> tuple[Comparison, ...]:
        return tuple(
            _compared(values[metric], metric, bool(direction[metric]), candidate, baseline)
        )

    advantages = tuple(
        Advantage(metric, steps) for metric in wanted if (steps := compare(metric, model, BASELINE))
    )
    variants = tuple(
        Variant(
            each,
            switches,
            {metric: steps for metric in wanted if (steps := compare(metric, model, each))},
        )
        for each, switches in _variants(run, model, spec).items()
    )
    lines = {
        metric: {
            each: {step.scale: step.gain for step in steps}
            for each in (model, *(variant.model for variant in variants))
            if (steps := compare(metric, each, BASELINE))
        }
        for metric in wanted
    }
    edges = next((each for each in runs if _has_edges(each)), None)
    mine = here[here["upsampler"] == model]
    regimes = mine.dropna(subset="regime").groupby("scale")["regime"].first()
    return Explained(
        run=run,
        dataset=name,
        images=int(here["item"].nunique()),
        scales=tuple(sorted(float(scale) for scale in here["scale"].unique())),
        regimes={float(scale): str(regime) for scale, regime in regimes.items()},
        model=model,
        spec=spec,
        network=run.manifest.get("networks", {}).get(model, {}),
        example=_example(mine),
        seconds=_seconds(here),
        advantages=advantages,
        variants=variants,
        corrections=tuple(_correction(metric, variants) for metric in wanted if variants),
        edges=edges,
        resolution={} if edges is None else _resolution(edges, model),
        lines={metric: found for metric, found in lines.items() if found},
    )


def _whole(run: Run) -> tuple[str, str]:
    """Return the first LIIF that nothing is switched off of: its name, and how it was asked for."""
    changed = run.manifest["plan"].get("model_settings", {})
    asked = _asked(run)
    for name, spec in asked.items():
        if spec.partition(":")[0] in FAMILY and name not in changed:
            return name, spec
    raise LiifBenchError(
        f"'{run.path}' has no LIIF to explain (it has {', '.join(asked)}): run 'liif-bench run"
        " ingredients' first"
    )


def _asked(run: Run) -> dict[str, str]:
    """Return how each model was named on the command line or in the suite, by its name."""
    named = run.manifest["plan"]["models"], run.manifest["request"]["models"]
    return dict(zip(*named, strict=True))


def _variants(run: Run, model: str, spec: str) -> dict[str, Mapping[str, str]]:
    """Return the models of the same weights that lack something, with what they lack."""
    plan, asked = run.manifest["plan"], _asked(run)
    return {
        name: settings
        for name, settings in plan.get("model_settings", {}).items()
        if asked[name].partition(":")[0] == spec.partition(":")[0]
        and plan["models"][name] == plan["models"][model]
    }


def _dataset(records: pd.DataFrame, chosen: str | None) -> str:
    names = [str(name) for name in records["dataset"].unique()]
    if chosen is None and len(names) > 1:
        raise LiifBenchError(
            f"the run has several data sets: choose with --data one of {', '.join(names)}"
        )
    if chosen is not None and chosen not in names:
        raise unknown_name("data set", chosen, names)
    return chosen or names[0]


def _compared(
    values: pd.DataFrame, metric: str, higher: bool, candidate: str, baseline: str
) -> Iterator[Comparison]:
    """Compare two models at every scale at which some image has a value of both."""
    if not {candidate, baseline} <= set(values.columns):
        return
    both = values[[candidate, baseline]].dropna()
    for scale, rows in both.groupby(level="scale"):
        ours, theirs = (rows[name].to_numpy(np.float64) for name in (candidate, baseline))
        means = float(ours.mean()), float(theirs.mean())
        yield Comparison(metric, higher, float(scale), *means, paired(ours, theirs))


def _correction(metric: str, variants: Sequence[Variant]) -> Correction:
    steps = [step for each in variants for step in each.effects.get(metric, ())]
    corrected = holm([step.paired.p for step in steps])
    images = max((step.paired.n for step in steps), default=1)
    return Correction(
        metric,
        len(steps),
        sum(p <= LEVEL for p in corrected),
        possible=least_p(images) * len(steps) <= LEVEL,
    )


def _example(records: pd.DataFrame) -> Example | None:
    """Return the first image at the scale in the middle: small enough to read, and a real zoom."""
    sized = records.dropna(subset=["lr_h", "hr_h"])
    if sized.empty:
        return None
    scales = sorted(sized["scale"].unique())
    row = sized[sized["scale"] == scales[len(scales) // 2]].iloc[0]
    return Example(
        str(row["item"]),
        float(row["scale"]),
        (int(row["lr_h"]), int(row["lr_w"])),
        (int(row["hr_h"]), int(row["hr_w"])),
    )


def _seconds(records: pd.DataFrame) -> dict[str, dict[float, float]]:
    """Return the mean seconds per image by model and scale; each case counts once."""
    once = records.dropna(subset="seconds").drop_duplicates(["upsampler", "scale", "item"])
    means: dict[str, dict[float, float]] = {}
    for (model, scale), mean in once.groupby(["upsampler", "scale"])["seconds"].mean().items():
        means.setdefault(str(model), {})[float(scale)] = float(mean)
    return means


def _has_edges(run: Run) -> bool:
    measured = run.records.dropna(subset="value")["metric"]
    return {MTF50, MTF50_LR} <= set(measured)


def _resolution(run: Run, model: str) -> dict[str, Resolution]:
    """Return what LIIF and the baseline resolve."""
    found = {each.upsampler: each for each in resolutions(run)}
    return {name: found[name] for name in (model, BASELINE) if name in found}
