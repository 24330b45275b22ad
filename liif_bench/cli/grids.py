"""What commands that print small tables share: formats, the file to write, figures beside them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.output import put_text
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from liif_bench.reports.grids import Grid


class GridFormat(str, Enum):
    """Formats of a report."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


Format = Annotated[GridFormat, typer.Option("--format", help="Where the report will be read.")]
Output = Annotated[
    Path | None,
    typer.Option("--output", "-o", help="File to write instead of the screen (not for terminal)."),
]


def check_output(style: GridFormat, file: Path | None) -> None:
    """Refuse a file for what is laid out for a terminal.

    Raises:
        LiifBenchError: There is one.
    """
    if style is GridFormat.terminal and file is not None:
        raise LiifBenchError("--output needs --format markdown or csv")


def put_grids(
    grids: Sequence[Grid], style: GridFormat, file: Path | None, figures: Sequence[Path] = ()
) -> None:
    """Print tables, or write them to a file.

    Args:
        grids: The tables.
        style: Their format.
        file: Where to; None for the screen.
        figures: Files that have been drawn. They are named where that does not spoil the text.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    from rich.console import Console

    from liif_bench.reports.grids import print_grids, render_grids

    if style is GridFormat.terminal:
        print_grids(grids, Console())
    else:
        put_text(render_grids(grids, style.value), file)
    if style is GridFormat.terminal or file is not None:
        for path in figures:
            print(path)
