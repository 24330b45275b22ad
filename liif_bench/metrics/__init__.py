"""Metrics: what is measured of an output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liif_bench.registry import Entry, Registry

if TYPE_CHECKING:
    from liif_bench.metrics.base import Metric

METRICS = Registry(
    "metric",
    "liif_bench.metrics",
    [
        Entry("psnr", "liif_bench.metrics.distortion:Psnr", "peak signal-to-noise ratio, dB"),
        Entry("ssim", "liif_bench.metrics.distortion:Ssim", "structural similarity"),
        Entry(
            "lpips",
            "liif_bench.metrics.perceptual:Lpips",
            "learned perceptual distance",
            weights=("lpips-alex",),
        ),
        Entry(
            "zoom-top1",
            "liif_bench.downstream.zoom:ZoomTop1",
            "share of nine zoomed crops that an ImageNet classifier gets right (needs labels)",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-agreement",
            "liif_bench.downstream.zoom:ZoomAgreement",
            "share of the crops where the classifier says the same of SR and HR",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-kl",
            "liif_bench.downstream.zoom:ZoomKl",
            "divergence of its opinion on SR from that on HR, nats",
            weights=("efficientnet-lite0",),
        ),
    ],
    members=("name", "higher_is_better", "variant", "needs", "score"),
)


def load_metric(name: str, device: str = "cpu") -> Metric:
    """Make a metric. Its weights are read when it first scores.

    Args:
        name: One of ``liif-bench list metrics``; a plug-in's may be ``name:argument``.
        device: Where its networks run.

    Raises:
        LiifBenchError: Unknown name; a plug-in that does not do what a metric must.
    """
    metric: Metric = METRICS.make(name, device)
    return metric


__all__ = ["METRICS", "load_metric"]
