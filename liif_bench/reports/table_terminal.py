"""Tables on a terminal, which is only so wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.text import Text

from liif_bench.printable import printable
from liif_bench.reports.tables import PAPER, Line, Table


def render_terminal(tables: Iterable[Table], width: int) -> Text:
    """Lay tables out for a terminal; scales that do not fit its width go into a further block."""
    lines: list[Text] = []
    for table in tables:
        lines.append(Text(printable(table.title), style="bold"))
        for columns in _blocks(table, width):
            lines += _block(table, columns)
        notes = [Text(printable(note), style="dim") for note in table.notes]
        lines += [Text(""), *notes, *([Text("")] if notes else [])]
    return Text("\n").join(lines)


def _widths(table: Table) -> tuple[int, int]:
    """Return the widths of the column of names and of every column of numbers."""
    lines = [line for section in table.sections for line in section.lines(table.scales)]
    heads = [len(f"x{scale:g}") for scale in table.scales]
    numbers = [len(text) for line in lines for text in line.texts]
    return max(len(printable(line.name)) for line in lines) + 2, max(*heads, *numbers) + 2


def _blocks(table: Table, width: int) -> list[list[int]]:
    """Split the columns so that each block fits."""
    name, number = _widths(table)
    fitting = max(1, (width - name - 3 * (len(table.groups()) - 1)) // number)
    columns = list(range(len(table.scales)))
    return [columns[i : i + fitting] for i in range(0, len(columns), fitting)]


def _block(table: Table, columns: list[int]) -> list[Text]:
    """Lay out some of a table's columns; a bar stands between the regimes."""
    name, number = _widths(table)
    groups = [
        (title, [index for index in indices if index in columns])
        for title, indices in table.groups()
    ]
    groups = [(title, indices) for title, indices in groups if indices]

    def line(head: Text, parts: Sequence[Sequence[Text]]) -> Text:
        head.pad_right(name - len(head))
        joined = [Text().join(_right(part, number) for part in group) for group in parts]
        return head + _barred(joined)

    titles = [(title, number * len(indices)) for title, indices in groups]
    lines = [
        Text(" " * name) + _barred([_right(_fitting(*title), title[1]) for title in titles]),
        line(
            Text(""),
            [[Text(f"x{table.scales[i]:g}", style="bold") for i in group] for _, group in groups],
        ),
    ]
    for section in table.sections:
        lines.append(Text(""))
        if table.layout != PAPER:
            lines.append(Text(printable(table.head_of(section)), style="cyan"))
        for row in section.lines(table.scales):
            plain = "italic" if row.published else ""
            shown = [
                [Text(row.texts[i], _mark(row, i) or plain) for i in group] for _, group in groups
            ]
            lines.append(line(Text(f"  {printable(row.name)}", plain), shown))
    return lines


def _mark(row: Line, place: int) -> str:
    return "bold" if row.best[place] else "underline" if row.second[place] else ""


def _fitting(title: str, width: int) -> Text:
    """Return a group's title, shortened to its first word where the group is narrow."""
    short = title.partition(" ")[0]
    return Text(title if len(title) + 2 <= width else short, style="dim")


def _barred(groups: Sequence[Text]) -> Text:
    """Return groups of columns with a dim bar between them."""
    line = Text()
    for place, group in enumerate(groups):
        line.append("  │" if place else "", "dim")
        line.append_text(group)
    return line


def _right(text: Text, width: int) -> Text:
    """Return text pushed to the right edge of a column."""
    padded = text.copy()
    padded.pad_left(width - len(text))
    return padded
