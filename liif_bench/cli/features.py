"""``liif-bench features``: how faithful an encoder's features stayed in a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from liif_bench.analysis.features import FeatureResults


def features(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Format = GridFormat.terminal,
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Model that others are held against; bicubic by default.", show_default=False
        ),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for bars of fidelity as PNG; made if it is not there."),
    ] = None,
    out: Output = None,
) -> None:
    """Print how faithful an encoder's dense features stayed.

    Fidelity with 95 % intervals by model and route, and whether it is better
    to sharpen the image and then encode it, or to encode LR and then sharpen
    the features.
    """
    from liif_bench.analysis.features import feature_results
    from liif_bench.errors import unknown_name
    from liif_bench.records import load_run
    from liif_bench.reports.features import feature_grids
    from liif_bench.reports.figures import write_figures

    check_output(style, out)
    results = feature_results(load_run(run))
    models = {name for each in results for name in each.upsamplers}
    if baseline is not None and baseline not in models:
        raise unknown_name("model of the run", baseline, models)
    grids = [
        grid
        for _, encoders in groupby(results, key=lambda each: each.dataset)
        for grid in feature_grids([*encoders], baseline or "bicubic")
    ]
    written = [] if figures is None else write_figures(_figures(results), figures)
    put_grids(grids, style, out, written)


def _figures(results: Iterable[FeatureResults]) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Draw every encoder on every data set; yield figures with the parts of their names."""
    from liif_bench.reports.features import draw_fidelity

    for each in results:
        yield (each.dataset, each.encoder, "fidelity"), draw_fidelity(each)
