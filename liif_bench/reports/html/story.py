"""The answer first: who wins where, and how sure, in sentences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from liif_bench.analysis.compare import IN, OUT, Cell, Comparison
from liif_bench.analysis.stats import CONFIDENCE
from liif_bench.analysis.winners import Winner, contenders, images_needed, winners
from liif_bench.reports.tables import DASH, style_of

_REGIMES = {IN: "in distribution", OUT: "out of distribution", "": ""}


@dataclass(frozen=True)
class Won:
    """A cell of the table of winners.

    Attributes:
        model: The winner, or what stands in its place.
        detail: Its mean and its lead.
        sure: Whether it is better than every other, surely.
        decided: Whether there is a winner.
        regime: Of the winner in words; empty where nobody can say.
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
        leader: The model that wins most cells; None where several do.
        baseline: Model that differences are from.
        sentences: How each model differs from it.
        scales: Columns of the table of winners.
        rows: Title of a metric and its winners by scale.
        notes: What is meant by sure.
    """

    dataset: str
    headline: str
    leader: str | None
    baseline: str
    sentences: tuple[str, ...]
    scales: tuple[float, ...]
    rows: tuple[tuple[str, tuple[Won, ...]], ...]
    notes: tuple[str, ...]


def tell(comparison: Comparison) -> Story:
    """Say who wins where on a data set, and how sure that is."""
    cells = winners(comparison)
    leaders, _ = _leaders(cells)
    found = {(cell.metric, cell.scale): cell for cell in cells}
    return Story(
        dataset=comparison.dataset,
        headline=_headline(cells, images_needed(comparison)),
        leader=leaders[0] if len(leaders) == 1 else None,
        baseline=comparison.baseline,
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


def _leaders(cells: Sequence[Winner]) -> tuple[list[str], int]:
    """Return who wins most cells, and how many."""
    counts = Counter(cell.model for cell in cells if cell.model is not None)
    most = max(counts.values(), default=0)
    return [name for name, count in counts.items() if count == most], most


def _headline(cells: Sequence[Winner], needed: int) -> str:
    leaders, most = _leaders(cells)
    total = len(cells)
    if not leaders:
        return "No model is ahead of the others anywhere."
    if len(leaders) > 1:
        return (
            f"Nobody wins overall: {_join(leaders)} have the best mean in {most} of"
            f" {_cells(total)} each."
        )
    won = [cell for cell in cells if cell.model == leaders[0]]
    where = f"{most} of {_cells(total)}"
    if most == total:
        where = f"all {_cells(total)}" if total > 1 else "the only cell"
    sure = sum(cell.sure for cell in won)
    images = max(cell.images for cell in cells)
    if sure:
        how = "surely so" if sure == most == 1 else f"surely so in {sure} of them"
        how = "surely so in all of them" if sure == most > 1 else how
    else:
        how = "but not surely so in any"
        if images < needed:
            how += f": {_images(images)} too few to tell, {needed} could"
    return f"{leaders[0]} has the best mean in {where} (a metric at a scale), {how}."


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
                    f"{model} against {comparison.baseline}, {_where(regime, at)}: "
                    + "; ".join(map(_difference, cells))
                    + "."
                )


def _where(regime: str, scales: str) -> str:
    return f"{_REGIMES[regime]} ({scales})" if _REGIMES[regime] else f"at {scales}"


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
        return Won("tie", mean, sure=False, decided=False, regime=_REGIMES[cell.regime])
    if cell.margin is None:
        return Won(cell.model, mean, sure=False, decided=True, regime=_REGIMES[cell.regime])
    lead = f"{mean}, {abs(cell.margin.difference.mean):.{max(3, digits)}f} ahead of"
    return Won(
        cell.model, f"{lead} {cell.runner_up}",
        sure=cell.sure, decided=True, regime=_REGIMES[cell.regime],
    )  # fmt: skip


def _notes(comparison: Comparison, cells: Sequence[Winner]) -> Iterator[str]:
    images = "1 image" if comparison.items == 1 else f"{comparison.items} images"
    yield (
        f"{images}, protocol {comparison.protocol}. Sure: better than every other model by the"
        f" paired test at the 5 % level, corrected for {_cells(len(cells))} (Holm), and than the"
        f" next best by the {CONFIDENCE} % interval."
    )
    fewest = min((cell.images for cell in cells), default=comparison.items)
    if fewest < comparison.items:
        yield f"Some cells are of the {fewest} images that every model has a value of."


def _title(metric: str, higher: bool) -> str:
    return f"{style_of(metric).title} {'↑' if higher else '↓'}"


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _images(count: int) -> str:
    return "1 image is" if count == 1 else f"{count} images are"


def _join(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
