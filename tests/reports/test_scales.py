"""Curves of a metric against the scale."""

import pytest
from made_runs import usual

from liif_bench.analysis.compare import compare
from liif_bench.analysis.stats import bootstrapped
from liif_bench.reports.scales import draw_scales


@pytest.fixture(scope="module")
def comparison():
    [found] = compare(usual(images=5))
    return found


def test_curves_are_the_means_and_bands_their_intervals(comparison):
    metric = comparison.metric("psnr")
    [axes] = draw_scales(comparison, metric).axes
    for line, band, model in zip(axes.lines, axes.collections, comparison.models, strict=True):
        for scale, mean in zip(*line.get_data(), strict=True):
            estimate = bootstrapped(metric.of(scale, model))
            assert mean == pytest.approx(estimate.mean)
            ends = [y for x, y in band.get_paths()[0].vertices if x == scale]
            assert (min(ends), max(ends)) == pytest.approx((estimate.low, estimate.high))


def test_up_is_better_and_the_axis_is_logarithmic(comparison):
    for name, inverted in (("psnr", False), ("lpips", True)):
        [axes] = draw_scales(comparison, comparison.metric(name)).axes
        assert axes.yaxis_inverted() == inverted
        assert axes.get_xscale() == "log"


def test_the_training_range_is_shaded(comparison):
    [axes] = draw_scales(comparison, comparison.metric("psnr")).axes
    [span] = axes.patches
    left, _ = span.get_xy()
    assert (left, left + span.get_width()) == (2, 4)
