"""``liif-bench explain``: what keeps it real, and where that ends."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.output import put_text
from liif_bench.errors import LiifBenchError


class TextFormat(str, Enum):
    """Formats of a text."""

    terminal = "terminal"
    markdown = "markdown"


def explain(
    runs: Annotated[
        list[Path],
        typer.Argument(
            help="Folder of a run; further ones may bring MTF50, such as one of the suite scenes.",
            show_default=False,
        ),
    ],
    style: Annotated[
        TextFormat, typer.Option("--format", help="Where the text will be read.")
    ] = TextFormat.terminal,
    dataset: Annotated[
        str | None, typer.Option("--data", help="Which of the run's data sets, if it has several.")
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for the gain by scale as PNG; made if it is not there."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write instead of the screen (not for terminal)."
        ),
    ] = None,
) -> None:
    """Say what keeps an enlargement real, and where that ends.

    In words, from a run's records alone: the task, the model with its
    shapes and times, what each part of it does where the run has LIIF with
    parts switched off, and from which scale on it is no better than bicubic.
    """
    from rich.console import Console

    from liif_bench.analysis.explain import explain as read
    from liif_bench.records import load_run
    from liif_bench.reports.explain import (
        draw_gains,
        explanation,
        print_explanation,
        render_markdown,
    )
    from liif_bench.reports.figures import write_figures

    if style is TextFormat.terminal and out is not None:
        raise LiifBenchError("--output needs --format markdown")
    found = read([load_run(run) for run in runs], dataset)
    written = []
    if figures is not None and found.advantages:
        written = write_figures([((found.dataset, "gain"), draw_gains(found))], figures)
    if style is TextFormat.terminal:
        print_explanation(explanation(found), Console())
        for path in written:
            print(path)
        return
    here = Path.cwd() if out is None else out.parent
    seen = [Path(os.path.relpath(path, here)).as_posix() for path in written]
    put_text(render_markdown(explanation(found, seen)), out)
