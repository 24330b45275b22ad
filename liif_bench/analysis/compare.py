"""Models or versions of them side by side: differences from a baseline, ranks, Pareto fronts.

One family of tests is what stands in one table: all cells of a data set (every metric, scale and
model beside the baseline) are corrected together, and so are its summaries by regime.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from liif_bench.analysis.stats import (
    LEVEL,
    Floats,
    Paired,
    holm,
    mcnemar,
    paired,
    resampled_means,
    right_or_wrong,
)
from liif_bench.errors import LiifBenchError, unknown_name

BASELINE = "bicubic"

IN, OUT, UNKNOWN = "in", "out", ""
"""Regimes: scales that were trained on, scales that were not, scales where nobody can say."""

FRONT = ("psnr", "lpips")
"""The usual front: distortion and perception (Blau and Michaeli, arXiv 1711.06077)."""

SIGNED_RANK = "Wilcoxon"
MCNEMAR = "McNemar"


@dataclass(frozen=True)
class Cell:
    """A model against the baseline: one metric, at one scale or over the scales of a regime.

    Attributes:
        metric: Name of the metric.
        model: Name of the model.
        scale: HR size / LR size; None for a mean over scales.
        regime: "in", "out" or ""; see `Comparison.regime`.
        higher_is_better: Direction of the metric.
        mean: Mean of the model over all images that have a value; None where none has.
        images: How many have one.
        paired: How it differs from the baseline on the images that both have; None for the
            baseline itself, and where they share no image.
        test: What gave the p-value.
        p: Of the test; None where there is nothing to test.
        corrected: The same, corrected for the number of cells in the table (Holm).
    """

    metric: str
    model: str
    scale: float | None
    regime: str
    higher_is_better: bool
    mean: float | None
    images: int
    paired: Paired | None = None
    test: str = SIGNED_RANK
    p: float | None = None
    corrected: float | None = None

    @property
    def better(self) -> bool | None:
        """Whether the model is better (True) or worse than the baseline; None where unsure.

        Sure is what both say: the test, corrected, at the 5 % level, and the interval of the mean.
        """
        if self.paired is None or self.corrected is None or self.corrected > LEVEL:
            return None
        if not self.paired.clear:
            return None
        return (self.paired.difference.low > 0) == self.higher_is_better


@dataclass(frozen=True)
class Rank:
    """The mean rank of a model among all models of a table, 1 where it is always the best.

    Attributes:
        metric: Name of the metric.
        model: Name of the model.
        scale: At which; None for the mean over all cases of all scales.
        mean: Over the cases that every model has; None where there is none.
        cases: How many those are.
    """

    metric: str
    model: str
    scale: float | None
    mean: float | None
    cases: int


@dataclass(frozen=True)
class OnFront:
    """Whether no other model beats a model in one of some metrics without losing in another.

    Attributes:
        model: Name of the model.
        scale: At which.
        on: Whether it is on the Pareto front of the means.
        share: In how many of the resamples of the images it is.
        images: Images that every model has in every metric.
    """

    model: str
    scale: float
    on: bool
    share: float
    images: int


@dataclass(frozen=True)
class MetricRows:
    """The values of one metric.

    Attributes:
        name: Of the metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction.
        items: How many images the data set has.
        values: By scale and model one value per image, NaN where it has none.
    """

    name: str
    variant: str
    higher_is_better: bool
    items: int
    values: Mapping[tuple[float, str], Floats]

    @cached_property
    def binary(self) -> bool:
        """Whether every image has it or has it not; see `stats.right_or_wrong`."""
        return right_or_wrong(*self.values.values())

    def of(self, scale: float, model: str) -> Floats:
        """Return a model's values by image, NaN where there is none."""
        values = self.values.get((scale, model))
        return np.full(self.items, math.nan) if values is None else values

    def over(self, scales: Sequence[float], model: str) -> Floats:
        """Return a model's mean over scales by image, NaN where a scale has no value."""
        means: Floats = np.mean([self.of(scale, model) for scale in scales], axis=0)
        return means


@dataclass(frozen=True)
class Comparison:
    """The models of one data set.

    Attributes:
        dataset: Its name.
        items: Its number of items.
        protocol: Name and hash of the protocol.
        baseline: Model that differences are from.
        models: All models, in the order of the records.
        scales: Ascending.
        metrics: In the order of the records.
        regimes: By scale and model "in", "out" or "".
    """

    dataset: str
    items: int
    protocol: str
    baseline: str
    models: tuple[str, ...]
    scales: tuple[float, ...]
    metrics: tuple[MetricRows, ...]
    regimes: dict[tuple[float, str], str]

    @property
    def candidates(self) -> tuple[str, ...]:
        """All models but the baseline."""
        return tuple(model for model in self.models if model != self.baseline)

    def regime(self, scale: float, model: str) -> str:
        """Return the regime of a model at a scale.

        One that was never trained takes the baseline's, or else that of all trained models of the
        table; where these differ, or none was trained, nobody can say.
        """
        for name in (model, self.baseline):
            if (scale, name) in self.regimes:
                return self.regimes[(scale, name)]
        others = {regime for (at, _), regime in self.regimes.items() if at == scale}
        return others.pop() if len(others) == 1 else UNKNOWN

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """One cell per metric, scale and model, p-values corrected for all of them together."""
        return _corrected(
            _cell(
                metric, model, scale, self.regime(scale, model),
                metric.of(scale, model),
                None if model == self.baseline else metric.of(scale, self.baseline),
            )
            for metric in self.metrics
            for scale in self.scales
            for model in self.models
        )  # fmt: skip

    @cached_property
    def summaries(self) -> tuple[Cell, ...]:
        """One cell per metric, candidate and regime: each image's mean over its scales."""
        found = []
        for metric in self.metrics:
            for model in self.candidates:
                for regime in (IN, OUT, UNKNOWN):
                    scales = [s for s in self.scales if self.regime(s, model) == regime]
                    if scales:
                        ours, theirs = (metric.over(scales, m) for m in (model, self.baseline))
                        found.append(_cell(metric, model, None, regime, ours, theirs))
        return _corrected(found)

    @cached_property
    def ranks(self) -> tuple[Rank, ...]:
        """Mean rank by metric, model and scale, and over all scales (None)."""
        found = []
        for metric in self.metrics:
            ranked: dict[float | None, Floats] = {}
            for scale in self.scales:
                values = self._values(metric, scale)
                values = values[_whole(values)]
                ranked[scale] = _ranks(-values if metric.higher_is_better else values)
            ranked[None] = np.concatenate(list(ranked.values()))
            for at, ranks in ranked.items():
                means = ranks.mean(axis=0).tolist() if len(ranks) else [None] * len(self.models)
                found += [
                    Rank(metric.name, model, at, mean, len(ranks))
                    for model, mean in zip(self.models, means, strict=True)
                ]
        return tuple(found)

    @property
    def usual_front(self) -> tuple[str, ...]:
        """The metrics of the usual front, where all of them were measured."""
        return FRONT if {metric.name for metric in self.metrics} >= set(FRONT) else ()

    def front(self, names: Sequence[str]) -> tuple[OnFront, ...]:
        """Return which models are on the Pareto front of some metrics, per scale.

        Args:
            names: Two metrics or more.

        Raises:
            LiifBenchError: Fewer than two, or one that the data set has no records of.
        """
        metrics = [self.metric(name) for name in dict.fromkeys(names)]
        if len(metrics) < 2:
            raise LiifBenchError("a front needs two metrics or more, such as --front psnr,lpips")
        found = []
        for scale in self.scales:
            values = [
                self._values(metric, scale) * (1 if metric.higher_is_better else -1)
                for metric in metrics
            ]
            shared = np.all([_whole(each) for each in values], axis=0)
            if not shared.any():
                continue
            values = [each[shared] for each in values]
            means = np.stack([each.mean(axis=0) for each in values])[None]
            resampled = np.stack([_resampled(each) for each in values], axis=1)
            on, shares = _undominated(means)[0], _undominated(resampled).mean(axis=0)
            found += [
                OnFront(model, scale, bool(on[n]), float(shares[n]), int(shared.sum()))
                for n, model in enumerate(self.models)
            ]
        return tuple(found)

    def metric(self, name: str) -> MetricRows:
        """Return a metric by name.

        Raises:
            LiifBenchError: There are no records of it.
        """
        known = {metric.name: metric for metric in self.metrics}
        if name not in known:
            raise unknown_name(f"metric of '{self.dataset}'", name, known)
        return known[name]

    def _values(self, metric: MetricRows, scale: float) -> Floats:
        """Return the values of a metric at a scale, `(items, models)`, NaN where there is none."""
        return np.stack([metric.of(scale, model) for model in self.models], axis=1)


def _whole(values: Floats) -> npt.NDArray[np.bool_]:
    """Return which items every model has, `(items,)`, of `(items, models)` values."""
    return np.asarray(~np.isnan(values).any(axis=1))


def _cell(
    metric: MetricRows,
    model: str,
    scale: float | None,
    regime: str,
    ours: Floats,
    theirs: Floats | None,
) -> Cell:
    known = ours[~np.isnan(ours)]
    cell = Cell(
        metric.name, model, scale, regime, metric.higher_is_better,
        float(known.mean()) if len(known) else None, len(known),
    )  # fmt: skip
    if theirs is None:
        return cell
    both = ~np.isnan(ours) & ~np.isnan(theirs)
    if not both.any():
        return cell
    mine, other = ours[both], theirs[both]
    result = paired(mine, other)
    # a mean over scales is right or wrong no more
    if metric.binary and right_or_wrong(mine, other):
        return replace(cell, paired=result, test=MCNEMAR, p=mcnemar(mine, other))
    return replace(cell, paired=result, p=result.p)


def _corrected(cells: Iterable[Cell]) -> tuple[Cell, ...]:
    cells = tuple(cells)
    corrected = iter(holm([cell.p for cell in cells if cell.p is not None]))
    return tuple(
        cell if cell.p is None else replace(cell, corrected=next(corrected)) for cell in cells
    )


def _ranks(values: Floats) -> Floats:
    """Return ranks along rows, 1 for the least, the mean rank of equal ones; same shape."""
    below = (values[:, None, :] < values[:, :, None]).sum(axis=2)
    equal = (values[:, None, :] == values[:, :, None]).sum(axis=2)
    ranks: Floats = below + (equal + 1) / 2
    return ranks


def _resampled(values: Floats) -> Floats:
    """Return the means of every resample of the images, `(RESAMPLES, models)`.

    Args:
        values: `(images, models)`.
    """
    return np.stack([resampled_means(model) for model in values.T], axis=1)


def _undominated(values: Floats) -> npt.NDArray[np.bool_]:
    """Return which models none beats: better in one metric, worse in none.

    Args:
        values: `(sets, metrics, models)`, higher is better.

    Returns:
        `(sets, models)`.
    """
    models = values.shape[2]
    result = np.ones((values.shape[0], models), bool)
    for one in range(models):
        mine = values[:, :, one, None]
        beaten = np.all(values >= mine, axis=1) & np.any(values > mine, axis=1)
        result[:, one] = ~np.any(beaten, axis=1)
    return result


def compare(records: pd.DataFrame, baseline: str | None = None) -> list[Comparison]:
    """Compare the models of records, by data set.

    Args:
        records: Of one run, or of several that `analysis.combine` put together.
        baseline: Model that differences are from. By default bicubic, or else the first.

    Raises:
        LiifBenchError: There are fewer than two models, or none of that name.
    """
    everyone = [str(model) for model in records["upsampler"].unique()]
    if baseline is not None and baseline not in everyone:
        raise unknown_name("model of the runs", baseline, everyone)
    if len(everyone) < 2:
        raise LiifBenchError(
            f"there is nothing to compare '{everyone[0]}' with: add a run or choose another model"
        )
    found = []
    for name, rows in records.groupby("dataset", sort=False, observed=True):
        models = [str(model) for model in rows["upsampler"].unique()]
        if len(models) < 2 or (baseline is not None and baseline not in models):
            raise LiifBenchError(
                f"'{name}' has only {', '.join(models)}: compare runs that share data sets"
            )
        found.append(_comparison(str(name), rows, models, baseline or _default(models)))
    return found


def _default(models: Sequence[str]) -> str:
    """Return bicubic, of whatever run, or else the first model."""
    bicubic = [model for model in models if model.partition(" · ")[0] == BASELINE]
    return (bicubic or list(models))[0]


def _comparison(
    dataset: str, rows: pd.DataFrame, models: Sequence[str], baseline: str
) -> Comparison:
    items = pd.Index(rows["item"].unique())
    metrics = []
    for name, group in rows.groupby("metric", sort=False, observed=True):
        values = {}
        for (scale, model), cell in group.groupby(["scale", "upsampler"], sort=False):
            values[(float(scale), str(model))] = np.full(len(items), math.nan)
            places = items.get_indexer(cell["item"])
            values[(float(scale), str(model))][places] = cell["value"].astype(float)
        metrics.append(
            MetricRows(
                str(name),
                " / ".join(dict.fromkeys(group["variant"])),
                bool(group["higher_is_better"].iloc[0]),
                len(items),
                values,
            )
        )
    known = rows.dropna(subset="regime").groupby(["scale", "upsampler"], sort=False)["regime"]
    regimes = {(float(s), str(m)): str(r) for (s, m), r in known.first().items()}
    protocols = rows[["protocol", "protocol_hash"]].drop_duplicates().itertuples(index=False)
    return Comparison(
        dataset=dataset,
        items=len(items),
        protocol=" and ".join(f"{name} ({digest})" for name, digest in protocols),
        baseline=baseline,
        models=tuple(models),
        scales=tuple(sorted(float(scale) for scale in rows["scale"].unique())),
        metrics=tuple(metrics),
        regimes=regimes,
    )


def chosen(
    records: pd.DataFrame,
    *,
    models: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    scales: Sequence[float] | None = None,
) -> pd.DataFrame:
    """Return the records of some models, metrics and scales; all of them where None.

    A model that several runs have is meant in all of them by its bare name.

    Raises:
        LiifBenchError: There are no records of one that was named.
    """
    if models is not None:
        known = [str(name) for name in records["upsampler"].unique()]
        bare = {name: name.partition(" · ")[0] for name in known}
        _check("model", models, {*known, *bare.values()})
        wanted = [name for name in known if name in models or bare[name] in models]
        records = records[records["upsampler"].isin(wanted)]
    if metrics is not None:
        _check("metric", metrics, {str(name) for name in records["metric"].unique()})
        records = records[records["metric"].isin(list(metrics))]
    if scales is not None:
        shown = {f"{scale:g}" for scale in records["scale"].unique()}
        _check("scale", [f"{scale:g}" for scale in scales], shown)
        records = records[records["scale"].isin(list(scales))]
    return records


def _check(kind: str, wanted: Iterable[str], known: set[str]) -> None:
    for name in wanted:
        if name not in known:
            raise unknown_name(f"{kind} of the runs", name, known)
