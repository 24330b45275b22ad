"""How much of a zoom is resolution, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from liif_bench.analysis.resolution import GROWTH, Resolution
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH
from liif_bench.upsamplers import TRUTH


def resolution_grids(found: Sequence[Resolution]) -> list[Grid]:
    """Lay out what upsamplers resolve.

    Args:
        found: As `resolutions` returns it.

    Returns:
        One table per data set. The real zoom at a scale is how much finer the enlargement
        resolves than an image of the size of LR would, if its pixels were as sharp as HR's.
    """
    grids = []
    for dataset in dict.fromkeys(each.dataset for each in found):
        here = [each for each in found if each.dataset == dataset]
        scales = sorted({scale for each in here for scale in each.per_lr})
        truth = next((each for each in here if each.upsampler == TRUTH), None)
        grids.append(
            Grid(
                title=f"{dataset}: MTF50 in cycles per LR pixel",
                columns=("model", *(f"x{scale:g}" for scale in scales), "grows up to"),
                rows=tuple(
                    (each.upsampler, *(_value(each, scale) for scale in scales), _stop(each))
                    for each in here
                ),
                notes=(
                    f"mean over {max(each.edges for each in here)} slanted edges",
                    f"grows up to: the scale beyond which it grows by no more than {GROWTH:.0%}",
                ),
            )
        )
        if truth is not None:
            grids.append(_real_zoom(dataset, here, truth, scales))
    return grids


def _real_zoom(
    dataset: str, here: Sequence[Resolution], truth: Resolution, scales: Sequence[float]
) -> Grid:
    def real(each: Resolution, scale: float) -> str:
        if scale not in each.per_lr or scale not in truth.per_hr:
            return DASH
        return f"{each.per_lr[scale] / truth.per_hr[scale]:.2f}"

    return Grid(
        title=f"{dataset}: real zoom, how much finer than pixels of LR's size",
        columns=("model", *(f"x{scale:g}" for scale in scales)),
        rows=tuple((each.upsampler, *(real(each, scale) for scale in scales)) for each in here),
        notes=(
            "MTF50 per LR pixel over HR's per HR pixel: the scale itself for HR, 1 for an image of"
            " the size of LR that is as sharp as its pixels allow",
        ),
    )


def _value(each: Resolution, scale: float) -> str:
    return f"{each.per_lr[scale]:.3f}" if scale in each.per_lr else DASH


def _stop(each: Resolution) -> str:
    if each.stops is not None:
        return f"x{each.stops:g}"
    return f"beyond x{max(each.per_lr):g}" if len(each.per_lr) > 1 else DASH
