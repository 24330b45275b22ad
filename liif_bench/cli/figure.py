"""``liif-bench figure``: a run as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liif_bench.errors import LiifBenchError


def figure(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--output", "-o", help="File to write: .png, .svg or .pdf.")
    ] = Path("perception-distortion.png"),
    x: Annotated[str, typer.Option("--x", help="Metric along the horizontal axis.")] = "psnr",
    y: Annotated[str, typer.Option("--y", help="Metric along the vertical axis.")] = "lpips",
    dataset: Annotated[
        str | None, typer.Option("--data", help="Which of the run's data sets, if it has several.")
    ] = None,
) -> None:
    """Draw the models of a run in the plane of two metrics.

    By default perception (LPIPS) against distortion (PSNR): what is sharp and
    natural lies high, what is close to the original lies right.
    """
    from liif_bench.errors import unknown_name
    from liif_bench.records import load_run
    from liif_bench.reports.figures import FORMATS, draw_plane, write_figure
    from liif_bench.reports.tables import build_tables

    if out.suffix not in FORMATS:
        raise LiifBenchError(f"'{out}' is no figure: end it with {', '.join(FORMATS)}")
    tables = {table.dataset: table for table in build_tables(load_run(run).records)}
    if dataset is None and len(tables) > 1:
        names = ", ".join(tables)
        raise LiifBenchError(f"the run has several data sets: choose with --data one of {names}")
    if dataset is not None and dataset not in tables:
        raise unknown_name("data set", dataset, tables)
    write_figure(draw_plane(tables[dataset or next(iter(tables))], x, y), out)
    print(out)
