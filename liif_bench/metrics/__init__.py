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
        Entry(
            "zoom-one-top1",
            "liif_bench.downstream.zoom:one_top1",
            "whether the classifier is right on the one-crop view, 256 and centre (needs labels)",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-one-top5",
            "liif_bench.downstream.zoom:one_top5",
            "the same among its first five",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-top1",
            "liif_bench.downstream.zoom:mean_top1",
            "share of the views of the protocol's zoom grid that it gets right",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-top5",
            "liif_bench.downstream.zoom:mean_top5",
            "the same among its first five",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-centre-any",
            "liif_bench.downstream.zoom:centre_any",
            "whether it is right on any of the centre views",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-grid-any",
            "liif_bench.downstream.zoom:grid_any",
            "whether it is right on any view: an upper bound",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-agreement",
            "liif_bench.downstream.zoom:mean_agreement",
            "share of the views where it says the same of SR and HR",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-kl",
            "liif_bench.downstream.zoom:mean_kl",
            "divergence of its opinion on the views of SR from that on HR, nats",
            weights=("efficientnet-lite0",),
        ),
        *(
            Entry(
                f"feature-{name}",
                f"liif_bench.downstream.features:feature_{name.replace('-', '_')}",
                f"an encoder's dense features of SR against those of HR: {summary}",
                "ENCODER",
                argument_required=True,
            )
            for name, summary in (
                ("mse", "mean squared difference"),
                ("cosine", "cosine by token"),
                ("gaussian-kl", "divergence of Gaussians, nats per channel"),
                ("mmd", "squared maximum mean discrepancy between their tokens"),
            )
        ),
        Entry(
            "feature-jitter",
            "liif_bench.downstream.features:feature_jitter",
            "how an encoder's features of SR change under sub-pixel shifts: a diagnostic only, for"
            " it rewards smoothness",
            "ENCODER",
            argument_required=True,
        ),
        Entry(
            "tta-mean-top1",
            "liif_bench.downstream.tta:mean_top1",
            "whether the mean of its opinions on 64 random resized crops is right (needs labels)",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-mean-top5",
            "liif_bench.downstream.tta:mean_top5",
            "the same among the first five",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-memo-top1",
            "liif_bench.downstream.tta:memo_top1",
            "whether it is right on the one-crop view after adapting to the crops (MEMO)",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-memo-top5",
            "liif_bench.downstream.tta:memo_top5",
            "the same among its first five",
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "mtf50",
            "liif_bench.metrics.resolution:per_hr_pixel",
            "resolution across a slanted edge, cycles per HR pixel (data set 'scenes')",
        ),
        Entry(
            "mtf50-lr",
            "liif_bench.metrics.resolution:per_lr_pixel",
            "the same in cycles per LR pixel",
        ),
        Entry(
            "aliasing",
            "liif_bench.metrics.aliasing:aliasing",
            "false energy where the truth is finer than LR can hold (data set 'scenes')",
        ),
        Entry(
            "legibility",
            "liif_bench.metrics.legibility:share",
            "share of the glyphs that are most like themselves (data set 'scenes')",
        ),
        Entry(
            "legibility-margin",
            "liif_bench.metrics.legibility:margin",
            "by how much more like themselves than like the next best",
        ),
        Entry(
            "embedding",
            "liif_bench.downstream.embeddings:embedding",
            "cosine between an encoder's features of SR and HR, each pooled over the image",
            "ENCODER",
            argument_required=True,
        ),
    ],
    members=("name", "higher_is_better", "variant", "needs", "score"),
)


def load_metric(name: str, device: str = "cpu") -> Metric:
    """Make a metric. Its weights are read when it first scores.

    Args:
        name: One of ``liif-bench list metrics``; some take an argument, ``name:argument``.
        device: Where its networks run.

    Raises:
        LiifBenchError: Unknown name; a plug-in that does not do what a metric must.
    """
    metric: Metric = METRICS.make(name, device)
    return metric


__all__ = ["METRICS", "load_metric"]
