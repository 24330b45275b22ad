"""``liif-bench zoom``: what was recognised in the zoomed views of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from liif_bench.analysis.zoom import ZoomResults


def zoom(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Format = GridFormat.terminal,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model that gains are over; bicubic by default.", show_default=False),
    ] = None,
    figures: Annotated[
        Path | None,
        typer.Option(help="Folder for curves and maps as PNG; made if it is not there."),
    ] = None,
    out: Output = None,
) -> None:
    """Print what a classifier recognised at every zoom.

    Accuracy, agreement with HR and KL with 95 % intervals, gains over a
    baseline with McNemar's test, accuracy by size and by anchor; what
    test-time augmentation adds, where the run has measured it.
    """
    from liif_bench.analysis.augment import augment_results
    from liif_bench.analysis.zoom import zoom_results
    from liif_bench.errors import unknown_name
    from liif_bench.records import load_run
    from liif_bench.reports.augment import augment_grids
    from liif_bench.reports.figures import write_figures
    from liif_bench.reports.zoom import zoom_grids

    check_output(style, out)
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
    written = [] if figures is None else write_figures(_figures(results), figures)
    put_grids(grids, style, out, written)


def _figures(results: Iterable[ZoomResults]) -> Iterator[tuple[tuple[str, ...], Figure]]:
    """Draw every data set at every scale; yield figures with the parts of their names."""
    from liif_bench.reports.zoom import draw_anchors, draw_curves

    for each in results:
        for scale in each.scales:
            yield (each.dataset, f"x{scale:g}", "accuracy"), draw_curves(each, scale)
            yield (each.dataset, f"x{scale:g}", "anchors"), draw_anchors(each, scale)
