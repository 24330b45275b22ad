"""``liif-bench utility``: are realistic enlargements better training data?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids


def utility(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    score: Annotated[
        str | None,
        typer.Option(
            help="Metric of the run that ranks crops; realism, dists or lpips by default.",
            show_default=False,
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=3, help="Trials, each with its own split.")] = 200,
    crops: Annotated[
        int, typer.Option("--k", min=1, help="Crops of each kind that are trained on.")
    ] = 2,
    resamples: Annotated[
        int, typer.Option(min=20, help="Times that images are drawn again, for the intervals.")
    ] = 100,
    style: Format = GridFormat.terminal,
    out: Output = None,
) -> None:
    """Print whether realistic enlargements are better training data.

    Small classifiers are trained on the crops of a run that a metric
    ranks highest, on as many at random, on the lowest, on none and on
    real ones, and tested on untouched images. Of a run of the suite
    utility; the images need labels.
    """
    from rich.console import Console

    from liif_bench.analysis.utility import DEALS, measure_utility, pools
    from liif_bench.progress import Bars
    from liif_bench.records import load_run
    from liif_bench.reports.utility import utility_grids

    check_output(style, out)
    found = pools(load_run(run), score)
    trials = len(found) * (seeds + resamples * DEALS)
    with Bars(Console(stderr=True)).cases(trials, trials, trials) as advance:
        measured = []
        for pool in found:
            tell = partial(advance, f"training on {pool.encoder}")
            measured.append(
                measure_utility(pool, seeds=seeds, crops=crops, resamples=resamples, advance=tell)
            )
    put_grids(utility_grids(measured), style, out)
