"""Tables as Markdown and as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from liif_bench.reports.escape import csv_cells, markdown
from liif_bench.reports.tables import PER_IMAGE, Line, Table


def render_markdown(tables: Iterable[Table]) -> str:
    """Return tables as Markdown; best values bold, second ones underlined."""
    lines: list[str] = []
    for table in tables:
        lines += [f"**{markdown(table.title)}**", ""]
        heads = [
            f"x{scale:g}" + (f" ({regime})" if regime else "")
            for scale, regime in zip(table.scales, table.regimes, strict=True)
        ]
        lines += [f"| {' | '.join([*table.heads, *heads])} |"]
        lines += [f"|{'---|' * len(table.heads)}{'---:|' * len(heads)}"]
        for section in table.sections:
            for number, row in enumerate(section.lines(table.scales)):
                mark = "*" if row.published else ""
                shown = [_cell(row, place, mark) for place in range(len(row.texts))]
                *head, name = map(markdown, table.names(section, row, number))
                lines.append(f"| {' | '.join([*head, f'{mark}{name}{mark}', *shown])} |")
        lines += ["", *(f"- {markdown(note)}" for note in table.notes)]
        if table.notes:
            lines.append("")
        lines += [f"Variants: {markdown(table.variants)}.", ""]
    return "\n".join(lines)


def _cell(row: Line, place: int, mark: str) -> str:
    text = markdown(row.texts[place])
    if row.best[place]:
        return f"**{text}**"
    return f"<ins>{text}</ins>" if row.second[place] else f"{mark}{text}{mark}"


def render_csv(tables: Sequence[Table]) -> str:
    """Return tables as CSV, one line per cell, unrounded; published cells name their source.

    Tables of every image have a column `item`, empty where a line is of the mean.
    """
    measured = [
        {
            "dataset": table.dataset,
            "metric": section.metric,
            "variant": section.variant,
            "higher_is_better": section.higher_is_better,
            "item": section.item,
            "upsampler": model,
            "scale": scale,
            "regime": cell.regime,
            "mean": cell.mean,
            "items": cell.count,
            "items_expected": cell.expected,
            "best": cell.best,
            "published_in": None,
        }
        for table in tables
        for section in table.sections
        for model, cells in section.rows
        for scale, cell in zip(table.scales, cells, strict=True)
    ]
    published = [
        {
            "dataset": table.dataset,
            "metric": section.metric,
            "variant": f"protocol {row.reference.protocol}",
            "higher_is_better": section.higher_is_better,
            "item": None,
            "upsampler": row.reference.method,
            "scale": scale,
            "regime": "",
            "mean": row.reference.values[scale],
            "items": None,
            "items_expected": None,
            "best": False,
            "published_in": row.reference.source,
        }
        for table in tables
        for section in table.sections
        for row in section.published
        for scale in table.scales
        if scale in row.scales
    ]
    counts = {"items": "Int64", "items_expected": "Int64"}
    whole = csv_cells(pd.DataFrame(measured + published)).astype(counts)
    if all(table.layout != PER_IMAGE for table in tables):
        whole = whole.drop(columns="item")
    return str(whole.to_csv(index=False))
