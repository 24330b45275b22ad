"""How much of a zoom is resolution: MTF50 of a run's slanted edges by scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from liif_bench.errors import LiifBenchError
from liif_bench.records import Run

MTF50, MTF50_LR = "mtf50", "mtf50-lr"
GROWTH = 0.05
"""A scale adds resolution if MTF50 per LR pixel grows beyond it by more than this share."""


@dataclass(frozen=True)
class Resolution:
    """What one upsampler resolves.

    Attributes:
        dataset: Where it was measured.
        upsampler: Its name.
        per_hr: MTF50 in cycles per HR pixel by scale, ascending, the mean over the edges.
        per_lr: The same in cycles per LR pixel.
        edges: How many edges.
    """

    dataset: str
    upsampler: str
    per_hr: Mapping[float, float]
    per_lr: Mapping[float, float]
    edges: int

    @property
    def stops(self) -> float | None:
        """The smallest scale beyond which MTF50 per LR pixel grows no more (`GROWTH`).

        None where it still grows up to the largest scale, or where there is only one.
        """
        scales = list(self.per_lr)
        for position, scale in enumerate(scales[:-1]):
            larger = max(self.per_lr[other] for other in scales[position + 1 :])
            if larger <= (1 + GROWTH) * self.per_lr[scale]:
                return scale
        return None


def resolutions(run: Run) -> list[Resolution]:
    """Read what upsamplers resolve from a run.

    Args:
        run: With records of `mtf50` and `mtf50-lr`.

    Returns:
        One per data set and upsampler, in the run's order; means over the edges that have a value
        at every scale. An upsampler that has none is left out.

    Raises:
        LiifBenchError: The run measured none.
    """
    records = run.records
    measured = records[records["metric"].isin([MTF50, MTF50_LR]) & records["value"].notna()]
    found = []
    for (dataset, upsampler), rows in measured.groupby(["dataset", "upsampler"], sort=False):
        values = rows.pivot_table(
            index="item", columns=["metric", "scale"], values="value", aggfunc="first"
        ).dropna()
        if {MTF50, MTF50_LR} <= set(rows["metric"]) and len(values):
            means = values.mean()
            per_hr, per_lr = (
                {float(scale): float(mean) for scale, mean in means[metric].sort_index().items()}
                for metric in (MTF50, MTF50_LR)
            )
            found.append(Resolution(dataset, upsampler, per_hr, per_lr, len(values)))
    if not found:
        raise LiifBenchError(
            f"'{run.path}' holds no MTF50 of slanted edges: run 'liif-bench run scenes' first"
        )
    return found
