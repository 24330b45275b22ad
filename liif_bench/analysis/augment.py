"""What test-time augmentation recognises, image by image: intervals, and gains paired by image.

The tables `tta` and `memo` of a run have two rows per image, scale and upsampler: the plain
judgement of the one-crop view, and what was made of many random crops.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from liif_bench.analysis.kept import KeptRows
from liif_bench.analysis.stats import Estimate, bootstrapped
from liif_bench.analysis.zoom import Gain, paired_gain
from liif_bench.downstream import ADAPTED, AUGMENTED
from liif_bench.records import Run

ONE = "one"
METHODS = (ONE, "mean", "memo")
"""How one answer is made: of the one-crop view, of the mean of crops, by MEMO."""

PLACES = (1, 5)

_CASE = ["dataset", "item", "scale", "upsampler"]


@dataclass(frozen=True)
class AugmentResults(KeptRows):
    """What was recognised of the labelled images of one data set: their method and rank."""

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods that the run has, the plain one first."""
        found = set(self.rows["method"])
        return tuple(method for method in METHODS if method in found)

    def images(self, upsampler: str | None = None) -> int:
        """Return how many images there are, of one upsampler or of all."""
        rows = self.rows
        if upsampler is not None:
            rows = rows[rows["upsampler"] == upsampler]
        return int(rows["item"].nunique())

    def right(self, upsampler: str, scale: float, method: str, places: int) -> pd.Series[float]:
        """Return by image whether a right class is among the first `places`: 1 or 0."""
        rows = self.rows
        mine = rows[
            (rows["upsampler"] == upsampler) & (rows["scale"] == scale) & (rows["method"] == method)
        ]
        return (mine.set_index("item")["rank"] <= places).astype(float).sort_index()

    def estimate(self, upsampler: str, scale: float, method: str, places: int) -> Estimate | None:
        """Return the accuracy with its interval; None where there is no image."""
        values = self.right(upsampler, scale, method, places)
        return None if values.empty else bootstrapped(values.to_numpy())

    def gain_over(
        self, baseline: str, upsampler: str, scale: float, method: str, places: int
    ) -> Gain | None:
        """Return how far an upsampler lies above another under one method."""
        ours = self.right(upsampler, scale, method, places)
        return paired_gain(ours, self.right(baseline, scale, method, places))

    def gain_of(self, upsampler: str, scale: float, method: str, places: int) -> Gain | None:
        """Return how far a method lies above the one-crop view of the same upsampler."""
        ours = self.right(upsampler, scale, method, places)
        return paired_gain(ours, self.right(upsampler, scale, ONE, places))


def augment_results(run: Run) -> list[AugmentResults]:
    """Return what a run's augmentations recognised by data set; an empty list if it has none."""
    tables = [run.details(name) for name in (AUGMENTED, ADAPTED)]
    rows = pd.concat([table for table in tables if not table.empty] or [pd.DataFrame()])
    if rows.empty:
        return []
    rows = rows.drop_duplicates([*_CASE, "method"])
    return [AugmentResults(str(name), group) for name, group in rows.groupby("dataset", sort=False)]
