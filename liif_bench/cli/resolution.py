"""``liif-bench resolution``: how much of the zoom of a run is resolution."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.output import put_text
from liif_bench.errors import LiifBenchError


class ResolutionFormat(str, Enum):
    """Formats of the tables."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


def resolution(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Annotated[
        ResolutionFormat, typer.Option("--format", help="Where the tables will be read.")
    ] = ResolutionFormat.terminal,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of the screen.")
    ] = None,
) -> None:
    """Print how much of the zoom is resolution, from slanted edges.

    MTF50 per LR pixel by scale, the scale beyond which it grows no
    more, and the real zoom; of a run of the suite scenes.
    """
    from rich.console import Console

    from liif_bench.analysis.resolution import resolutions
    from liif_bench.records import load_run
    from liif_bench.reports.grids import print_grids, render_grids
    from liif_bench.reports.resolution import resolution_grids

    if style is ResolutionFormat.terminal and out is not None:
        raise LiifBenchError("--output needs --format markdown or csv")
    grids = resolution_grids(resolutions(load_run(run)))
    if style is ResolutionFormat.terminal:
        print_grids(grids, Console())
    else:
        put_text(render_grids(grids, style.value), out)
