"""``liif-bench report``: runs as one HTML page that opens from disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.options import AcrossProtocols
from liif_bench.cli.output import plain, put_text
from liif_bench.errors import LiifBenchError

_INDEX = "index.html"


def report(
    runs: Annotated[
        list[Path] | None,
        typer.Argument(help="Folders of one or more runs.", show_default=False),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write; report.html in the first run's folder by default.",
        ),
    ] = None,
    index: Annotated[
        Path | None,
        typer.Option(
            help="Write a page over all runs in this folder, such as reports, instead.",
            show_default=False,
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(help="Heading; the names of the runs by default.")
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model that differences are from; bicubic, or else the first."),
    ] = None,
    max_size: Annotated[
        float,
        typer.Option(help="Megabytes that pictures may take; crops that do not fit are left out."),
    ] = 15,
    across_protocols: AcrossProtocols = False,
) -> None:
    """Write runs as one HTML page: who wins, the zoom viewer, tables, errors.

    The page holds all it needs and asks for nothing from elsewhere. Its
    pictures are the crops that runs keep ('liif-bench run --crops N').
    """
    from rich.console import Console

    from liif_bench.records import load_run

    if (index is None) == (not runs):
        raise LiifBenchError(
            "give folders of runs, or --index FOLDER for a page over all runs in a folder"
        )
    if index is not None:
        from liif_bench.reports.html.index import build_index

        target = file or index / _INDEX
        put_text(build_index(index, target.parent), target)
        print(target)
        return
    assert runs
    if not 0 <= max_size < math.inf:
        raise LiifBenchError(f"--max-size must be at least 0, got {max_size:g} (in megabytes)")
    from liif_bench.reports.html.index import PAGE
    from liif_bench.reports.html.report import build_report

    built = build_report(
        [load_run(run) for run in runs],
        title=title,
        baseline=baseline,
        max_bytes=int(max_size * 1e6),
        across_protocols=across_protocols,
    )
    target = file or runs[0] / PAGE
    put_text(built.html, target)
    console = Console(stderr=True)
    for note in built.notes:
        console.print(f"[yellow]note:[/] {plain(note)}", soft_wrap=True, highlight=False)
    print(target)
