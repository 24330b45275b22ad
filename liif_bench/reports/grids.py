"""Small tables of text: laid out for the terminal, or written as Markdown or CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table as RichTable

from liif_bench.printable import printable
from liif_bench.reports.escape import markdown, terminal

_GAP = 2
_LEAST_NAME = 14  # a column of names may be folded to this width


@dataclass(frozen=True)
class Grid:
    """A table of text.

    Attributes:
        title: One line above it.
        columns: Heads; those after the first `names` columns are numbers, pushed to the right.
        rows: One text per column.
        names: How many columns hold names.
        unit: How many columns of numbers stay together where a table is split to fit a screen.
        notes: Lines below it.
        styles: For rows that are not plain, a rich style by row number.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    names: int = 1
    unit: int = 1
    notes: tuple[str, ...] = ()
    styles: dict[int, str] = field(default_factory=dict)


def lacking(who: str, images: int, whole: int) -> str:
    """Return the note that somebody has values of some images only."""
    return f"{who}: {images} of {whole} images; the run's records say why"


def print_grids(grids: Sequence[Grid], console: Console) -> None:
    """Print tables on a terminal; numbers that do not fit its width go into a further block."""
    for grid in grids:
        console.print(f"[bold]{terminal(grid.title)}[/]", highlight=False)
        for columns in _blocks(grid, console.width):
            console.print(_block(grid, columns), highlight=False)
        for note in grid.notes:
            console.print(f"- {terminal(note)}", highlight=False)
        console.print()


def _blocks(grid: Grid, width: int) -> list[list[int]]:
    """Split the columns of numbers so that each block fits; names may be folded to half of it."""
    if not grid.columns:
        return []
    shown = zip(grid.columns, *grid.rows, strict=True)
    widths = [max(len(printable(text)) for text in texts) + _GAP for texts in shown]
    names, numbers = widths[: grid.names], widths[grid.names :]
    if sum(min(name, _LEAST_NAME) for name in names) + sum(numbers) <= width:
        return [list(range(grid.names, len(grid.columns)))]
    left = width - min(sum(names), width // 2)
    blocks: list[list[int]] = []
    free = 0
    for start in range(grid.names, len(grid.columns), grid.unit):
        together = list(range(start, min(start + grid.unit, len(grid.columns))))
        needed = sum(widths[column] for column in together)
        if not blocks or needed > free:
            blocks.append([])
            free = left
        blocks[-1] += together
        free -= needed
    return blocks


def _block(grid: Grid, columns: Sequence[int]) -> RichTable:
    shown = RichTable(box=None, padding=(0, _GAP, 0, 0), header_style="dim")
    names = range(grid.names)
    for column in names:
        shown.add_column(terminal(grid.columns[column]), overflow="fold")
    for column in columns:
        shown.add_column(terminal(grid.columns[column]), justify="right", no_wrap=True)
    for number, row in enumerate(grid.rows):
        texts = (terminal(row[column]) for column in (*names, *columns))
        shown.add_row(*texts, style=grid.styles.get(number))
    return shown


def render_grids(grids: Sequence[Grid], style: str) -> str:
    """Return tables as text.

    Args:
        grids: The tables.
        style: "markdown" or "csv"; as CSV each line begins with its table's title, and there are
            no notes.
    """
    return _csv(grids) if style == "csv" else "\n".join(map(_markdown, grids))


def _markdown(grid: Grid) -> str:
    lines = [f"**{markdown(grid.title)}**", ""]
    if grid.columns:
        rule = "---|" * grid.names + "---:|" * (len(grid.columns) - grid.names)
        lines += [_md_row(grid.columns), f"|{rule}", *map(_md_row, grid.rows), ""]
    lines += [f"- {markdown(note)}" for note in grid.notes]
    return "\n".join([*lines, ""] if grid.notes else lines)


def _md_row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(map(markdown, texts))} |"


def _csv(grids: Sequence[Grid]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for grid in grids:
        if grid.columns:
            writer.writerow(map(printable, ["table", *grid.columns]))
            writer.writerows(map(printable, [grid.title, *row]) for row in grid.rows)
    return text.getvalue()
