"""``liif-bench compare``: models or versions of them side by side, and how sure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids
from liif_bench.cli.options import AcrossProtocols, Model, Models, chosen_models
from liif_bench.cli.output import put_text


def compare(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of one or more runs.", show_default=False)
    ],
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Model that differences are from; bicubic, or else the first, by default.",
            show_default=False,
        ),
    ] = None,
    front: Annotated[
        str | None,
        typer.Option(
            help="Metrics of the Pareto front; psnr,lpips by default where both were measured.",
            show_default=False,
        ),
    ] = None,
    models: Models = None,
    model: Model = None,
    metrics: Annotated[str | None, typer.Option(help="Only these of the runs'.")] = None,
    scales: Annotated[str | None, typer.Option(help="Only these of the runs'.")] = None,
    precision: Annotated[
        int | None, typer.Option(min=0, max=10, help="Decimals; each metric's own by default.")
    ] = None,
    across_protocols: AcrossProtocols = False,
    style: Format = GridFormat.terminal,
    file: Output = None,
) -> None:
    """Compare models, paired by image: who is better where, and how sure.

    Differences from a baseline with 95 % intervals and significance tests
    that are corrected for the number of cells, in and out of distribution
    apart; mean ranks; the Pareto front of perception and distortion. A model
    that several runs have is named after its run: "liif-edsr · NAME".
    """
    from liif_bench.analysis.combine import combine
    from liif_bench.analysis.compare import chosen
    from liif_bench.analysis.compare import compare as compared
    from liif_bench.records import load_run
    from liif_bench.reports.compare import compare_csv, compare_grids
    from liif_bench.suite import parse_scales, split_names

    check_output(style, file)
    records = chosen(
        combine([load_run(run) for run in runs], across_protocols=across_protocols),
        models=chosen_models(models, model),
        metrics=None if metrics is None else split_names(metrics, "metric"),
        scales=None if scales is None else parse_scales(scales),
    )
    comparisons = compared(records, baseline)
    names = None if front is None else split_names(front, "metric")
    if style is GridFormat.csv:
        put_text(compare_csv(comparisons, names), file)
    else:
        grids = [grid for each in comparisons for grid in compare_grids(each, names, precision)]
        put_grids(grids, style, file)
