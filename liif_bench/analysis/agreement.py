"""Whether metrics order images as people do: rank and linear correlation, pairs, intervals.

The table `agreement` has one row per rated image and metric. Metric and score are turned so that
more is better before they are compared: 1 is full agreement, -1 the reverse order. Intervals are
over resamples of the contents, since images of one content are not independent.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import optimize

from liif_bench.analysis.stats import CONFIDENCE, RESAMPLES, Estimate, Floats, bootstrapped
from liif_bench.errors import LiifBenchError
from liif_bench.records import failures, is_not_applicable

AGREEMENT = "agreement"
"""Name of the table; the folder holds it as ``agreement.parquet``."""

GRADED = "graded"
"""Name of the data set of graded degradations, whose order is known and not rated."""

METHOD, CONTENT, POOLED = "within method", "within content", "pooled"
LEVELS = (METHOD, CONTENT, POOLED)

LEAST_RATINGS = 3  # of a group, for an order to be worth the name
LEAST_FOR_FIT = 8  # twice the parameters of the logistic
TRAINED_SCALE = 4.0
_CHUNK = 4_000_000  # numbers of a resampled table held at once
_ROUNDING = 1e-12  # of a mean: differences below it are none

_COLUMNS = frozenset(
    {
        "dataset", "content_id", "item", "method", "scale", "score", "score_higher_is_better",
        "score_scope", "split", "metric", "higher_is_better", "value", "error",
    }
)  # fmt: skip

Counts = npt.NDArray[np.int64]


def read_agreement(folder: Path) -> pd.DataFrame:
    """Read the table that `liif_bench.agreement` keeps.

    Raises:
        LiifBenchError: There is none in the folder, or it is not such a table.
    """
    path = folder / f"{AGREEMENT}.parquet"
    if not path.is_file():
        raise LiifBenchError(f"'{folder}' holds no {path.name}: measure one without naming it")
    try:
        table = pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise LiifBenchError(f"'{path}' cannot be read: {error}") from error
    if lacking := sorted(_COLUMNS - {*table.columns}):
        raise LiifBenchError(f"'{path}' has no column '{lacking[0]}': measure it again")
    return table


@dataclass(frozen=True)
class Fit:
    """The logistic that maps a metric onto scores.

    Attributes:
        parameters: b1 to b4 of `logistic`; None where none could be fitted.
        reason: Why there are none; "" where there are.
    """

    parameters: tuple[float, float, float, float] | None
    reason: str = ""

    def __call__(self, values: Floats) -> Floats:
        """Return the mapped values; the values themselves where there is no fit."""
        return values if self.parameters is None else logistic(values, *self.parameters)

    @property
    def sign(self) -> float:
        """1 where the mapping rises, -1 where it falls."""
        return 1.0 if self.parameters is None or self.parameters[0] >= self.parameters[1] else -1.0


def logistic(x: Floats, b1: float, b2: float, b3: float, b4: float) -> Floats:
    """Return the logistic of VQEG's FR-TV Phase II report (2003): 4 parameters, monotone.

    ``(b1 - b2) / (1 + exp(-(x - b3) / |b4|)) + b2``, from b2 at the left to b1 at the right.
    """
    with np.errstate(over="ignore"):
        mapped: Floats = (b1 - b2) / (1 + np.exp(-(x - b3) / max(abs(b4), 1e-300))) + b2
    return mapped


def fit_logistic(values: Floats, scores: Floats) -> Fit:
    """Fit the logistic by least squares, from the start that VQEG gives.

    Args:
        values: Of the metric, finite, more is better.
        scores: Of the same images, more is better.

    Returns:
        The fit; without parameters where there are fewer than `LEAST_FOR_FIT` images, the metric
        or the scores are all alike, or least squares does not come to an end.
    """
    if len(values) < LEAST_FOR_FIT:
        return Fit(None, f"fewer than {LEAST_FOR_FIT} images")
    if np.ptp(values) == 0 or np.ptp(scores) == 0:
        return Fit(None, "all values are alike")
    centre, width = float(values.mean()), float(values.std())
    start = (float(scores.max()), float(scores.min()), 0.0, 0.25)
    try:
        with warnings.catch_warnings():  # the covariance, which is not used, may not exist
            warnings.simplefilter("ignore", optimize.OptimizeWarning)
            (b1, b2, b3, b4), _ = optimize.curve_fit(
                logistic, (values - centre) / width, scores, start, maxfev=5000
            )
    except RuntimeError:
        return Fit(None, "least squares came to no end")
    found = (float(b1), float(b2), float(centre + width * b3), float(abs(b4) * width))
    if not all(map(math.isfinite, found)) or np.ptp(logistic(values, *found)) == 0:
        return Fit(None, "least squares ended in a constant")
    return Fit(found)


@dataclass(frozen=True)
class Agreement:
    """How far a metric agrees with scores at one level.

    Attributes:
        spearman: Spearman's rho with its interval.
        kendall: Kendall's tau-b.
        pearson: Pearson's r after the logistic; None where nothing could be fitted.
        pairs: Share of the pairs with unequal scores that the metric orders alike.
        images: How many images.
        contents: How many contents.
        note: What must be said of the logistic; "" where nothing must.
    """

    spearman: Estimate
    kendall: Estimate
    pearson: Estimate | None
    pairs: Estimate
    images: int
    contents: int
    note: str = ""


@dataclass(frozen=True)
class Part:
    """The rows of one data set, or of a part of it.

    Attributes:
        dataset: Its name.
        name: Which part: "" for all of it.
        rows: Of the table, with values and scores turned so that more is better.
    """

    dataset: str
    name: str
    rows: pd.DataFrame

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics with a meaning for at least one image, in the order in which they stand."""
        meant = self.rows[~is_not_applicable(self.rows)]
        return tuple(str(name) for name in meant["metric"].unique())

    @property
    def meaningless(self) -> tuple[str, ...]:
        """Metrics that have no meaning for any image."""
        names = (str(name) for name in self.rows["metric"].unique())
        return tuple(name for name in names if name not in self.metrics)

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """Methods of which a content has enough ratings for an order, as they stand."""
        sizes = self.rows.groupby(["method", "content_id", "metric"], sort=False).size()
        largest = sizes.groupby("method", sort=False).max()
        return tuple(str(name) for name in largest.index[largest >= LEAST_RATINGS])

    @property
    def levels(self) -> tuple[str, ...]:
        """Levels at which the scores may be compared and there is something to compare.

        Of graded degradations, whose scores may be compared within a method alone, all: how one
        kind compares with another is not known, but it is asked.
        """
        scopes = {*self.rows["score_scope"]}
        free = self.dataset == GRADED
        levels = [METHOD] if self.methods else []
        levels += [CONTENT] if free or "method" not in scopes else []
        levels += [POOLED] if free or scopes == {"global"} else []
        return tuple(levels)

    def of(self, metric: str) -> pd.DataFrame:
        """Return the rows of a metric that have a value."""
        return self.rows[(self.rows["metric"] == metric) & self.rows["value"].notna()]

    def unscored(self, metric: str) -> tuple[int, str]:
        """Return how many images a metric failed on, and the first reason."""
        failed = failures(self.rows[self.rows["metric"] == metric])
        return len(failed), "" if failed.empty else str(failed["error"].iloc[0])

    def agreement(self, metric: str, level: str) -> Agreement | None:
        """Return how far a metric agrees with the scores.

        Within method and within content, a number is worked out for each group, averaged over
        the groups of a content, then over contents. Pooled, it is worked out over all images.

        Returns:
            The agreement; None where no group has `LEAST_RATINGS` images of unequal score.
        """
        rows = self.of(metric)
        if level == POOLED:
            return pooled(*_columns(rows))
        by = ["content_id", "method"] if level == METHOD else ["content_id"]
        return _averaged([group for _, group in rows.groupby(by, sort=True)])

    def by_method(self, metric: str, method: str) -> Estimate | None:
        """Return Spearman's rho of one method's images, mean over contents; None without any."""
        rows = self.of(metric)
        found = _averaged(
            [group for _, group in rows[rows["method"] == method].groupby("content_id", sort=True)]
        )
        return None if found is None else found.spearman


def parts(table: pd.DataFrame) -> Iterator[Part]:
    """Yield each data set of a table as a whole, then its parts where there are several.

    Parts are scales up to x4, which networks are trained on, and scales beyond; and the splits
    that the ratings name.
    """
    turned = table.copy()
    for column, direction in (("value", "higher_is_better"), ("score", "score_higher_is_better")):
        turned[column] = turned[column].where(turned[direction].astype(bool), -turned[column])
    for dataset, rows in turned.groupby("dataset", sort=False):
        yield Part(str(dataset), "", rows)
        scales = rows["scale"].astype(float)
        named = {
            f"in distribution, up to x{TRAINED_SCALE:g}": scales <= TRAINED_SCALE,
            f"out of distribution, beyond x{TRAINED_SCALE:g}": scales > TRAINED_SCALE,
        }
        splits = [str(name) for name in rows["split"].unique() if name]
        for chosen in (named, {f"split {name}": rows["split"] == name for name in splits}):
            held = {name: rows[mask] for name, mask in chosen.items() if mask.any()}
            if len(held) > 1:
                yield from (Part(str(dataset), name, some) for name, some in held.items())


def _columns(rows: pd.DataFrame) -> tuple[Floats, Floats, npt.NDArray[np.object_]]:
    return (
        rows["value"].to_numpy(dtype=float),
        rows["score"].to_numpy(dtype=float),
        rows["content_id"].to_numpy(dtype=object),
    )


def _averaged(groups: list[pd.DataFrame]) -> Agreement | None:
    """Return the agreement within groups, averaged by content."""
    told = []
    for group in groups:
        values, scores, contents = _columns(group)
        if len(scores) >= LEAST_RATINGS and np.ptp(scores) > 0:
            linear, reason = _fitted(values, scores)
            told.append(
                {
                    "content": contents[0],
                    "images": len(scores),
                    "spearman": spearman(values, scores),
                    "kendall": kendall(values, scores),
                    "pairs": pairs_alike(values, scores),
                    "pearson": linear,
                    "reason": reason,
                }
            )
    if not told:
        return None
    frame = pd.DataFrame(told)
    numbers = ["spearman", "kendall", "pairs", "pearson"]
    means = frame.groupby("content", sort=True)[numbers].mean()
    kept = means["pearson"].dropna()
    reasons = sorted({reason for reason in frame["reason"] if reason})
    failed = int((frame["reason"] != "").sum())
    note = f"no logistic for {failed} of {len(frame)} groups: {', '.join(reasons)}"
    return Agreement(
        spearman=bootstrapped(means["spearman"].to_numpy()),
        kendall=bootstrapped(means["kendall"].to_numpy()),
        pearson=None if kept.empty else bootstrapped(kept.to_numpy()),
        pairs=bootstrapped(means["pairs"].to_numpy()),
        images=int(frame["images"].sum()),
        contents=len(means),
        note=note if failed and not kept.empty else "",
    )


def _fitted(values: Floats, scores: Floats) -> tuple[float, str]:
    """Return Pearson's r after the logistic, or NaN and the reason why there is none."""
    finite = np.isfinite(values)
    fit = fit_logistic(values[finite], scores[finite])
    if fit.parameters is None:
        return math.nan, fit.reason
    return fit.sign * _linear(fit(values[finite]), scores[finite]), ""


def pooled(values: Floats, scores: Floats, contents: npt.NDArray[np.object_]) -> Agreement | None:
    """Return the agreement over all images together, with intervals over resampled contents.

    A resample holds each content a number of times, which is the weight of its images. The
    logistic is fitted once, to all images; where it cannot be, Pearson's r is that of the values
    themselves, and the note says so. Infinite values, as the PSNR of identical images, have a rank
    and a place in pairs, but no part in Pearson's r.

    Args:
        values: Of the metric, more is better.
        scores: More is better.
        contents: Which content each image is of.
    """
    if len(scores) < LEAST_RATINGS or np.ptp(scores) == 0:
        return None
    names, place = np.unique(contents.astype(str), return_inverse=True)
    resamples = _resamples(len(names))
    alike, differ, untied = _pair_sums(values, scores, place, len(names))

    def per_pair(weights: Floats) -> tuple[Floats, Floats, Floats]:
        return (
            _quadratic(weights, alike),
            _quadratic(weights, differ),
            _quadratic(weights, untied),
        )

    def tau(weights: Floats) -> Floats:
        concordance, of_scores, of_values = per_pair(weights)
        return _ratio(concordance, np.sqrt(of_scores * of_values))

    def share(weights: Floats) -> Floats:
        concordance, of_scores, _ = per_pair(weights)
        return (1 + _ratio(concordance, of_scores)) / 2

    finite = np.isfinite(values)
    fit = fit_logistic(values[finite], scores[finite])
    mapped = fit(values[finite])

    def rank_correlation(weights: Floats) -> Floats:
        by_image = weights[:, place]
        ranks = weighted_ranks(values, by_image), weighted_ranks(scores, by_image)
        return _correlation(*ranks, by_image)

    def linear(weights: Floats) -> Floats:
        by_image = weights[:, place[finite]]
        return fit.sign * _correlation(mapped[None], scores[finite][None], by_image)

    def estimate(statistic: Callable[[Floats], Floats]) -> Estimate:
        return _estimate(statistic, resamples, len(values))

    note = f"no logistic ({fit.reason}): Pearson's r of the values themselves"
    return Agreement(
        spearman=estimate(rank_correlation),
        kendall=estimate(tau),
        pearson=estimate(linear),
        pairs=estimate(share),
        images=len(values),
        contents=len(names),
        note=note if fit.parameters is None else "",
    )


def spearman(values: Floats, scores: Floats) -> float:
    """Return Spearman's rho; 0 where the metric says the same of all images.

    Args:
        values: Of the metric.
        scores: Of the same images; not all alike.
    """
    one = np.ones((1, len(values)))
    ranks = weighted_ranks(values, one), weighted_ranks(scores, one)
    return float(_correlation(*ranks, one)[0])


def kendall(values: Floats, scores: Floats) -> float:
    """Return Kendall's tau-b; arguments as `spearman`."""
    alike, of_scores, of_values = _pairs_of_one(values, scores)
    return alike / math.sqrt(of_scores * of_values) if of_values else 0.0


def pairs_alike(values: Floats, scores: Floats) -> float:
    """Return the share of the pairs of unequal score that a metric orders as the scores do.

    A pair of which the metric says the same counts half, so that 0.5 is chance. Arguments as
    `spearman`.
    """
    alike, of_scores, _ = _pairs_of_one(values, scores)
    return (1 + alike / of_scores) / 2


def _pairs_of_one(values: Floats, scores: Floats) -> tuple[float, float, float]:
    one = np.zeros(len(values), dtype=np.int64)
    alike, of_scores, of_values = _pair_sums(values, scores, one, 1)
    return float(alike[0, 0]), float(of_scores[0, 0]), float(of_values[0, 0])


def _linear(values: Floats, scores: Floats) -> float:
    return float(_correlation(values[None], scores[None], np.ones((1, len(values))))[0])


def _resamples(contents: int) -> Floats:
    """Return how often each resample holds each content, `(RESAMPLES, contents)`."""
    shares = np.full(contents, 1 / contents)
    drawn = np.random.default_rng(0).multinomial(contents, shares, RESAMPLES)
    return np.asarray(drawn, dtype=float)


def _estimate(statistic: Callable[[Floats], Floats], resamples: Floats, images: int) -> Estimate:
    """Return a statistic of all contents once, with the percentiles of it over resamples."""
    contents = resamples.shape[1]
    whole = float(statistic(np.ones((1, contents)))[0])
    rows = max(1, _CHUNK // images)
    drawn = np.concatenate(
        [statistic(resamples[start : start + rows]) for start in range(0, len(resamples), rows)]
    )
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Estimate(whole, float(low), float(high), images)


def weighted_ranks(values: Floats, weights: Floats) -> Floats:
    """Return the mean rank that each value has in a sample that holds it `weight` times.

    Args:
        values: `(n,)`.
        weights: `(r, n)`, one sample per row.

    Returns:
        `(r, n)`, counted from 1/2.
    """
    order = np.argsort(values, kind="stable")
    _, starts, group = np.unique(values[order], return_index=True, return_inverse=True)
    held = np.add.reduceat(weights[:, order], starts, axis=1)
    middle = np.cumsum(held, axis=1) - held / 2
    ranks = np.empty_like(weights, dtype=float)
    ranks[:, order] = middle[:, group]
    return ranks


def _correlation(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Return Pearson's r by row, `(r, n)` each; 0 where one of the two does not vary."""
    a, b = _centred(first, weights), _centred(second, weights)
    return _ratio(
        (weights * a * b).sum(axis=1),
        np.sqrt((weights * a * a).sum(axis=1) * (weights * b * b).sum(axis=1)),
    )


def _centred(values: Floats, weights: Floats) -> Floats:
    """Return values less their mean by row; what is left by rounding alone becomes 0."""
    mean = (weights * values).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    left = values - mean
    centred: Floats = np.where(np.abs(left) > _ROUNDING * np.abs(mean), left, 0.0)
    return centred


def _pair_sums(
    values: Floats, scores: Floats, place: Counts, contents: int
) -> tuple[Floats, Floats, Floats]:
    """Return sums over all ordered pairs of images, by their contents, `(contents, contents)`.

    Returns:
        The product of the signs of both differences; pairs of unequal score; pairs of unequal
        value.
    """
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(contents))
    x, y = (np.unique(each[order], return_inverse=True)[1] for each in (values, scores))
    sums = tuple(np.zeros((contents, contents)) for _ in range(3))
    rows = max(1, _CHUNK // len(values))
    for first in range(0, len(values), rows):
        block = slice(first, first + rows)
        by_value = np.sign(x[block, None] - x)
        by_score = np.sign(y[block, None] - y)
        for total, signs in zip(
            sums, (by_value * by_score, by_score != 0, by_value != 0), strict=True
        ):
            by_content = np.add.reduceat(signs.astype(float), starts, axis=1)
            np.add.at(total, place[order][block], by_content)
    return sums[0], sums[1], sums[2]


def _quadratic(weights: Floats, matrix: Floats) -> Floats:
    """Return ``w M w`` of every row of weights."""
    products: Floats = ((weights @ matrix) * weights).sum(axis=1)
    return products


def _ratio(above: Floats, below: Floats) -> Floats:
    """Return a quotient; 0 where there is nothing to divide by."""
    quotient: Floats = np.divide(
        above, below, out=np.zeros_like(np.asarray(above)), where=below > 0
    )
    return quotient
