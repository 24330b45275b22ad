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
        Entry(
            "psnr",
            "liif_bench.metrics.distortion:Psnr",
            "peak signal-to-noise ratio, dB",
            title="PSNR (dB)",
            decimals=2,
        ),
        Entry("ssim", "liif_bench.metrics.distortion:Ssim", "structural similarity", title="SSIM"),
        Entry(
            "lpips",
            "liif_bench.metrics.perceptual:Lpips",
            "learned perceptual distance",
            title="LPIPS",
            weights=("lpips-alex",),
        ),
        Entry(
            "zoom-top1",
            "liif_bench.downstream.zoom:ZoomTop1",
            "share of nine zoomed crops that an ImageNet classifier gets right (needs labels)",
            title="Top-1 accuracy on zoomed crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-agreement",
            "liif_bench.downstream.zoom:ZoomAgreement",
            "share of the crops where the classifier says the same of SR and HR",
            title="Top-1 agreement with HR on zoomed crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-kl",
            "liif_bench.downstream.zoom:ZoomKl",
            "divergence of its opinion on SR from that on HR, nats",
            title="KL from HR on zoomed crops (nats)",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-one-top1",
            "liif_bench.downstream.zoom:one_top1",
            "whether the classifier is right on the one-crop view, 256 and centre (needs labels)",
            title="Top-1 accuracy, one crop",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-one-top5",
            "liif_bench.downstream.zoom:one_top5",
            "the same among its first five",
            title="Top-5 accuracy, one crop",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-top1",
            "liif_bench.downstream.zoom:mean_top1",
            "share of the views of the protocol's zoom grid that it gets right",
            title="Top-1 accuracy, mean over the zoom grid",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-top5",
            "liif_bench.downstream.zoom:mean_top5",
            "the same among its first five",
            title="Top-5 accuracy, mean over the zoom grid",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-centre-any",
            "liif_bench.downstream.zoom:centre_any",
            "whether it is right on any of the centre views",
            title="Right in any centre view",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-grid-any",
            "liif_bench.downstream.zoom:grid_any",
            "whether it is right on any view: an upper bound",
            title="Right in any view",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-agreement",
            "liif_bench.downstream.zoom:mean_agreement",
            "share of the views where it says the same of SR and HR",
            title="Top-1 agreement with HR, mean over the zoom grid",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "zoom-mean-kl",
            "liif_bench.downstream.zoom:mean_kl",
            "divergence of its opinion on the views of SR from that on HR, nats",
            title="KL from HR, mean over the zoom grid (nats)",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        *(
            Entry(
                f"feature-{name}",
                f"liif_bench.downstream.features:feature_{name.replace('-', '_')}",
                f"an encoder's dense features of SR against those of HR: {summary}",
                "ENCODER",
                title=title,
                decimals=decimals,
                argument_required=True,
            )
            for name, summary, title, decimals in (
                ("mse", "mean squared difference", "MSE of features", 4),
                ("cosine", "cosine by token", "Cosine of features", 3),
                (
                    "gaussian-kl",
                    "divergence of Gaussians, nats per channel",
                    "Gaussian KL of features from HR (nats per channel)",
                    3,
                ),
                (
                    "mmd",
                    "squared maximum mean discrepancy between their tokens",
                    "MMD² of features",
                    4,
                ),
            )
        ),
        Entry(
            "feature-jitter",
            "liif_bench.downstream.features:feature_jitter",
            "how an encoder's features of SR change under sub-pixel shifts: a diagnostic only, for"
            " it rewards smoothness",
            "ENCODER",
            title="Jitter of features, a diagnostic that rewards smoothness",
            decimals=3,
            argument_required=True,
        ),
        Entry(
            "tta-mean-top1",
            "liif_bench.downstream.tta:mean_top1",
            "whether the mean of its opinions on 64 random resized crops is right (needs labels)",
            title="Top-1 accuracy, mean of random crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-mean-top5",
            "liif_bench.downstream.tta:mean_top5",
            "the same among the first five",
            title="Top-5 accuracy, mean of random crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-memo-top1",
            "liif_bench.downstream.tta:memo_top1",
            "whether it is right on the one-crop view after adapting to the crops (MEMO)",
            title="Top-1 accuracy, MEMO on random crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "tta-memo-top5",
            "liif_bench.downstream.tta:memo_top5",
            "the same among its first five",
            title="Top-5 accuracy, MEMO on random crops",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "mtf50",
            "liif_bench.metrics.resolution:per_hr_pixel",
            "resolution across a slanted edge, cycles per HR pixel (data set 'scenes')",
            title="MTF50 (cycles / HR pixel)",
        ),
        Entry(
            "mtf50-lr",
            "liif_bench.metrics.resolution:per_lr_pixel",
            "the same in cycles per LR pixel",
            title="MTF50 (cycles / LR pixel)",
            decimals=3,
        ),
        Entry(
            "aliasing",
            "liif_bench.metrics.aliasing:aliasing",
            "false energy where the truth is finer than LR can hold (data set 'scenes')",
            title="Aliasing (false energy / HR's)",
        ),
        Entry(
            "legibility",
            "liif_bench.metrics.legibility:share",
            "share of the glyphs that are most like themselves (data set 'scenes')",
            title="Legible glyphs",
            decimals=3,
        ),
        Entry(
            "legibility-margin",
            "liif_bench.metrics.legibility:margin",
            "by how much more like themselves than like the next best",
            title="Margin of the right glyph",
            decimals=3,
        ),
        Entry(
            "realism",
            "liif_bench.metrics.realism.composite:overall",
            "does it look real: the composite over faithfulness, attributes, relationships, style",
            title="Realism",
            decimals=3,
            weights=("lpips-vgg", "dists", "efficientnet-lite0"),
        ),
        *(
            Entry(
                f"realism-{dimension}",
                f"liif_bench.metrics.realism.composite:{dimension}",
                f"does it look real: {summary}",
                title=f"Realism, {dimension}",
                decimals=3,
                weights=weights,
            )
            for dimension, summary, weights in (
                ("faithfulness", "does it agree with LR, and add nothing else", ()),
                ("attributes", "is fine detail there, and right", ("lpips-vgg", "dists")),
                (
                    "relationships",
                    "do its parts stay in the right relation",
                    ("efficientnet-lite0",),
                ),
                ("style", "does it look like a photograph", ("lpips-vgg",)),
            )
        ),
        Entry(
            "lr-psnr",
            "liif_bench.metrics.realism.faithfulness:lr_psnr",
            "SR degraded as the protocol makes LR, against LR: PSNR, dB",
            title="LR consistency, PSNR (dB)",
            decimals=2,
        ),
        Entry(
            "lr-excess",
            "liif_bench.metrics.realism.faithfulness:lr_excess",
            "energy that SR adds and that LR has no say on, as a share of LR's energy",
            title="Energy added beyond LR (share of LR's)",
        ),
        Entry(
            "improvement",
            "liif_bench.metrics.realism.faithfulness:improvement",
            "share of the pixels that matter that come nearest to HR (after OpenSR-test)",
            title="Improvement against bicubic (share of pixels)",
            decimals=3,
        ),
        Entry(
            "omission",
            "liif_bench.metrics.realism.faithfulness:omission",
            "share of them that stay nearest to bicubic",
            title="Omission against bicubic (share of pixels)",
            decimals=3,
        ),
        Entry(
            "hallucination",
            "liif_bench.metrics.realism.faithfulness:hallucination",
            "share of them that are far from both",
            title="Hallucination against bicubic (share of pixels)",
            decimals=3,
        ),
        Entry(
            "self-similarity",
            "liif_bench.metrics.realism.relationships:self_similarity_of",
            "whether the same parts look alike in SR as in HR, to an encoder",
            title="Self-similarity of features, correlation with HR",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "flow",
            "liif_bench.metrics.realism.relationships:flow_of",
            "how far SR's parts lie from their places in HR, pixels",
            title="Displacement from HR (pixels)",
            decimals=3,
        ),
        Entry(
            "regularity",
            "liif_bench.metrics.realism.relationships:regularity_of",
            "how much of what repeats in HR still does in SR",
            title="Repeated structure kept (share)",
            decimals=3,
        ),
        Entry(
            "natural-spectrum",
            "liif_bench.metrics.realism.style:natural",
            "how far its power spectrum's fall is from that of natural images, 1 / f^2",
            title="Slope of the spectrum, off -2",
            decimals=3,
        ),
        Entry(
            "spectrum-error",
            "liif_bench.metrics.realism.style:spectrum",
            "difference between the radial power spectra of SR and HR, dB",
            title="Spectrum, off HR's (dB)",
            decimals=2,
        ),
        Entry(
            "gradient-kurtosis",
            "liif_bench.metrics.realism.style:tails",
            "how far the tails of its gradients are from HR's, octaves",
            title="Kurtosis of gradients, off HR's (octaves)",
            decimals=3,
        ),
        Entry(
            "grain",
            "liif_bench.metrics.realism.style:grain",
            "how far the noise in smooth parts is from HR's, octaves",
            title="Grain, off HR's (octaves)",
            decimals=3,
        ),
        Entry(
            "ringing",
            "liif_bench.metrics.realism.style:overshoot",
            "overshoot beside HR's strong edges, of their height",
            title="Overshoot beside HR's edges",
        ),
        Entry(
            "checkerboard",
            "liif_bench.metrics.realism.style:lattice",
            "patterns of period 2, 4 or one LR pixel that HR does not have, dB",
            title="Checkerboard above HR's (dB)",
            decimals=2,
        ),
        Entry(
            "dists",
            "liif_bench.metrics.realism.attributes:dists",
            "distance of structure and texture, tolerant of resampled texture",
            title="DISTS",
            weights=("lpips-vgg", "dists"),
        ),
        Entry(
            "lpips-vgg",
            "liif_bench.metrics.realism.attributes:lpips_vgg",
            "learned perceptual distance on VGG16, whatever net the protocol names",
            title="LPIPS on VGG16",
            weights=("lpips-vgg",),
        ),
        Entry(
            "gradient-sharpness",
            "liif_bench.metrics.realism.attributes:gradient_sharpness",
            "by how many octaves edges are wider or narrower than HR's",
            title="Sharpness of edges off HR's (octaves)",
            decimals=3,
        ),
        Entry(
            "edge-precision",
            "liif_bench.metrics.realism.attributes:edge_precision",
            "share of SR's edges that HR has",
            title="Edges that HR has",
            decimals=3,
        ),
        Entry(
            "edge-recall",
            "liif_bench.metrics.realism.attributes:edge_recall",
            "share of HR's edges that SR has",
            title="HR's edges found",
            decimals=3,
        ),
        Entry(
            "edge-f1",
            "liif_bench.metrics.realism.attributes:edge_f1",
            "harmonic mean of the two",
            title="Agreement of edges (F1)",
            decimals=3,
        ),
        Entry(
            "gram",
            "liif_bench.metrics.realism.gram:gram",
            "distance of style: Gram matrices of VGG16 against HR's",
            title="Style distance (Gram)",
            weights=("lpips-vgg",),
        ),
        Entry(
            "photograph",
            "liif_bench.metrics.realism.photograph:Photograph",
            "probability that its patches are of a photograph, by a judge of enlargements",
            title="Probability of “photograph”",
            decimals=3,
            weights=("efficientnet-lite0",),
        ),
        Entry(
            "embedding",
            "liif_bench.downstream.embeddings:embedding",
            "cosine between an encoder's features of SR and HR, each pooled over the image",
            "ENCODER",
            title="Cosine of pooled features",
            decimals=3,
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
