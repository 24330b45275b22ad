"""``liif-bench resolution``: how much of the zoom of a run is resolution."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids


def resolution(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Format = GridFormat.terminal,
    out: Output = None,
) -> None:
    """Print how much of the zoom is resolution, from slanted edges.

    MTF50 per LR pixel by scale, the scale beyond which it grows no
    more, and the real zoom; of a run of the suite scenes.
    """
    from liif_bench.analysis.resolution import resolutions
    from liif_bench.records import load_run
    from liif_bench.reports.resolution import resolution_grids

    check_output(style, out)
    put_grids(resolution_grids(resolutions(load_run(run))), style, out)
