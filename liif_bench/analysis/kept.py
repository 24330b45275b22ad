"""Rows of the tables that metrics keep beside a run's records."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd


@dataclass(frozen=True)
class KeptRows:
    """The rows of one data set.

    Attributes:
        dataset: Its name.
        rows: Of the table: item, scale, upsampler, and what the metrics keep.
    """

    dataset: str
    rows: pd.DataFrame

    @cached_property
    def scales(self) -> tuple[float, ...]:
        """Scales, ascending."""
        return tuple(sorted(float(scale) for scale in self.rows["scale"].unique()))

    @cached_property
    def upsamplers(self) -> tuple[str, ...]:
        """Upsamplers in the order of the run."""
        return tuple(str(name) for name in self.rows["upsampler"].unique())
