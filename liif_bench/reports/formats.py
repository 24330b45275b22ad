"""Tables in every format."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from liif_bench.reports.table_html import render_html
from liif_bench.reports.table_latex import render_latex
from liif_bench.reports.table_terminal import render_terminal
from liif_bench.reports.table_text import render_csv, render_markdown
from liif_bench.reports.tables import Table


def render(tables: Sequence[Table], style: str) -> str:
    """Render tables as a file's text.

    Args:
        tables: From `build_tables`.
        style: "markdown", "csv", "latex" or "html".
    """
    renderers = {
        "markdown": render_markdown,
        "csv": render_csv,
        "latex": render_latex,
        "html": render_html,
    }
    return renderers[style](tables)


def print_tables(tables: Sequence[Table], console: Console) -> None:
    """Print tables on a terminal."""
    console.print(render_terminal(tables, console.width), soft_wrap=True, highlight=False)
