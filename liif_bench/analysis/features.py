"""Fidelity of an encoder's features over a set of images, by route, with intervals.

The table `features` of a run has one row per image, scale, upsampler, encoder and route, with the
sums of HR's features. Everything here is made of those sums, without the features themselves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
import pandas as pd

from liif_bench.analysis.kept import KeptRows
from liif_bench.analysis.stats import RESAMPLES, Estimate, Floats, interval
from liif_bench.downstream import FEATURES
from liif_bench.errors import LiifBenchError
from liif_bench.records import Run


@dataclass(frozen=True)
class Moments:
    """Sums of HR's features by image.

    Attributes:
        tokens: `(n,)` tokens of each image.
        sums: `(n, C)` sums of its tokens.
        squares: `(n,)` sums of their squares, over channels.
    """

    tokens: Floats
    sums: Floats
    squares: Floats

    def variance(self, counts: Floats) -> Floats:
        """Return the variance of a channel over all tokens, mean over channels.

        Args:
            counts: `(..., n)` how often each image is in the set.

        Returns:
            `(...)`.
        """
        total = counts @ self.tokens
        means = counts @ self.sums / total[..., None]
        spread = counts @ self.squares / total - (means**2).sum(axis=-1)
        result: Floats = spread / self.sums.shape[1]
        return result

    def shuffled(self) -> float:
        """Return the mean squared difference between HR's tokens and those of another image.

        The expectation over all ordered pairs of different images and of places in them, an image
        weighing as much as it has tokens: no feature is compared with another, for the expectation
        follows from the sums.

        Raises:
            LiifBenchError: There is only one image.
        """
        if len(self.tokens) < 2:
            raise LiifBenchError("shuffling needs two images of HR")
        means = self.sums / self.tokens[:, None]
        squares = self.squares / self.tokens
        distances = squares[:, None] + squares[None] - 2 * means @ means.T
        weights = np.outer(self.tokens, self.tokens)
        np.fill_diagonal(weights, 0)
        return float((weights * distances).sum() / weights.sum() / self.sums.shape[1])


@dataclass(frozen=True)
class Way:
    """How features came about: an upsampler and a route."""

    upsampler: str
    route: str

    def __str__(self) -> str:
        return f"{self.upsampler}, {self.route}"


@dataclass(frozen=True)
class FeatureResults(KeptRows):
    """The features of one encoder on one data set.

    Attributes:
        encoder: The encoder's name.
    """

    encoder: str

    @cached_property
    def routes(self) -> tuple[str, ...]:
        """Routes in the order of the run."""
        return tuple(str(name) for name in self.rows["route"].unique())

    @cached_property
    def ways(self) -> tuple[Way, ...]:
        """Upsamplers and routes that the run has, upsampler by upsampler."""
        pairs = self.rows[["upsampler", "route"]].drop_duplicates()
        return tuple(Way(str(name), str(route)) for name, route in pairs.itertuples(index=False))

    @cached_property
    def _items(self) -> dict[float, tuple[str, ...]]:
        counts = self.rows.groupby(["scale", "item"], sort=True).size()
        whole = counts.index[counts == len(self.ways)]
        return {
            scale: tuple(str(item) for each, item in whole if each == scale)
            for scale in self.scales
        }

    def items(self, scale: float) -> tuple[str, ...]:
        """Return the images that every way has at a scale, so that all are over one set."""
        return self._items[scale]

    def channels(self) -> int:
        """Return the channels of a token."""
        return int(self.rows["channels"].iloc[0])

    def moments(self, scale: float) -> Moments:
        """Return the sums of HR's features of `items`, in their order."""
        mine = self._of(scale, self.ways[0])
        sums = np.array(mine["hr_sums"].tolist(), dtype=np.float64)
        return Moments(
            mine["tokens"].to_numpy(np.float64), sums, mine["hr_squares"].to_numpy(np.float64)
        )

    def _of(self, scale: float, way: Way) -> pd.DataFrame:
        rows = self.rows
        chosen = rows[
            (rows["scale"] == scale)
            & (rows["upsampler"] == way.upsampler)
            & (rows["route"] == way.route)
        ]
        return chosen.set_index("item").loc[list(self.items(scale))]

    def _errors(self, scale: float, way: Way) -> Floats:
        """Return the summed squared difference by image, over tokens, mean over channels."""
        mine = self._of(scale, way)
        errors: Floats = (mine["mse"] * mine["tokens"]).to_numpy(np.float64)
        return errors

    @cached_property
    def _spreads(self) -> dict[float, Floats]:
        """Var(F_HR) times the tokens of the set and of each resample, by scale."""
        spreads = {}
        for scale in self.scales:
            if self.items(scale):
                moments = self.moments(scale)
                counts = image_counts(len(moments.tokens))
                spreads[scale] = moments.variance(counts) * (counts @ moments.tokens)
        return spreads

    def fidelity(self, scale: float, way: Way) -> Estimate | None:
        """Return Var(F_HR) / MSE(F, F_HR) of the set with its interval; None without images.

        Infinite where nothing differs. The interval resamples images, in both terms of the ratio.
        """
        errors = self._errors(scale, way)
        if not len(errors):
            return None
        return _estimate(
            _ratio(self._spreads[scale], image_counts(len(errors)) @ errors), len(errors)
        )

    def gain(self, scale: float, way: Way, baseline: Way) -> Estimate | None:
        """Return the fidelity of a way over that of another, paired by image.

        The variance drops out: it is the ratio of the squared differences. None where neither
        differs from HR, or without images.
        """
        ours, theirs = self._errors(scale, way), self._errors(scale, baseline)
        if not len(ours) or (not ours.any() and not theirs.any()):
            return None
        counts = image_counts(len(ours))
        return _estimate(_ratio(counts @ theirs, counts @ ours), len(ours))

    def shuffled(self, scale: float) -> float | None:
        """Return the fidelity of another image's tokens; None with fewer than two images."""
        moments = self.moments(scale)
        if len(moments.tokens) < 2:
            return None
        everyone = np.ones(len(moments.tokens))
        return float(moments.variance(everyone) / moments.shuffled())

    def cosine(self, scale: float, way: Way) -> float | None:
        """Return the mean cosine over all tokens of the set; None without images."""
        mine = self._of(scale, way)
        if mine.empty:
            return None
        return float(np.average(mine["cosine"], weights=mine["tokens"]))


def feature_results(run: Run) -> list[FeatureResults]:
    """Return the features of a run by data set and encoder.

    Raises:
        LiifBenchError: The run has none.
    """
    rows = run.details(FEATURES)
    if rows.empty:
        raise LiifBenchError(
            f"'{run.path}' has no features: measure metrics such as"
            " feature-mse:efficientnet-lite0@3"
        )
    groups = rows.groupby(["dataset", "encoder"], sort=False)
    return [FeatureResults(str(data), group, str(encoder)) for (data, encoder), group in groups]


@cache
def image_counts(images: int) -> Floats:
    """Return how often each image is in the set and in its resamples, `(1 + RESAMPLES, images)`.

    The first row is the set itself; the others are the same every time.
    """
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(images, [1 / images] * images, RESAMPLES)
    return np.concatenate([np.ones((1, images)), drawn]).astype(np.float64)


def _ratio(above: Floats, below: Floats) -> Floats:
    """Divide; what is over nothing is infinite."""
    result: Floats = np.full(above.shape, math.inf)
    np.divide(above, below, out=result, where=below > 0)
    return result


def _estimate(values: Sequence[float] | Floats, images: int) -> Estimate:
    """Return the first value with the 95 % percentile interval of the others."""
    value, *resampled = np.asarray(values)
    return Estimate(float(value), *interval(resampled), images)
