"""Figures of a run's crops of one image: sheets, error maps and spectra."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from liif_bench.analysis.crops import METRICS, Kept, Number, error_map, spectrum_of
from liif_bench.crops import HR, LR
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.metrics.realism.spectra import ROUNDING, RadialSpectrum
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.tables import DASH, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 256  # pixels of the figure that the longer side of a crop takes, or nearly
_LEAST_WIDTH = 200  # pixels, for what stands below
_GAP = 14
_BAR = 150  # room for the bar of colours
_DOTS = 150  # per inch
_LINE = 24  # pixels of a line of text
_CHARACTER = 10.5  # pixels of a character of text, at most on average
_SMALL, _USUAL = 8, 9  # points
_MOST_LINES = 4  # of a reason
_SHARE = 99.5  # per cent of the errors that the scale of colours spans
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")  # names are drawn without formulas
_MOST_COLUMNS = 4  # panels of spectra beside each other


def draw_crops(kept: Kept) -> Figure:
    """Draw a sheet of crops: a row per scale, a column for LR, each model and HR.

    Every pixel of HR is a square of whole pixels of the figure. Below a crop stand PSNR and LPIPS
    of the whole image, as the records have them; a dash and the reason where they have none.

    Args:
        kept: The crops.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    names = [LR, *kept.models, HR]
    lacking = [style_of(name).title for name in METRICS if name not in kept.metrics]
    remark = "numbers are of the whole image"
    if lacking:
        remark += f"; the run has no {' and no '.join(lacking)}"
    figure, panels = _sheet(kept, names, _below(kept, names), remark)
    for view, row in zip(kept.views, panels, strict=True):
        for name, axes in zip(names, row, strict=True):
            if name in view.pixels:
                axes.imshow(view.pixels[name], interpolation="nearest")
            else:
                _say_missing(axes, view.missing[name])
    return figure


def _below(kept: Kept, names: Sequence[str]) -> list[list[list[str]]]:
    """Return lines of text by scale and column."""
    return [
        [
            [_size(view.lr_size)]
            if name == LR
            else [_size((view.window.hr_h, view.window.hr_w))]
            if name == HR
            else [
                _shown(metric, view.numbers[(name, metric)], view.missing.get(name))
                for metric in kept.metrics
            ]
            for name in names
        ]
        for view in kept.views
    ]


def _size(size: tuple[int, int] | None) -> str:
    """Return the size of a whole image, height first."""
    return "" if size is None else f"{size[0]} x {size[1]} pixels"


def _shown(metric: str, number: Number, said: str | None) -> str:
    """Return a number of the whole image as it stands below; a reason only where it is not said."""
    style = style_of(metric)
    name, unit = style.title.removesuffix(" (dB)"), " dB" if style.title.endswith(" (dB)") else ""
    if number.value is None:
        return f"{name} {DASH}" + ("" if number.reason == said else f" ({number.reason})")
    if not math.isfinite(number.value):
        return f"{name} {number.value:g}"
    return f"{name} {number.value:.{style.decimals}f}{unit}"


def draw_errors(kept: Kept) -> Figure:
    """Draw `|SR - HR|` of crops: a row per scale, a column per model after HR itself.

    One scale of colours for all panels, from 0 to what 99.5 % of all their pixels do not exceed.

    Args:
        kept: The crops.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: There is no crop of a model; matplotlib is not installed.
    """
    maps = [
        {
            model: error_map(view.pixels[model], view.pixels[HR])
            for model in kept.models
            if model in view.pixels
        }
        for view in kept.views
    ]
    errors = [each.ravel() for row in maps for each in row.values()]
    if not errors:
        raise LiifBenchError(f"there is no crop of a model of '{kept.item}': name another --model")
    everything = np.concatenate(errors)
    most = max(1.0, math.ceil(np.percentile(everything, _SHARE)))
    names = [HR, *kept.models]
    below = [
        [[f"mean {row[name].mean():.2f}"] if name in row else [] for name in names] for row in maps
    ]
    figure, panels = _sheet(kept, names, below, "below a map, its mean", right=_BAR)
    colours: dict[str, Any] = {"cmap": "inferno", "vmin": 0, "vmax": most}
    for view, errors_of, row in zip(kept.views, maps, panels, strict=True):
        for name, axes in zip(names, row, strict=True):
            if name == HR:
                axes.imshow(view.pixels[HR], interpolation="nearest")
            elif name in errors_of:
                drawn = axes.imshow(errors_of[name], interpolation="nearest", **colours)
            else:
                _say_missing(axes, view.missing[name])
    first, last = panels[0][-1].get_position(), panels[-1][-1].get_position()
    left, across = 1 - (_BAR - _GAP) / figure.bbox.width, 20 / figure.bbox.width
    bar = figure.colorbar(
        drawn,
        cax=figure.add_axes((left, last.y0, across, first.y1 - last.y0), label="bar"),
        extend="max" if everything.max() > most else "neither",
    )
    label = _wrapped(
        "|SR - HR|, mean of RGB (8-bit grey levels)", bar.ax.get_window_extent().height
    )
    bar.set_label("\n".join(label), fontsize=_SMALL)
    bar.ax.tick_params(labelsize=_SMALL)
    return figure


def _say_missing(axes: Axes, reason: str) -> None:
    lines = [DASH, *_wrapped(reason, _LEAST_WIDTH)]
    axes.text(
        0.5, 0.5, "\n".join(lines), transform=axes.transAxes, fontsize=_SMALL, color="0.35",
        ha="center", va="center",
    )  # fmt: skip


def _wrapped(text: str, width: float) -> list[str]:
    """Break a text into lines of so many pixels; what is too long ends in dots."""
    most = int(width / _CHARACTER)
    lines = textwrap.wrap(text, most)
    if len(lines) > _MOST_LINES:
        lines = [*lines[: _MOST_LINES - 1], shorten(" ".join(lines[_MOST_LINES - 1 :]), most)]
    return lines


def _sheet(
    kept: Kept,
    names: Sequence[str],
    below: Sequence[Sequence[Sequence[str]]],
    remark: str,
    right: int = 0,
) -> tuple[Figure, list[list[Axes]]]:
    """Lay out panels in which every pixel of a crop is a square of whole pixels of the figure.

    Args:
        kept: The crops.
        names: Heads of the columns.
        below: Lines of text below each panel, by row and column.
        remark: What the title says of them.
        right: Pixels kept free on the right.

    Returns:
        The figure, and empty panels by row and column, as large as the crops of the row.
    """
    windows = [view.window for view in kept.views]
    high, wide = max(w.height for w in windows), max(w.width for w in windows)
    zoom = max(1, round(_PANEL / max(high, wide)))
    step = max(_LEAST_WIDTH, wide * zoom) + _GAP
    texts = [
        ["\n".join(line for text in cell for line in _wrapped(text, step)) for cell in row]
        for row in below
    ]
    heads = ["\n".join(_wrapped(name, step)) for name in names]
    places = {view.place for view in kept.views}
    labels = [
        f"x{view.scale:g}" if len(places) == 1 else f"x{view.scale:g}: {view.place}"
        for view in kept.views
    ]
    labels = ["\n".join(_wrapped(label, high * zoom)) for label in labels]
    before = _GAP + _LINE * max(map(_lines, labels))
    width = before + len(names) * step + right
    title = _title(kept, wide, high, places, remark, width)
    top = _LINE * (_lines(title) + max(map(_lines, heads)) + 1)
    under = [_LINE * max(map(_lines, row)) + _GAP for row in texts]
    height = top + sum(under) + sum(window.height * zoom for window in windows)
    figure = empty_figure(width / _DOTS, height / _DOTS)
    figure.set_dpi(_DOTS)
    figure.set_layout_engine("none")
    figure.text(
        before / width, 1 - _LINE / 2 / height, title, fontsize=_USUAL, va="top", linespacing=1.3
    )
    panels = []
    for window, label, row, space in zip(windows, labels, texts, under, strict=True):
        size = window.width * zoom / width, window.height * zoom / height
        bottom = 1 - (top + window.height * zoom) / height
        line = [
            figure.add_axes(((before + step * n) / width, bottom, *size)) for n in range(len(names))
        ]
        for axes, text in zip(line, row, strict=True):
            axes.set_xticks([])
            axes.set_yticks([])
            axes.spines[:].set_color("0.75")
            axes.set_xlabel(text, fontsize=_SMALL)
        line[0].set_ylabel(label, fontsize=_SMALL)
        top += window.height * zoom + space
        panels.append(line)
    for axes, head in zip(panels[0], heads, strict=True):
        axes.set_title(head, fontsize=_SMALL)
    return figure, panels


def _title(
    kept: Kept, wide: int, high: int, places: Collection[str], remark: str, width: int
) -> str:
    """Return the title, broken into lines of so many pixels."""
    where = f", {next(iter(places))}" if len(places) == 1 else ""
    parts = (
        f"{kept.dataset}, {kept.item}: {high} x {wide} pixels of HR{where}",
        f"{remark}; protocol {kept.protocol}",
    )
    most = int(0.97 * width / _CHARACTER)
    return "\n".join(line for part in parts for line in textwrap.wrap(part, most))


def _lines(text: str) -> int:
    return len(text.splitlines())


def draw_spectra(kept: Kept) -> Figure:
    """Draw the radial power spectra of crops: a panel per scale, a line for HR and each model.

    Of luma in [0, 1], in bands of a quarter of an octave: see `metrics.realism.spectra`. The
    dotted upright line is LR's Nyquist frequency, 1/2 cycle per pixel of LR, beyond which LR holds
    nothing; the dashed level one the power of rounding to 8 bits.

    Args:
        kept: The crops.

    Returns:
        The figure, not yet written.

    Raises:
        LiifBenchError: A crop is smaller than 32 pixels; matplotlib is not installed.
    """
    names = [HR, *kept.models]
    try:
        lines = [
            {name: spectrum_of(view.pixels[name]) for name in names if name in view.pixels}
            for view in kept.views
        ]
    except LiifBenchError as error:
        raise LiifBenchError(f"crops of '{kept.item}': {error}") from error
    columns = min(len(lines), _MOST_COLUMNS)
    rows = math.ceil(len(lines) / columns)
    width = max(5.0, 0.8 + 2.9 * columns)
    beside = max(1, min(len(names) + 2, int(width / 2)))
    figure = empty_figure(width, 0.9 + 2.8 * rows + 0.2 * math.ceil((len(names) + 2) / beside))
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    for axes, view, drawn in zip(panels, kept.views, lines, strict=False):
        for name, spectrum in drawn.items():
            axes.plot(
                spectrum.frequencies, spectrum.powers, label=name, **_line_of(name, kept.models)
            )
        axes.axvline(0.5 / view.scale, color="0.3", lw=1, ls=":", label="Nyquist frequency of LR")
        axes.axhline(ROUNDING, color="0.6", lw=1, ls="--", label="rounding to 8 bits")
        axes.set_title(f"x{view.scale:g}", fontsize=_USUAL)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.grid(visible=True, alpha=0.25)
        axes.tick_params(labelsize=_SMALL)
    for axes in panels[len(lines) :]:
        axes.set_visible(False)
    _set_limits(panels[0], kept, lines)
    for axes in panels[max(0, len(lines) - columns) : len(lines)]:
        axes.set_xlabel("cycles per pixel of HR", fontsize=_SMALL)
        axes.tick_params(labelbottom=True)
    for axes in panels[::columns]:
        axes.set_ylabel("power of luma", fontsize=_SMALL)
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        list(handles.values()), list(handles), fontsize=_SMALL, loc="outside lower center",
        ncols=beside,
    )  # fmt: skip
    window = kept.views[0].window
    places = {view.place for view in kept.views}
    high, wide = window.height, window.width
    title = _title(kept, wide, high, places, "spectra of the window", int(width * _DOTS))
    figure.suptitle(title, fontsize=_USUAL)
    return figure


def _line_of(name: str, models: Sequence[str]) -> dict[str, Any]:
    """Return how a spectrum is drawn; HR broad and below the others."""
    if name == HR:
        return {"color": "0.75", "lw": 4, "zorder": 1.5}
    number = models.index(name)
    style = "-" if number < len(COLOURS) else "--"
    return {"color": COLOURS[number % len(COLOURS)], "lw": 1.3, "ls": style}


def _set_limits(axes: Axes, kept: Kept, lines: Sequence[Mapping[str, RadialSpectrum]]) -> None:
    """Show every frequency, LR's Nyquist frequencies too, and powers down to below rounding."""
    spectra = [spectrum for each in lines for spectrum in each.values()]
    first = min(spectrum.frequencies[0] for spectrum in spectra)
    nyquist = [0.5 / view.scale for view in kept.views]
    low = min(first, *nyquist) / 1.15
    axes.set_xlim(low, 0.5 * 1.15)
    ticks = [2.0**-n for n in range(1, 12) if 2.0**-n >= low]
    axes.set_xticks(ticks, [f"1/{round(1 / tick)}" for tick in ticks])
    axes.minorticks_off()
    most = max(ROUNDING, *(float(spectrum.powers.max()) for spectrum in spectra)) * 3
    axes.set_ylim(ROUNDING / 10, most)
    tens = range(math.ceil(math.log10(ROUNDING / 10)), math.floor(math.log10(most)) + 1)
    axes.set_yticks([10.0**n for n in tens], ["10" + str(n).translate(_RAISED) for n in tens])
