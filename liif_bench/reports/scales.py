"""A metric against the scale: a curve per model with its interval, training ranges shaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from liif_bench.analysis.compare import IN, Comparison, MetricRows
from liif_bench.analysis.stats import bootstrapped
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.tables import style_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_scales(comparison: Comparison, metric: MetricRows) -> Figure:
    """Draw a metric against the scale on a logarithmic axis, up is better.

    A band is the 95 % interval of the mean over images. Shaded are the scales that a trained model
    of the comparison was trained on.

    Args:
        comparison: The models of one data set.
        metric: One of its metrics.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    figure = empty_figure(width=5.0, height=3.6)
    axes = figure.subplots()
    trained = [scale for (scale, _), regime in comparison.regimes.items() if regime == IN]
    if trained:
        axes.axvspan(min(trained), max(trained), color="0.5", alpha=0.12, lw=0)
    for number, model in enumerate(comparison.models):
        colour = COLOURS[number % len(COLOURS)]
        drawn = []
        for scale in comparison.scales:
            values = metric.of(scale, model)
            values = values[np.isfinite(values)]
            if len(values):
                drawn.append((scale, bootstrapped(values)))
        at = [scale for scale, _ in drawn]
        axes.plot(
            at, [each.mean for _, each in drawn], marker="o", ms=3, color=colour, label=model,
            ls="-" if number < len(COLOURS) else "--",
        )  # fmt: skip
        lows, highs = [each.low for _, each in drawn], [each.high for _, each in drawn]
        axes.fill_between(at, lows, highs, color=colour, alpha=0.15, lw=0)
    axes.set_xscale("log", base=2)
    axes.set_xticks(comparison.scales, [f"x{scale:g}" for scale in comparison.scales])
    axes.minorticks_off()
    axes.set_title(f"{comparison.dataset}: {style_of(metric.name).title}", fontsize=9)
    axes.yaxis.set_inverted(not metric.higher_is_better)
    axes.grid(visible=True, alpha=0.25)
    handles, labels = axes.get_legend_handles_labels()
    beside = max(1, min(3, len(labels)))
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=beside)
    return figure
