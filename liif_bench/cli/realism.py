"""``liif-bench realism``: whether the enlargements of a run can be told from photographs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids


def realism(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Format = GridFormat.terminal,
    cmmd: Annotated[
        bool, typer.Option("--cmmd", help="Add the distance of CMMD, on our own features.")
    ] = False,
    out: Output = None,
) -> None:
    """Print whether enlargements can be told from photographs.

    The judge's probability of "photograph", and AUC, KID and FID against
    HR by model and scale, with 95 % intervals; of a run of the metric
    photograph with the model hr.
    """
    # FID takes roots of many small matrices, which OpenBLAS spreads over threads that mostly wait
    # for each other: 17 times the time on 2 cores. This has to be said before numpy is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from liif_bench.analysis.distribution import patch_results
    from liif_bench.records import load_run
    from liif_bench.reports.realism import realism_grids

    check_output(style, out)
    grids = [
        grid for each in patch_results(load_run(run)) for grid in realism_grids(each, cmmd=cmmd)
    ]
    put_grids(grids, style, out)
