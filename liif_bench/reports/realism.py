"""How real enlargements look, as tables; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from liif_bench.analysis.distribution import (
    AUC,
    CMMD,
    DISTANCES,
    FID_RESAMPLES,
    KID,
    Distance,
    PatchResults,
)
from liif_bench.analysis.stats import Estimate
from liif_bench.reports.grids import Grid, lacking
from liif_bench.reports.tables import DASH
from liif_bench.reports.zoom import range_text
from liif_bench.upsamplers import TRUTH

FLOOR = f"{TRUTH}, half against half"

_FEW = f"of fewer than {KID.least} images the intervals are too narrow"
_NOTES = {
    "AUC": ("0.5: not to be told from photographs; 1: always told",),
    "KID": ("unbiased, polynomial kernel of degree 3; below 0 by chance where sets hardly differ",),
    "FID": (f"intervals of {FID_RESAMPLES} resamples, moved by their bias",),
    "CMMD": ("Gaussian kernel of bandwidth 10, times 1000, on these features and not on CLIP's",),
}


def realism_grids(results: PatchResults, *, cmmd: bool = False) -> list[Grid]:
    """Return the tables of one data set.

    Args:
        results: Its patches.
        cmmd: Whether CMMD is wanted too.

    Returns:
        The probability of "photograph", and where the run has the model `hr` one table for each
        distance from it; all with 95 % intervals.
    """
    grids = [_probabilities(results)]
    if TRUTH in results.upsamplers:
        wanted = [each for each in DISTANCES if cmmd or each is not CMMD]
        return [*grids, *(_distances(results, each) for each in wanted)]
    missing = f"AUC and distances need the model {TRUTH} in the run"
    return [
        Grid(each.title, each.columns, each.rows, notes=(*each.notes, missing)) for each in grids
    ]


def _grid(
    results: PatchResults,
    title: str,
    models: Sequence[str],
    cell: Callable[[str, float], str],
    notes: tuple[str, ...],
) -> Grid:
    """Return a table with a row per model and a column per scale."""
    return Grid(
        title=f"{results.dataset}: {title} with 95 % intervals",
        columns=("model", *(f"x{scale:g}" for scale in results.scales)),
        rows=tuple((name, *(cell(name, scale) for scale in results.scales)) for name in models),
        notes=notes,
    )


def _probabilities(results: PatchResults) -> Grid:
    counts = results.rows.groupby("upsampler")["item"].nunique()
    return _grid(
        results,
        "probability of “photograph” ↑",
        results.upsamplers,
        lambda name, scale: range_text(results.probability(name, scale)),
        (
            f"{results.images} images, mean over their patches",
            *(
                lacking(name, int(counts[name]), results.images)
                for name in results.upsamplers
                if counts[name] < results.images
            ),
        ),
    )


def _distances(results: PatchResults, distance: Distance) -> Grid:
    """Return the table of a distance; what is refused is a dash, and why stands below."""
    warnings: dict[str, None] = {}

    def cell(name: str, scale: float) -> str:
        whole = len(results.items(TRUTH if name == FLOOR else name, scale))
        images = whole // 2 if name == FLOOR else whole
        reason = distance.refusal(images)
        if reason is not None:
            warnings[reason] = None
            return DASH
        if images < KID.least:
            warnings[_FEW] = None
        compared = results.halves(scale) if name == FLOOR else results.compared(name, scale)
        estimate = distance.measure(compared)
        return range_text(estimate) if distance is AUC else _significant(estimate)

    made = _grid(
        results,
        f"{distance.name} against HR ↓",
        (*results.others, FLOOR),
        cell,
        _NOTES[distance.name],
    )
    return Grid(made.title, made.columns, made.rows, notes=(*made.notes, *warnings))


def _significant(estimate: Estimate) -> str:
    return f"{estimate.mean:.3g} [{estimate.low:.3g}, {estimate.high:.3g}]"
