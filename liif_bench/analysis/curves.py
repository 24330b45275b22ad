"""What the figures of a run show: means against scale, and differences image by image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from liif_bench.analysis.stats import Estimate, bootstrapped, paired
from liif_bench.errors import LiifBenchError, unknown_name


@dataclass(frozen=True)
class Mean:
    """A model's mean at a scale.

    Attributes:
        model: Its name.
        scale: HR size / LR size.
        regime: "in" or "out"; "" where it was never trained.
        estimate: The mean over images with its 95 % interval; of differences from the baseline
            where there is one.
    """

    model: str
    scale: float
    regime: str
    estimate: Estimate


@dataclass(frozen=True)
class Strip:
    """How two models differ at a scale, image by image.

    Attributes:
        scale: HR size / LR size.
        items: Names of the images, the smallest difference first.
        differences: Model - baseline, in that order.
        estimate: Their mean with its 95 % interval, widened for few images; see `stats.paired`.
        left_out: Images on which the difference is infinite.
    """

    scale: float
    items: tuple[str, ...]
    differences: tuple[float, ...]
    estimate: Estimate
    left_out: int


def means(records: pd.DataFrame, metric: str, baseline: str | None = None) -> list[Mean]:
    """Average a metric per model and scale over the images that all models of the scale have.

    Resamples of the images are the same for all, so that intervals are of the same draws.

    Args:
        records: Of one data set.
        metric: Name of a metric.
        baseline: Model that differences are from; it has no means of its own then.

    Returns:
        By scale, then by model in the order of the records. A model is left out at a scale where
        it has no value, or one that is infinite.

    Raises:
        LiifBenchError: There are no records of the metric or the baseline.
    """
    found = []
    rows = _rows(records, metric)
    if baseline is not None:
        _check_model(records, baseline)
    for scale, known in rows.groupby("scale"):
        values = _by_item(known)
        usable = [m for m in values if np.isfinite(values[m].dropna()).all()]
        values = values[usable].dropna()
        if values.empty or (baseline is not None and baseline not in values):
            continue
        regimes = known.groupby("upsampler")["regime"].first()
        for model in values:
            if model == baseline:
                continue
            mine = values[model].to_numpy()
            if baseline is None:
                estimate = bootstrapped(mine)
            else:
                estimate = paired(mine, values[baseline].to_numpy()).difference
            found.append(Mean(str(model), float(scale), regimes[model] or "", estimate))
    return found


def strips(records: pd.DataFrame, metric: str, model: str, baseline: str) -> list[Strip]:
    """Return the differences of two models on the images that both have, by scale.

    Args:
        records: Of one data set.
        metric: Name of a metric.
        model: Name of a model.
        baseline: Name of another.

    Returns:
        Scales at which no image has a finite difference are left out.

    Raises:
        LiifBenchError: There are no records of the metric or of a model.
    """
    rows = _rows(records, metric)
    for name in (model, baseline):
        _check_model(records, name)
    found = []
    for scale, known in rows[rows["upsampler"].isin([model, baseline])].groupby("scale"):
        values = _by_item(known)
        if model not in values or baseline not in values:
            continue
        both = values.dropna()
        equal = both[model] == both[baseline]  # infinite ones too
        differences = (both[model] - both[baseline]).mask(equal, 0.0)
        finite = differences[np.isfinite(differences)].sort_values(kind="stable")
        if finite.empty:
            continue
        estimate = paired(finite.to_numpy(), np.zeros(len(finite))).difference
        found.append(
            Strip(
                float(scale),
                tuple(map(str, finite.index)),
                tuple(finite.to_list()),
                estimate,
                len(differences) - len(finite),
            )
        )
    return found


def _rows(records: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the records of a metric that have a value.

    Raises:
        LiifBenchError: There are no records of it.
    """
    rows = records[records["metric"] == metric]
    if rows.empty:
        raise unknown_name("metric of the run", metric, records["metric"].unique())
    if rows["value"].isna().all():
        raise LiifBenchError(f"the run has no value of {metric}; its records say why")
    return rows.dropna(subset="value")


def _by_item(rows: pd.DataFrame) -> pd.DataFrame:
    """Return values by item and model, in the order of the records; NaN where there is none."""
    table = rows.pivot(index="item", columns="upsampler", values="value")
    wanted = table.reindex(index=rows["item"].unique(), columns=rows["upsampler"].unique())
    return wanted.astype(float)


def _check_model(records: pd.DataFrame, name: str) -> None:
    models = records["upsampler"].unique()
    if name not in models:
        raise unknown_name("model of the run", name, models)
