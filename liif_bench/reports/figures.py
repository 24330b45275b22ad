"""Figures of a run on matplotlib; nothing here imports torch."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from liif_bench.errors import LiifBenchError
from liif_bench.paths import file_stem
from liif_bench.records import write_whole
from liif_bench.reports.tables import Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""Suffixes that a figure can be written with."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Colours that colour-blind people tell apart, for models in their order."""

_MARKERS = "osD^vPX*<>"


@dataclass(frozen=True)
class Point:
    """One model at one scale in the plane of two metrics.

    Attributes:
        model: Its name.
        scale: HR size / LR size.
        x: Mean of the first metric.
        y: Mean of the second.
    """

    model: str
    scale: float
    x: float
    y: float


def plane_points(table: Table, x: str, y: str) -> list[Point]:
    """Return the models' means of two metrics, over equal images.

    Args:
        table: From `tables.build_tables`.
        x: Name of a metric.
        y: Name of another.

    Returns:
        One point per model and scale at which both means are finite and over all images.

    Raises:
        LiifBenchError: The table lacks one of the metrics.
    """
    first, second = _section(table, x), _section(table, y)
    return [
        Point(model, scale, one.mean, other.mean)
        for (model, ones), (_, others) in zip(first.rows, second.rows, strict=True)
        for scale, one, other in zip(table.scales, ones, others, strict=True)
        if one.mean is not None and other.mean is not None
        if math.isfinite(one.mean) and math.isfinite(other.mean)
        if not one.partial and not other.partial
    ]


def draw_plane(table: Table, x: str = "psnr", y: str = "lpips") -> Figure:
    """Draw models in the plane of two metrics, such as perception against distortion.

    A colour per model, a marker per scale, a thin line through the models of one scale. Both axes
    point to where better is: right and up (Blau and Michaeli, arXiv 1711.06077, draw the same plane
    the other way round).

    Args:
        table: From `tables.build_tables`.
        x: Name of the metric along the horizontal axis.
        y: Name of the one along the vertical axis.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: The table lacks one of the metrics or has no model with both; matplotlib is
            not installed.
    """
    points = plane_points(table, x, y)
    if not points:
        raise LiifBenchError(f"no model of '{table.dataset}' has both {x} and {y} on all images")
    figure = empty_figure()
    axes = figure.subplots()
    models = list(dict.fromkeys(point.model for point in points))
    colours = {m: COLOURS[number % len(COLOURS)] for number, m in enumerate(models)}
    for number, scale in enumerate(table.scales):
        mine = sorted((p for p in points if p.scale == scale), key=lambda point: point.x)
        axes.plot([p.x for p in mine], [p.y for p in mine], color="0.8", lw=1, zorder=1)
        marker = _MARKERS[number % len(_MARKERS)]
        for point in mine:
            axes.scatter(point.x, point.y, s=46, marker=marker, color=colours[point.model])
    for metric, axis in ((x, axes.xaxis), (y, axes.yaxis)):
        section = _section(table, metric)
        axis.set_label_text(section.title)
        axis.set_inverted(not section.higher_is_better)
    handles = [
        axes.scatter([], [], s=46, marker="o", color=colours[model], label=model)
        for model in models
    ] + [
        axes.scatter([], [], s=46, marker=_MARKERS[n % len(_MARKERS)], color="0.5", label=f"x{s:g}")
        for n, s in enumerate(table.scales)
    ]
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes.grid(visible=True, alpha=0.25)
    axes.set_title(table.title, fontsize=9)
    return figure


def _section(table: Table, metric: str) -> Section:
    found = [section for section in table.sections if section.metric == metric]
    if not found:
        names = ", ".join(section.metric for section in table.sections)
        raise LiifBenchError(f"the run has no metric '{metric}': choose from {names}")
    return found[0]


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all, as its suffix says.

    Args:
        figure: The figure.
        path: A file with one of `FORMATS`.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    content = io.BytesIO()
    figure.savefig(content, format=path.suffix[1:])
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path}': {error.strerror}") from error


def write_figures(figures: Iterable[tuple[tuple[str, ...], Figure]], folder: Path) -> list[Path]:
    """Write figures as PNG into a folder, which is made if it is not there.

    Args:
        figures: Each with the parts of its name; they are joined, and what a file should not be
            called is left out of them.
        folder: Where to.

    Returns:
        The files.

    Raises:
        LiifBenchError: The folder or a file cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{folder}': {error.strerror}") from error
    written = []
    for parts, figure in figures:
        path = folder / f"{file_stem(parts)}.png"
        write_figure(figure, path)
        written.append(path)
    return written


def empty_figure(width: float = 7.5, height: float = 4.5) -> Figure:
    """Return a figure of a size in inches.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise LiifBenchError(
            "figures need matplotlib, which is not installed: pip install 'liif-bench[figures]'"
        ) from error
    return Figure(figsize=(width, height), dpi=150, layout="constrained")
