"""Figures of a run's crops of one image: sheets, error maps and spectra."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from liif_bench.analysis.crops import Kept, Number, View, error_map, spectrum_of
from liif_bench.crops import HR, LR
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.metrics.realism.spectra import ROUNDING
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.tables import DASH, style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_PANEL = 256  # pixels of the figure that the longer side of a crop takes, or nearly
_LEAST_WIDTH = 200  # pixels, for what stands below
_GAP = 14
_LEFT = 44
_RIGHT = 14
_BAR = 110  # room for the bar of colours
_LINE = 22  # pixels of a line of text
_CHARACTER = 9.5  # pixels of a character of the small text, at most on average
_SMALL, _USUAL = 8, 9  # points
_MOST_LINES = 4  # of a reason
_SHARE = 99.5  # per cent of the errors that the scale of colours spans
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
    sheet = _Sheet(
        kept, names, _below(kept, names), "; below: of the whole image" if kept.metrics else ""
    )
    for row, view in enumerate(kept.views):
        for column, name in enumerate(names):
            axes = sheet.panel(row, column)
            if name in view.pixels:
                axes.imshow(view.pixels[name], interpolation="nearest")
            else:
                _say_missing(axes, view.missing[name])
    return sheet.figure


def _below(kept: Kept, names: Sequence[str]) -> list[list[list[str]]]:
    """Return lines of text by scale and column."""
    return [
        [
            [_size(view.lr_size)]
            if name == LR
            else [_size((view.window.hr_h, view.window.hr_w))]
            if name == HR
            else [_shown(metric, view.numbers[(name, metric)]) for metric in kept.metrics]
            for name in names
        ]
        for view in kept.views
    ]


def _size(size: tuple[int, int] | None) -> str:
    """Return the size of a whole image, height first."""
    return "" if size is None else f"{size[0]} x {size[1]} pixels"


def _shown(metric: str, number: Number) -> str:
    style = style_of(metric)
    name, unit = style.title.removesuffix(" (dB)"), " dB" if style.title.endswith(" (dB)") else ""
    if number.value is None:
        return f"{name} {DASH} ({number.reason})"
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
    sheet = _Sheet(kept, names, below, "; errors of the window, their mean below", right=_BAR)
    drawn = None
    for row, view in enumerate(kept.views):
        for column, name in enumerate(names):
            axes = sheet.panel(row, column)
            if name == HR:
                axes.imshow(view.pixels[HR], interpolation="nearest")
            elif name in maps[row]:
                drawn = axes.imshow(
                    maps[row][name], cmap="inferno", vmin=0, vmax=most, interpolation="nearest"
                )
            else:
                _say_missing(axes, view.missing[name])
    assert drawn is not None
    bar = sheet.figure.colorbar(
        drawn, cax=sheet.bar(), extend="max" if everything.max() > most else "neither"
    )
    bar.set_label("|SR - HR|, mean over R, G and B (8-bit grey levels)", fontsize=_SMALL)
    bar.ax.tick_params(labelsize=_SMALL)
    return sheet.figure


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


class _Sheet:
    """Panels in rows and columns, in which every pixel of a crop is a square of whole pixels.

    Args:
        kept: The crops.
        names: Heads of the columns.
        below: Lines of text below each panel, by row and column.
        remark: What the title says of them.
        right: Pixels kept free on the right.
    """

    def __init__(
        self,
        kept: Kept,
        names: Sequence[str],
        below: Sequence[Sequence[Sequence[str]]],
        remark: str,
        right: int = 0,
    ) -> None:
        windows = [view.window for view in kept.views]
        high, wide = max(w.height for w in windows), max(w.width for w in windows)
        self._zoom = max(1, round(_PANEL / max(high, wide)))
        self._wide = max(_LEAST_WIDTH, wide * self._zoom)
        self._high = high * self._zoom
        self._views = kept.views
        texts = [
            [[line for text in cell for line in _wrapped(text, self._wide)] for cell in row]
            for row in below
        ]
        heads = [_wrapped(name, self._wide) for name in names]
        places = {view.place for view in kept.views}
        self._below = [max(map(len, row)) for row in texts]
        inner = len(names) * (self._wide + _GAP) - _GAP
        self._width = _LEFT + inner + _RIGHT + right
        where = places.copy().pop() if len(places) == 1 else "windows as said"
        title = _wrapped_title(
            f"{kept.dataset}, {kept.item}: {wide} x {high} pixels of HR, {where}; protocol"
            f" {kept.protocol}{remark}",
            self._width,
        )
        self._top = (len(title) + max(map(len, heads)) + 1) * _LINE
        self._rows = [self._high + (lines + 1) * _LINE for lines in self._below]
        self._height = self._top + sum(self._rows)
        dots = 150
        self.figure = empty_figure(self._width / dots, self._height / dots)
        self.figure.set_layout_engine("none")
        self.figure.text(
            _LEFT / self._width, 1 - 0.4 * _LINE / self._height, "\n".join(title),
            fontsize=_USUAL, va="top", linespacing=1.25,
        )  # fmt: skip
        self._panels = [
            [self._made(row, column, heads[column], texts) for column in range(len(names))]
            for row in range(len(kept.views))
        ]
