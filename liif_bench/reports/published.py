"""Measured means beside published values, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liif_bench.analysis.published import Comparison
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH

_STYLES = {"met": "green", "missed": "bold red", "not run": "dim"}


def published_grid(
    suite: str, comparisons: Sequence[Comparison], missing: Mapping[str, str]
) -> Grid:
    """Return a table of every published value, ours, the difference and the verdict.

    Args:
        suite: Its name, for the title.
        comparisons: The rows.
        missing: Why a data set could not be opened, by name.
    """
    rows, styles = [], {}
    for number, one in enumerate(comparisons):
        reference = one.reference
        decimals = max(reference.decimals, 4)
        verdict = one.verdict
        rows.append(
            (
                reference.dataset,
                reference.metric,
                f"x{one.scale:g}",
                reference.method,
                DASH if one.ours is None else f"{one.ours:.{decimals}f}",
                reference.show(one.scale),
                DASH if one.difference is None else f"{one.difference:+.{decimals}f}",
                verdict,
            )
        )
        if verdict in _STYLES:
            styles[number] = _STYLES[verdict]
    return Grid(
        f"{suite}: ours beside the published values",
        ("data set", "metric", "scale", "method", "ours", "published", "difference", "verdict"),
        tuple(rows),
        names=4,
        notes=tuple(_notes(comparisons, missing)),
        styles=styles,
    )


def _notes(comparisons: Sequence[Comparison], missing: Mapping[str, str]) -> list[str]:
    notes = []
    verdicts = {one.verdict for one in comparisons}
    if verdicts & {"met", "missed"}:
        notes.append(
            "met, missed: a confirmed value, equal or not within half of its last printed digit"
        )
    if verdicts & {"near", "far"}:
        notes.append("near, far: the same of a value that nobody has confirmed; it decides nothing")
    skipped: dict[tuple[str, str], list[str]] = {}
    for one in comparisons:
        if one.ours is None and one.reference.dataset not in missing:
            scales = skipped.setdefault((one.reference.dataset, one.reason), [])
            if f"x{one.scale:g}" not in scales:
                scales.append(f"x{one.scale:g}")
    notes += [
        f"not run: {dataset} {','.join(scales)}: {reason}"
        for (dataset, reason), scales in skipped.items()
    ]
    notes += [f"not run: {dataset}: {reason}" for dataset, reason in missing.items()]
    sources: dict[str, list[str]] = {}
    for one in comparisons:
        reference = one.reference
        remark = f" ({'; '.join(reference.remarks)})" if reference.remarks else ""
        lines = sources.setdefault(reference.source + remark, [])
        if reference.method not in lines:
            lines.append(reference.method)
    notes += [f"{', '.join(methods)}: {source}" for source, methods in sources.items()]
    return notes
