"""``liif-bench features``: how faithful an encoder's features stayed in a run."""

from __future__ import annotations

import re
from enum import Enum
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.output import put_text
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from liif_bench.analysis.features import FeatureResults


class FeaturesFormat(str, Enum):
    """Formats of the tables."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


def features(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Annotated[
        FeaturesFormat, typer.Option("--format", help="Where the tables will be read.")
    ] = FeaturesFormat.terminal,
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
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of the screen.")
    ] = None,
) -> None:
    """Print how faithful an encoder's dense features stayed.

    Fidelity with 95 % intervals by model and route, and whether it is better
    to sharpen the image and then encode it, or to encode LR and then sharpen
    the features.
    """
    from rich.console import Console

    from liif_bench.analysis.features import feature_results
    from liif_bench.errors import unknown_name
    from liif_bench.records import load_run
    from liif_bench.reports.features import feature_grids
    from liif_bench.reports.grids import print_grids, render_grids

    if style is FeaturesFormat.terminal and out is not None:
        raise LiifBenchError("--output needs --format markdown or csv")
    results = feature_results(load_run(run))
    models = {name for each in results for name in each.upsamplers}
    if baseline is not None and baseline not in models:
        raise unknown_name("model of the run", baseline, models)
    grids = [
        grid
        for _, encoders in groupby(results, key=lambda each: each.dataset)
        for grid in feature_grids([*encoders], baseline or "bicubic")
    ]
    written = [] if figures is None else _draw(results, figures)
    if style is FeaturesFormat.terminal:
        print_grids(grids, Console())
    else:
        put_text(render_grids(grids, style.value), out)
    for path in written if style is FeaturesFormat.terminal or out is not None else []:
        print(path)


def _draw(results: list[FeatureResults], folder: Path) -> list[Path]:
    """Draw every encoder on every data set; return the files."""
    from liif_bench.reports.features import draw_fidelity
    from liif_bench.reports.figures import write_figure

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{folder}': {error.strerror}") from error
    written = []
    for each in results:
        names = (re.sub(r"[^\w.-]+", "-", name) for name in (each.dataset, each.encoder))
        path = folder / f"{'_'.join(name.strip('-') for name in names)}_fidelity.png"
        write_figure(draw_fidelity(each), path)
        written.append(path)
    return written
