"""``liif-bench agreement``: whether metrics order images as people do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids
from liif_bench.cli.options import DataRoot, Device
from liif_bench.cli.output import plain
from liif_bench.errors import LiifBenchError


def agreement(
    kept: Annotated[
        Path | None,
        typer.Argument(
            metavar="[FOLDER]",
            help="Folder of an agreement that has been measured: show it again.",
            show_default=False,
        ),
    ] = None,
    ratings: Annotated[
        str | None,
        typer.Option(
            help="Such as mine.csv or pipal:PATH; see 'list ratings'. Without it: damage of known"
            " order.",
            show_default=False,
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            help="Such as psnr,lpips; by default all that look at pictures alone.",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        str, typer.Option("--data", help="Data set that is damaged where there are no ratings.")
    ] = "sample",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Only the first N contents.", show_default=False)
    ] = None,
    scoring: Annotated[
        str, typer.Option("--protocol", help="Preset or .toml file; see 'list protocols'.")
    ] = "liif-div2k",
    data_root: DataRoot = None,
    device: Device = "auto",
    seed: Annotated[int, typer.Option(help="For damage that draws random numbers.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the table of all scores; a new one of reports/ by default."),
    ] = None,
    style: Format = GridFormat.terminal,
    file: Output = None,
) -> None:
    """Hold metrics against what people said of images.

    Spearman, Kendall, Pearson after a logistic, and pairs ordered alike, with
    95 % intervals; in and out of distribution apart. Without ratings: the
    middle of the sample photographs damaged in six kinds at five strengths,
    where the order is known.
    """
    from rich.console import Console

    from liif_bench.analysis.agreement import read_agreement
    from liif_bench.reports.agreement import agreement_grids

    check_output(style, file)
    console = Console(stderr=True)
    if kept is not None:
        if ratings or metrics or out:
            raise LiifBenchError(
                f"'{kept}' has been measured: --ratings, --metrics and --out are for measuring"
            )
        table = read_agreement(kept)
    else:
        from liif_bench.metrics import METRICS
        from liif_bench.protocol import load_protocol
        from liif_bench.ratings import load_ratings
        from liif_bench.suite import split_names

        protocol = load_protocol(scoring)
        chosen = None if metrics is None else split_names(metrics, "metric")
        for metric in chosen or ():
            METRICS.parse(metric)
        rated = None if ratings is None else load_ratings(ratings, data_root)
        with console.status("starting torch"):
            from liif_bench.agreement import (
                default_metrics,
                first_contents,
                graded_images,
                keep_agreement,
                measure_agreement,
                rated_images,
            )
            from liif_bench.datasets import load_dataset
            from liif_bench.harness import fresh_folder
            from liif_bench.progress import Bars
        if rated is None:
            images = graded_images(load_dataset(data, data_root).limited(limit), seed=seed)
        else:
            images = first_contents(rated_images(rated), limit)
        table = measure_agreement(
            images, chosen or default_metrics(), protocol, device=device, progress=Bars(console)
        )
        path = keep_agreement(table, out or fresh_folder("agreement"))
        if table["value"].notna().sum() == 0:
            raise LiifBenchError(f"nothing could be measured: '{path}' holds the reasons")
        console.print(f"scores: {plain(str(path))}", soft_wrap=True, highlight=False)
    put_grids(agreement_grids(table), style, file)
