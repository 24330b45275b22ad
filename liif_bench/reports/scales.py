"""Metrics against the scale: a curve per model with its interval, training ranges shaded."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from liif_bench.analysis.compare import IN, Comparison
from liif_bench.analysis.stats import bootstrapped
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.tables import style_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WIDE = 3  # panels in a row
_MOST = 12  # panels; metrics beyond them are in the tables


def draw_scales(comparison: Comparison) -> Figure:
    """Draw every metric against the scale on a logarithmic axis, up is better.

    A band is the 95 % interval of the mean over images. Shaded are the scales that a trained model
    of the comparison was trained on.

    Args:
        comparison: The models of one data set; its first twelve metrics are drawn.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    metrics = comparison.metrics[:_MOST]
    columns = min(_WIDE, len(metrics))
    rows = math.ceil(len(metrics) / columns)
    figure = empty_figure(width=1.0 + 3.4 * columns, height=0.7 + 2.8 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, metric in zip(panels, metrics, strict=False):
        _shade(panel, comparison)
        for number, model in enumerate(comparison.models):
            colour = COLOURS[number % len(COLOURS)]
            style = "-" if number < len(COLOURS) else "--"
            drawn = []
            for scale in comparison.scales:
                values = metric.of(scale, model)
                values = values[np.isfinite(values)]
                if len(values):
                    drawn.append((scale, bootstrapped(values)))
            at = [scale for scale, _ in drawn]
            means = [each.mean for _, each in drawn]
            panel.plot(at, means, marker="o", ms=3, color=colour, ls=style, label=model)
            lows, highs = [each.low for _, each in drawn], [each.high for _, each in drawn]
            panel.fill_between(at, lows, highs, color=colour, alpha=0.15, lw=0)
        panel.set_xscale("log", base=2)
        panel.set_xticks(comparison.scales, [f"x{scale:g}" for scale in comparison.scales])
        panel.minorticks_off()
        panel.set_title(style_of(metric.name).title, fontsize=9)
        panel.yaxis.set_inverted(not metric.higher_is_better)
        panel.grid(visible=True, alpha=0.25)
    for panel in panels[len(metrics) :]:
        panel.set_axis_off()
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=8, loc="outside lower center", ncols=min(4, len(labels))
    )
    return figure


def _shade(panel: Axes, comparison: Comparison) -> None:
    trained = [scale for (scale, _), regime in comparison.regimes.items() if regime == IN]
    if trained:
        panel.axvspan(min(trained), max(trained), color="0.5", alpha=0.12, lw=0)
