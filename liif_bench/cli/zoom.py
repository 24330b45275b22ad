"""``liif-bench zoom``: what was recognised in the zoomed views of a run."""

from __future__ import annotations

import re
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.output import put_text
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from liif_bench.analysis.zoom import ZoomResults


class ZoomFormat(str, Enum):
    """Formats of the tables."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"


def zoom(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Annotated[
        ZoomFormat, typer.Option("--format", help="Where the tables will be read.")
    ] = ZoomFormat.terminal,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model that gains are over; bicubic by default.", show_default=False),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for curves and maps as PNG; made if it is not there."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of the screen.")
    ] = None,
) -> None:
    """Print what a classifier recognised at every zoom.

    Accuracy, agreement with HR and KL with 95 % intervals, gains over a
    baseline with McNemar's test, accuracy by size and by anchor; what
    test-time augmentation adds, where the run has measured it.
    """
    from rich.console import Console

    from liif_bench.analysis.augment import augment_results
    from liif_bench.analysis.zoom import zoom_results
    from liif_bench.errors import unknown_name
    from liif_bench.records import load_run
    from liif_bench.reports.augment import augment_grids
    from liif_bench.reports.grids import print_grids, render_grids
    from liif_bench.reports.zoom import zoom_grids

    if style is ZoomFormat.terminal and out is not None:
        raise LiifBenchError("--output needs --format markdown or csv")
    read = load_run(run)
    results, augmented = zoom_results(read), augment_results(read)
    if not results and not augmented:
        raise LiifBenchError(
            f"'{read.path}' has no zoomed views: measure zoom metrics such as zoom-one-top1"
        )
    models = {name for each in results for name in each.upsamplers}
    models |= {name for each in augmented for name in each.upsamplers}
    if baseline is not None and baseline not in models:
        raise unknown_name("model of the run", baseline, models)
    over = baseline or "bicubic"
    grids = [grid for each in results for grid in zoom_grids(each, over)]
    grids += [grid for each in augmented for grid in augment_grids(each, over)]
    written = [] if figures is None else _draw(results, figures)
    if style is ZoomFormat.terminal:
        print_grids(grids, Console())
    else:
        put_text(render_grids(grids, style.value), out)
    for path in written if style is ZoomFormat.terminal or out is not None else []:
        print(path)


def _draw(results: list[ZoomResults], folder: Path) -> list[Path]:
    """Draw every data set at every scale; return the files."""
    from liif_bench.reports.figures import write_figure
    from liif_bench.reports.zoom import draw_anchors, draw_curves

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{folder}': {error.strerror}") from error
    written = []
    for each in results:
        name = re.sub(r"[^\w.-]+", "-", each.dataset).strip("-")
        for scale in each.scales:
            for kind, draw in (("accuracy", draw_curves), ("anchors", draw_anchors)):
                path = folder / f"{name}_x{scale:g}_{kind}.png"
                write_figure(draw(each, scale), path)
                written.append(path)
    return written
