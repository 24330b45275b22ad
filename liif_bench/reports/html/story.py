"""The answer first: who wins where, and how sure, in sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from liif_bench.analysis.compare import IN, OUT, Cell, Comparison
from liif_bench.analysis.stats import CONFIDENCE
from liif_bench.analysis.winners import Winner, contenders, images_needed, winners
from liif_bench.reports.tables import DASH, style_of

_REGIMES = {IN: "in distribution", OUT: "out of distribution", "": "at these scales"}


@dataclass(frozen=True)
class Won:
    """A cell of the table of winners.

    Attributes:
        model: The winner, or what stands in its place.
        detail: Its mean and its lead.
        sure: Whether it is better than every other, surely.
        decided: Whether there is a winner.
        regime: "in", "out" or "" of the winner.
    """

    model: str
    detail: str
    sure: bool
    decided: bool
    regime: str


@dataclass(frozen=True)
class Story:
    """What is said of a data set.

    Attributes:
        dataset: Its name.
        headline: The answer in one sentence.
        sentences: More of it.
        scales: Columns of the table of winners.
        rows: Title of a metric and its winners by scale.
        notes: What is meant by sure.
    """

    dataset: str
    headline: str
    sentences: tuple[str, ...]
    scales: tuple[float, ...]
    rows: tuple[tuple[str, tuple[Won, ...]], ...]
    notes: tuple[str, ...]


def tell(comparison: Comparison) -> Story:
    """Say who wins where on a data set, and how sure that is."""
    cells = winners(comparison)
    found = {(cell.metric, cell.scale): cell for cell in cells}
    return Story(
        dataset=comparison.dataset,
        headline=_headline(comparison, cells),
        sentences=tuple(_sentences(comparison)),
        scales=comparison.scales,
        rows=tuple(
            (
                _title(metric.name, metric.higher_is_better),
                tuple(_won(found.get((metric.name, scale))) for scale in comparison.scales),
            )
            for metric in comparison.metrics
        ),
        notes=tuple(_notes(comparison, cells)),
    )


def _headline(comparison: Comparison, cells: Sequence[Winner]) -> str:
    counts: dict[str, list[Winner]] = {}
    for cell in cells:
        if cell.model is not None:
            counts.setdefault(cell.model, []).append(cell)
    if not counts:
        return "No model is ahead of the others anywhere."
    ranked = sorted(counts.items(), key=lambda each: -len(each[1]))
    most = len(ranked[0][1])
    leaders = [name for name, won in ranked if len(won) == most]
    total = len(cells)
    if len(leaders) > 1:
        return (
            f"Nobody wins overall: {_join(leaders)} have the best mean in {most} of"
            f" {_cells(total)} each."
        )
    leader, won = ranked[0]
    sure = sum(cell.sure for cell in won)
    where = f"{most} of {_cells(total)}" if most < total else f"all of {_cells(total)}"
    how = (
        "surely so in all of them" if sure == most and most > 1
        else "surely so" if sure == most
        else f"surely so in {sure} of them" if sure
        else "but surely so in none of them"
    )  # fmt: skip
    return f"{leader} has the best mean in {where} (a metric at a scale), {how}."


def _sentences(comparison: Comparison) -> Iterator[str]:
    """Say of every model how it differs from the baseline, regime by regime."""
    for model in comparison.candidates:
        if model not in contenders(comparison):
            continue
        for regime in (IN, OUT, ""):
            cells = [
                cell
                for cell in comparison.summaries
                if cell.model == model and cell.regime == regime and cell.paired is not None
            ]
            if cells:
                scales = [s for s in comparison.scales if comparison.regime(s, model) == regime]
                at = ", ".join(f"x{scale:g}" for scale in scales)
                yield (
                    f"{model} against {comparison.baseline}, {_REGIMES[regime]} ({at}): "
                    + "; ".join(map(_difference, cells))
                    + "."
                )


def _difference(cell: Cell) -> str:
    assert cell.paired is not None
    digits = max(3, style_of(cell.metric).decimals)
    estimate = cell.paired.difference
    mean, low, high = (
        f"{round(value, digits) + 0.0:+.{digits}f}"
        for value in (estimate.mean, estimate.low, estimate.high)
    )
    verdict = {True: "better, sure", False: "worse, sure", None: "not sure"}[cell.better]
    return f"{style_of(cell.metric).title} {mean} [{low}, {high}], {verdict}"


def _won(cell: Winner | None) -> Won:
    if cell is None:
        return Won(DASH, "no image that all have", sure=False, decided=False, regime="")
    digits = style_of(cell.metric).decimals
    mean = f"{cell.mean:.{digits}f}" if math.isfinite(cell.mean) else f"{cell.mean:g}"
    if cell.model is None:
        return Won("tie", mean, sure=False, decided=False, regime=cell.regime)
    if cell.margin is None:
        return Won(cell.model, mean, sure=False, decided=True, regime=cell.regime)
    digits = max(3, digits)
    lead = f"{mean}, {cell.margin.difference.mean:+.{digits}f} on {cell.runner_up}"
    return Won(cell.model, lead, sure=cell.sure, decided=True, regime=cell.regime)


def _notes(comparison: Comparison, cells: Sequence[Winner]) -> Iterator[str]:
    images = "1 image" if comparison.items == 1 else f"{comparison.items} images"
    yield (
        f"{images}, protocol {comparison.protocol}. Sure: better than every other model by the"
        f" paired test at the 5 % level, corrected for {_cells(len(cells))} (Holm), and than the"
        f" next best by the {CONFIDENCE} % interval."
    )
    needed = images_needed(comparison)
    if len(contenders(comparison)) > 1 and comparison.items < needed:
        yield (
            f"Too few images to be sure of a winner, however clear: {images} here, {needed} could."
        )
    fewest = min((cell.images for cell in cells), default=comparison.items)
    if fewest < comparison.items:
        yield f"Some cells are of the {fewest} images that every model has a value of."


def _title(metric: str, higher: bool) -> str:
    return f"{style_of(metric).title} {'↑' if higher else '↓'}"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _join(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
