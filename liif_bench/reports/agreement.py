"""How metrics agree with people, or with damage of known order, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from liif_bench.analysis.agreement import (
    CONTENT,
    GRADED,
    LEAST_RATINGS,
    METHOD,
    Agreement,
    Part,
    parts,
)
from liif_bench.analysis.stats import CONFIDENCE, Estimate
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH

MOST_METHODS = 12
"""Methods beyond which there is no table by method."""

_HOW = {
    METHOD: "worked out for each method of each content, averaged over contents",
    CONTENT: "worked out for each content, averaged over contents",
}
_GRADED_NOTE = "a method is a kind of damage; its order, by strength, is known by construction"
_MIXED_NOTE = "the order between kinds of damage is not known: equal strengths count as ties"


def agreement_grids(table: pd.DataFrame) -> list[Grid]:
    """Lay out how metrics agree with scores.

    Args:
        table: As `liif_bench.agreement.measure_agreement` returns it.

    Returns:
        For each data set and part of it, one table per level at which its scores may be compared,
        the metric of the largest rho first, and one of rho by method where methods are few.
    """
    return [grid for part in parts(table) for grid in _of_part(part)]


def _of_part(part: Part) -> Iterator[Grid]:
    title = f"{part.dataset}, {part.name}" if part.name else part.dataset
    for number, level in enumerate(part.levels):
        found = {metric: part.agreement(metric, level) for metric in part.metrics}
        grid = _level(f"{title}: agreement {level}", level, part, found)
        yield grid if number else replace(grid, notes=(*grid.notes, *_unscored(part)))
    if METHOD in part.levels and len(part.methods) <= MOST_METHODS:
        yield _methods(f"{title}: Spearman's rho by method", part)


def _level(title: str, level: str, part: Part, found: dict[str, Agreement | None]) -> Grid:
    rows = []
    for metric, agreement in _best_first(found):
        if agreement is None:
            rows.append((metric, *[DASH] * 5))
            continue
        numbers = (agreement.spearman, agreement.kendall, agreement.pearson, agreement.pairs)
        rows.append((metric, f"{agreement.images}", *map(_shown, numbers)))
    contents = max((each.contents for each in found.values() if each is not None), default=0)
    notes = [
        f"{_HOW[level]}; {contents} contents" if level in _HOW else f"{contents} contents",
        f"{CONFIDENCE} % intervals over resampled contents; 1 is full agreement, -1 the reverse;"
        " of pairs, 0.5 is chance",
    ]
    if part.dataset == GRADED:
        notes.append(_GRADED_NOTE if level == METHOD else _MIXED_NOTE)
    notes += [f"{name}: {each.note}" for name, each in found.items() if each and each.note]
    columns = ("metric", "images", "Spearman", "Kendall", "Pearson, logistic", "pairs alike")
    return Grid(title, columns, tuple(rows), notes=tuple(notes))


def _unscored(part: Part) -> Iterator[str]:
    """Yield a note for each metric without a value somewhere, whatever the level."""
    for metric in part.metrics:
        count, reason = part.unscored(metric)
        if count:
            yield f"{metric}: {count} images without a value: {reason}"
    if part.meaningless:
        yield f"without a meaning for these images: {', '.join(part.meaningless)}"


def _methods(title: str, part: Part) -> Grid:
    rows = []
    for metric in part.metrics:
        estimates = (part.by_method(metric, method) for method in part.methods)
        rows.append((metric, *(DASH if each is None else f"{each.mean:.2f}" for each in estimates)))
    note = f"mean over the contents that have at least {LEAST_RATINGS} images of the method"
    return Grid(title, ("metric", *part.methods), tuple(rows), notes=(note,))


def _best_first(found: dict[str, Agreement | None]) -> list[tuple[str, Agreement | None]]:
    def rank(pair: tuple[str, Agreement | None]) -> float:
        return 2.0 if pair[1] is None else -pair[1].spearman.mean

    return sorted(found.items(), key=rank)


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return DASH
    return f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
