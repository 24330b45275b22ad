"""Figures of a run on matplotlib; nothing here imports torch."""

from __future__ import annotations

import io
import math
import textwrap
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from liif_bench.analysis.curves import Mean, Strip, means, strips
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.paths import file_stem
from liif_bench.records import write_whole
from liif_bench.reports.tables import Section, Table, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
"""Suffixes that a figure can be written with."""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000")
"""Colours that colour-blind people tell apart, for models in their order."""

_MARKERS = "osD^vPX*<>"
_LABEL_WIDTH = 0.07  # of the length of the axis of scales
_MOST_NAMES = 14  # images whose names are written below their dots
_LONGEST_NAME = 24  # characters
_MOST_COLUMNS = 4
_CHARACTERS_PER_INCH = 12  # of a heading


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


def draw_scales(
    records: pd.DataFrame, metric: str, baseline: str | None = None, *, small: bool = False
) -> Figure:
    """Draw a metric against the scale, with 95 % bands over images; up is better.

    Scales lie on a log axis. Hollow markers are scales that a model was not trained on; the range
    that one of them was trained on is shaded, that of the model with most such scales.

    Args:
        records: Of one data set.
        metric: Name of a metric.
        baseline: Model that differences are drawn from, paired by image, which makes bands of what
            models have in common narrow; None for the values themselves.
        small: Whether it stands beside others that share data set and protocol: its title names
            the metric alone, and its legend stands below.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: There are no records of the metric or the baseline, or no model with finite
            values, or none at two scales; matplotlib is not installed.
    """
    found = means(records, metric, baseline)
    dataset = str(records["dataset"].iloc[0])
    if not found:
        beside = "" if baseline is None else f" beside {baseline}"
        raise LiifBenchError(f"no model of '{dataset}'{beside} has finite values of {metric}")
    ticks = sorted({each.scale for each in found})
    if len(ticks) < 2:
        raise LiifBenchError(f"'{dataset}' has {metric} at x{ticks[0]:g} alone: curves need two")
    figure = empty_figure(5.0, 3.6) if small else empty_figure()
    axes = figure.subplots()
    _shade_trained(axes, found)
    everyone = list(dict.fromkeys(map(str, records["upsampler"])))
    for model in [name for name in everyone if any(each.model == name for each in found)]:
        _draw_curve(axes, [each for each in found if each.model == model], everyone.index(model))
    if baseline is not None:
        axes.axhline(0, color="0.4", lw=1, ls="--", label=baseline)
    if any(each.regime == "out" for each in found):
        axes.plot([], [], "o", ms=5, color="0.4", mfc="white", label="not trained on")
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, _apart(ticks), fontsize=9)
    axes.set_xticks([], minor=True)
    axes.yaxis.set_inverted(not _is_higher_better(records, metric))
    axes.grid(visible=True, alpha=0.25)
    title = _metric_title(records, metric)
    if small:
        figure.legend(fontsize=8, loc="outside lower center", ncols=2)
        axes.set_title(f"{dataset}: {title}", fontsize=9)
        return figure
    axes.set_xlabel("scale (HR size / LR size)")
    axes.set_ylabel(title if baseline is None else f"{title}\ndifference from {baseline}")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes.set_title(
        f"{dataset}: mean over {_images(each.estimate.images for each in found)}, 95 % intervals,"
        f" protocol {_protocol(records)}",
        fontsize=9,
    )
    return figure


def _draw_curve(axes: Axes, mine: Sequence[Mean], number: int) -> None:
    """Draw one model's means and intervals; those beyond the colours are dashed."""
    colour = COLOURS[number % len(COLOURS)]
    scales = [each.scale for each in mine]
    lows, highs = zip(*((each.estimate.low, each.estimate.high) for each in mine), strict=True)
    axes.fill_between(scales, lows, highs, color=colour, alpha=0.13, lw=0)
    for ends in (lows, highs):  # bands of several models lie over each other
        axes.plot(scales, ends, color=colour, lw=0.6, alpha=0.6)
    axes.plot(
        scales, [each.estimate.mean for each in mine], color=colour, lw=1.5, label=mine[0].model,
        ls="-" if number < len(COLOURS) else "--",
    )  # fmt: skip
    for each in mine:
        face = "white" if each.regime == "out" else colour
        axes.plot(each.scale, each.estimate.mean, "o", ms=5, color=colour, mfc=face)
    if len(mine) == 1:  # there is no band
        axes.vlines(scales, lows, highs, color=colour, lw=1)


def _apart(scales: Sequence[float]) -> list[str]:
    """Return labels of scales on a log axis, empty where one would touch the one before."""
    least = math.log2(scales[-1] / scales[0]) * _LABEL_WIDTH
    labels: list[str] = []
    last = -math.inf
    for scale in scales:
        fits = math.log2(scale) - last >= least
        labels.append(f"x{scale:g}" if fits else "")
        last = math.log2(scale) if fits else last
    return labels


def _shade_trained(axes: Axes, found: Sequence[Mean]) -> None:
    """Shade the range of scales that a model was trained on, as far as the run has scales of it."""
    trained: dict[str, list[float]] = {}
    for each in found:
        if each.regime == "in":
            trained.setdefault(each.model, []).append(each.scale)
    if trained:
        model = max(trained, key=lambda name: len(trained[name]))
        low, high = min(trained[model]), max(trained[model])
        axes.axvspan(low, high, color="0.5", alpha=0.12, lw=0, label=f"trained on ({model})")


def draw_images(records: pd.DataFrame, metric: str, model: str, baseline: str) -> Figure:
    """Draw how two models differ image by image: a panel per scale, a dot per image, sorted.

    The line is the mean, the band its 95 % interval. Dots are blue where the model is better than
    the baseline, orange where it is worse, and grey where it is neither.

    Args:
        records: Of one data set.
        metric: Name of a metric.
        model: Name of a model.
        baseline: Name of another.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: There are no records of the metric or of a model, or the two have no
            image in common; matplotlib is not installed.
    """
    found = strips(records, metric, model, baseline)
    dataset = str(records["dataset"].iloc[0])
    if not found:
        raise LiifBenchError(f"{model} and {baseline} share no finite {metric} of '{dataset}'")
    named = max(len(strip.items) for strip in found) <= _MOST_NAMES
    columns = min(len(found), _MOST_COLUMNS)
    lines = math.ceil(len(found) / columns)
    width = max(4.8, 1.2 + 2.6 * columns)
    heading = [
        line
        for part in (
            _metric_title(records, metric),
            f"{model} minus {baseline}",
            f"{dataset}, 95 % intervals, protocol {_protocol(records)}",
        )
        for line in textwrap.wrap(part, int(_CHARACTERS_PER_INCH * width))
    ]
    height = 0.5 + 0.15 * len(heading) + lines * (3.4 if named else 2.8)
    figure = empty_figure(width, height)
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
    higher = _is_higher_better(records, metric)
    for axes, strip in zip(panels, found, strict=False):
        _draw_strip(axes, strip, style_of(metric).decimals, higher=higher, named=named)
    for axes in panels[len(found) :]:
        axes.set_visible(False)
    for axes in panels[::columns]:
        axes.set_ylabel("difference")
    figure.suptitle("\n".join(heading), fontsize=9)
    return figure


def _draw_strip(axes: Axes, strip: Strip, decimals: int, *, higher: bool, named: bool) -> None:
    gains = [value if higher else -value for value in strip.differences]
    colours = [COLOURS[0] if gain > 0 else COLOURS[1] if gain < 0 else "0.5" for gain in gains]
    better = sum(gain > 0 for gain in gains)
    places = list(range(len(strip.differences)))
    mean = strip.estimate
    if math.isfinite(mean.low) and math.isfinite(mean.high):
        axes.axhspan(mean.low, mean.high, color="0.5", alpha=0.18, lw=0)
    axes.axhline(mean.mean, color="0.35", lw=1)
    axes.axhline(0, color="black", lw=0.8, ls=":")
    axes.scatter(places, strip.differences, s=26 if named else 9, c=colours, zorder=3)
    if named:
        names = [shorten(item, _LONGEST_NAME) for item in strip.items]
        axes.set_xticks(places, names, rotation=90, fontsize=7)
    else:
        axes.set_xticks([])
        axes.set_xlabel(f"{len(places)} images, sorted", fontsize=8)
    axes.margins(x=0.08)
    axes.grid(visible=True, axis="y", alpha=0.25)
    out = f", {strip.left_out} infinite" if strip.left_out else ""
    middle, low, high = (
        f"{round(value, decimals) + 0.0:+.{decimals}f}"  # no minus in front of zero
        for value in (mean.mean, mean.low, mean.high)
    )
    axes.set_title(
        f"x{strip.scale:g}: {middle} [{low}, {high}]\nbetter on {better} of {len(places)}{out}",
        fontsize=8,
    )


def _metric_title(records: pd.DataFrame, metric: str) -> str:
    arrow = "↑" if _is_higher_better(records, metric) else "↓"
    return f"{style_of(metric).title} {arrow}"


def _is_higher_better(records: pd.DataFrame, metric: str) -> bool:
    return bool(records.loc[records["metric"] == metric, "higher_is_better"].iloc[0])


def _protocol(records: pd.DataFrame) -> str:
    return " and ".join(dict.fromkeys(map(str, records["protocol"])))


def _images(counts: Iterable[int]) -> str:
    """Say over how many images means are, which may differ from scale to scale."""
    few, many = (found := sorted(set(counts)))[0], found[-1]
    return f"{many} image{'' if many == 1 else 's'}" if few == many else f"{few} to {many} images"


def _section(table: Table, metric: str) -> Section:
    found = [section for section in table.sections if section.metric == metric]
    if not found:
        names = ", ".join(section.metric for section in table.sections)
        raise LiifBenchError(f"the run has no metric '{metric}': choose from {names}")
    return found[0]


def rendered(figure: Figure, form: str, dpi: float | None = None) -> bytes:
    """Return a figure as a file.

    Args:
        figure: The figure.
        form: "png", "svg" or "pdf".
        dpi: Pixels per inch; the figure's own where None.
    """
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # letters that its font lacks are boxes
        figure.savefig(content, format=form, dpi=dpi or "figure")
    return content.getvalue()


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure whole or not at all, as its suffix says.

    Args:
        figure: The figure.
        path: A file with one of `FORMATS`.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    content = rendered(figure, path.suffix[1:])
    try:
        write_whole(path, content)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path}': {error.strerror}") from error


def write_figures(figures: Iterable[tuple[tuple[str, ...], Figure]], folder: Path) -> list[Path]:
    """Write figures as PNG into a folder, which is made if it is not there.

    Args:
        figures: Each with the parts of its name; see `paths.file_stem`.
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


@contextmanager
def literal_names() -> Iterator[None]:
    """Draw names as they are written: what stands between dollars in one is no formula."""
    if find_spec("matplotlib") is None:  # what draws says so
        yield
        return
    import matplotlib as mpl

    with mpl.rc_context({"text.parse_math": False}):
        yield


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
