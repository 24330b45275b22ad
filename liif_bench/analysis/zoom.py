"""What was seen in zoomed views, image by image: accuracy, agreement, intervals, gains.

The table `views` of a run has one row per image, scale, upsampler and view. Accuracy counts images
with a label only. Everything is a mean over images, so that intervals and tests can be paired.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from liif_bench.analysis.kept import KeptRows
from liif_bench.analysis.stats import Estimate, Floats, bootstrapped, mcnemar, right_or_wrong
from liif_bench.downstream import ONE_CROP, VIEWS
from liif_bench.errors import LiifBenchError
from liif_bench.records import Run

BINS = 15
_CENTRE = 1


@dataclass(frozen=True)
class Measure:
    """A number that each image has for each upsampler.

    Attributes:
        name: What it is called in tables.
        column: Of the table of views: "top1", "top5", "agrees" or "kl".
        views: Which views count: "one" (256, centre), "centre" or "all".
        joined: How several become one: "mean", or "any" for whether one of them is right.
        labelled: Whether it needs a label.
        higher_is_better: Direction.
    """

    name: str
    column: str
    views: str
    joined: str = "mean"
    labelled: bool = True
    higher_is_better: bool = True


MEASURES = (
    Measure("top-1 (one)", "top1", "one"),
    Measure("top-5 (one)", "top5", "one"),
    Measure("top-1 (mean)", "top1", "all"),
    Measure("top-5 (mean)", "top5", "all"),
    Measure("centre any", "top1", "centre", "any"),
    Measure("any view", "top1", "all", "any"),
    Measure("agree (one)", "agrees", "one", labelled=False),
    Measure("agree (mean)", "agrees", "all", labelled=False),
    Measure("KL (one)", "kl", "one", labelled=False, higher_is_better=False),
    Measure("KL (mean)", "kl", "all", labelled=False, higher_is_better=False),
)


@dataclass(frozen=True)
class Gain:
    """How far an upsampler lies above another, paired by image.

    Attributes:
        difference: Mean difference with its interval.
        p_value: Of McNemar's exact test, two-sided; None where images are not right or wrong.
    """

    difference: Estimate
    p_value: float | None


@dataclass(frozen=True)
class Exclusives:
    """Shares of the labelled images that are recognised on one side of the one-crop size alone.

    Attributes:
        zoom_in: Right in a view of a larger size, in none of that size or a smaller one.
        zoom_out: Right in a view of a smaller size, in none of that size or a larger one.
        never: Right in no view.
    """

    zoom_in: float
    zoom_out: float
    never: float


@dataclass(frozen=True)
class Seen:
    """The views of one upsampler at one scale on one data set.

    Attributes:
        upsampler: Its name.
        scale: HR size / LR size.
        views: Rows of the table, with the columns top1 and top5 added (NaN without a label).
    """

    upsampler: str
    scale: float
    views: pd.DataFrame

    @property
    def labelled(self) -> pd.DataFrame:
        """The views of images with a label."""
        return self.views.dropna(subset="top1")

    def per_image(self, measure: Measure) -> pd.Series[float]:
        """Return a measure by image; empty where no view of the run can say."""
        views = self.labelled if measure.labelled else self.views
        if measure.views != "all":
            views = views[(views["row"] == _CENTRE) & (views["column"] == _CENTRE)]
        if measure.views == "one":
            views = views[views["size"] == ONE_CROP]
        by_image = views.groupby("item", sort=True)[measure.column]
        values: pd.Series[float] = by_image.max() if measure.joined == "any" else by_image.mean()
        return values.astype(float)

    def estimate(self, measure: Measure) -> Estimate | None:
        """Return a measure's mean over images; None where no image can say."""
        values = self.per_image(measure)
        return None if values.empty else bootstrapped(values.to_numpy())

    def gain(self, measure: Measure, baseline: Seen) -> Gain | None:
        """Return how far a measure lies above another upsampler's; None where no image can say."""
        ours, theirs = self.per_image(measure), baseline.per_image(measure)
        return paired_gain(ours, theirs)

    def by_size(self, *, centre: bool = False) -> dict[int, float]:
        """Return top-1 accuracy by size, ascending: of the centre view, or the mean of all nine."""
        views = self.labelled
        if centre:
            views = views[(views["row"] == _CENTRE) & (views["column"] == _CENTRE)]
        means = views.groupby("size", sort=True)["top1"].mean()
        return {int(size): float(mean) for size, mean in means.items()}

    def by_anchor(self) -> Floats:
        """Return top-1 accuracy by row and column of the anchor, `(3, 3)`, mean over sizes.

        Raises:
            LiifBenchError: No image has a label.
        """
        means = self.labelled.groupby(["row", "column"], sort=True)["top1"].mean()
        if means.empty:
            raise LiifBenchError("no image of the run has a label: there is no accuracy by anchor")
        table: Floats = means.unstack().to_numpy(dtype=float)
        return table

    def exclusives(self) -> Exclusives | None:
        """Return what is recognised on one side of the one-crop size alone; None without labels."""
        views = self.labelled
        if views.empty:
            return None
        side = np.sign(views["size"] - ONE_CROP).rename("side")
        right = views.groupby(["item", side])["top1"].max().unstack().fillna(0) > 0
        smaller, same, larger = (
            right.get(value, pd.Series(False, index=right.index)) for value in (-1, 0, 1)
        )
        return Exclusives(
            zoom_in=float((larger & ~same & ~smaller).mean()),
            zoom_out=float((smaller & ~same & ~larger).mean()),
            never=float((~larger & ~same & ~smaller).mean()),
        )

    def calibration_error(self) -> float | None:
        """Return the expected calibration error over all labelled views; None without labels."""
        views = self.labelled
        if views.empty:
            return None
        return calibration_error(views["confidence"].to_numpy(), views["top1"].to_numpy())


@dataclass(frozen=True)
class ZoomResults(KeptRows):
    """The views of one data set, with the columns top1 and top5 added (NaN without a label)."""

    @property
    def images(self) -> int:
        """Images of which there are views."""
        return int(self.rows["item"].nunique())

    @property
    def labelled(self) -> int:
        """Images of them that have a label."""
        return int(self.rows.dropna(subset="top1")["item"].nunique())

    def seen(self, upsampler: str, scale: float) -> Seen:
        """Return the views of an upsampler at a scale."""
        mine = (self.rows["upsampler"] == upsampler) & (self.rows["scale"] == scale)
        return Seen(upsampler, scale, self.rows[mine])


def zoom_results(run: Run) -> list[ZoomResults]:
    """Return the views of a run by data set; an empty list if it has none."""
    views = run.details(VIEWS)
    if views.empty:
        return []
    ranks = views["rank"].astype(float)
    for places in (1, 5):
        views[f"top{places}"] = (ranks <= places).astype(float).where(ranks.notna())
    views["agrees"] = views["agrees"].astype(float)
    groups = views.groupby("dataset", sort=False)
    return [ZoomResults(str(name), group) for name, group in groups]


def paired_gain(ours: pd.Series[float], theirs: pd.Series[float]) -> Gain | None:
    """Return how far values lie above others of the same images; None where no image has both.

    Args:
        ours: By image.
        theirs: By image.
    """
    pairs = pd.concat([ours, theirs], axis=1).dropna()
    if pairs.empty:
        return None
    mine, other = pairs.to_numpy().T
    p = mcnemar(mine, other) if right_or_wrong(mine, other) else None
    return Gain(bootstrapped(mine - other), p)


def calibration_error(confidence: Floats, right: Floats, bins: int = BINS) -> float:
    """Return the expected calibration error (Guo et al., arXiv 1706.04599).

    Args:
        confidence: Probability of the most likely class, by view.
        right: 1 where it is right, 0 where it is wrong.
        bins: Bins of one width over [0, 1].

    Returns:
        Mean distance between confidence and accuracy of a bin, weighted by its views; in [0, 1].
    """
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = np.bincount(place, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(confidence))
