"""Measured means beside published values: what is reproduced, and what could not be compared."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd

from liif_bench.records import GIVEN_LR
from liif_bench.references import Reference

Verdict = Literal["met", "missed", "near", "far", "not run"]
"""A verified value is met or missed; one that nobody has confirmed is near or far."""


@dataclass(frozen=True)
class Comparison:
    """One published value and what was measured in its place.

    Attributes:
        reference: The published row.
        scale: HR size / LR size.
        ours: Mean over the data set; None where it was not measured.
        reason: Why it was not measured, or not in the same way.
    """

    reference: Reference
    scale: float
    ours: float | None
    reason: str = ""

    @property
    def published(self) -> float:
        """The published value."""
        return self.reference.values[self.scale]

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        return None if self.ours is None else self.ours - self.published

    @property
    def verdict(self) -> Verdict:
        """Whether ours is the published value within the rounding of print."""
        if self.difference is None:
            return "not run"
        within = abs(self.difference) <= self.reference.tolerance + 1e-9
        if self.reference.verified:
            return "met" if within else "missed"
        return "near" if within else "far"


def compare_with_published(
    records: pd.DataFrame,
    references: Iterable[Reference],
    scales: Sequence[float],
    missing: dict[str, str],
) -> list[Comparison]:
    """Hold a run's means against published rows of the same upsampler and protocol.

    Args:
        records: Of one protocol.
        references: Rows whose upsampler and data set were asked for.
        scales: Scales that were asked for.
        missing: Why a data set could not be run, by name.

    Returns:
        One comparison per row and scale, in the order of the rows.
    """
    return [
        _compare(records, reference, scale, missing.get(reference.dataset))
        for reference in references
        for scale in reference.values
        if scale in scales
    ]


def _compare(
    records: pd.DataFrame, reference: Reference, scale: float, missing: str | None
) -> Comparison:
    if missing is not None:
        return Comparison(reference, scale, None, missing)
    rows = records[
        (records["dataset"] == reference.dataset)
        & (records["upsampler"] == reference.upsampler)
        & (records["metric"] == reference.metric)
        & (records["scale"] == scale)
        & (records["protocol_hash"] == reference.protocol_hash)
    ]
    if rows.empty:
        return Comparison(reference, scale, None, "not part of this run")
    failed = rows[rows["error"].notna()]
    if len(failed):
        first = failed.iloc[0]
        return Comparison(
            reference, scale, None, f"{len(failed)} of {len(rows)} images: {first['error']}"
        )
    expected = reference.lr_source(scale)
    sources = set(rows["lr_source"])
    if sources != {expected}:
        found = " and ".join(sorted(sources))
        reason = (
            f"the data set has no LR files at x{scale:g}"
            if expected == GIVEN_LR
            else f"LR is {found} here, {expected} there"
        )
        return Comparison(reference, scale, None, reason)
    mean = float(rows["value"].mean())
    if not math.isfinite(mean):
        return Comparison(reference, scale, None, "the mean is not finite")
    return Comparison(reference, scale, mean)
