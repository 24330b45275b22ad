"""PSNR and SSIM, per image, on the channels and the region that the protocol names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from liif_bench.errors import LiifBenchError
from liif_bench.images import luma
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5


def psnr(sr: Tensor, hr: Tensor) -> float:
    """Peak signal-to-noise ratio of one image, `10 log10(1 / MSE)`.

    Args:
        sr: `(C, H, W)`, peak value 1.
        hr: The same shape.

    Returns:
        Decibels; infinity for identical images.
    """
    return float(peak_signal_noise_ratio(sr.double(), hr.double(), data_range=1.0))


def ssim(sr: Tensor, hr: Tensor, window: Literal["valid", "full"] = "valid") -> float:
    """Structural similarity of one image (Wang et al. 2004), computed in float64.

    11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03), population covariance, data range 1, mean
    over channels. "valid" averages over the windows that lie inside the image, as MATLAB and
    BasicSR do; it runs on scikit-image, whose separable filter gives torchmetrics' cropped map to
    1e-12 in a fraction of the time. "full" reflects the border and averages over every pixel,
    torchmetrics' own default since 1.4.2.

    Args:
        sr: `(C, H, W)`, peak value 1.
        hr: The same shape.
        window: Which windows count.

    Returns:
        A number up to 1.

    Raises:
        LiifBenchError: The image is smaller than the window.
    """
    height, width = hr.shape[1:]
    if min(height, width) < SSIM_WINDOW:
        raise LiifBenchError(
            f"{width}x{height} pixels are too small for SSIM's {SSIM_WINDOW}x{SSIM_WINDOW} window"
        )
    if window == "valid":
        mean = structural_similarity(
            sr.double().cpu().numpy(),
            hr.double().cpu().numpy(),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
        )
    else:
        mean = structural_similarity_index_measure(
            sr.double()[None],
            hr.double()[None],
            sigma=SSIM_SIGMA,
            kernel_size=SSIM_WINDOW,
            data_range=1.0,
        )
    return float(mean)


def scored_region(image: Tensor, case: Case) -> Tensor:
    """Return the channels and pixels of an image that the case's protocol scores.

    Args:
        image: `(3, H, W)` RGB in [0, 1].
        case: Gives the protocol and the scale.

    Returns:
        `(1 or 3, H - 2 shave, W - 2 shave)`.

    Raises:
        LiifBenchError: The shave leaves nothing of the image.
    """
    shave = case.protocol.shave(case.scale)
    height, width = image.shape[1:]
    if min(height, width) <= 2 * shave:
        raise LiifBenchError(
            f"{width}x{height} pixels are too small for a shave of {shave} on every side"
        )
    inner = image[:, shave : height - shave, shave : width - shave]
    return luma(inner) if case.protocol.colour == "y" else inner


def _scored_pair(case: Case, output: Output) -> tuple[Tensor, Tensor]:
    sr = output.memo.once("scored region", lambda: scored_region(output.sr, case))
    return sr, case.memo.once("scored region", lambda: scored_region(case.hr, case))


def _region_variant(protocol: Protocol) -> str:
    colour = "Y" if protocol.colour == "y" else "RGB"
    factor = "" if protocol.shave_scale == 1 else f"{protocol.shave_scale:g}"
    terms = [f"{factor}s"] if protocol.shave_scale else []
    terms += [str(protocol.shave_extra)] if protocol.shave_extra or not terms else []
    return f"{colour}, shave {'+'.join(terms)}"


@dataclass(frozen=True)
class Psnr:
    """PSNR of the protocol's channels and region; on Y it is that of the difference's luma."""

    device: str = "cpu"  # as every metric; these two need no network and are computed on the CPU
    name: str = "psnr"
    higher_is_better: bool = True

    def variant(self, protocol: Protocol) -> str:
        """Name channels, shave and rounding."""
        rounding = ", uint8" if protocol.rounding == "uint8" else ""
        return _region_variant(protocol) + rounding

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return nothing: no weights are read."""
        del protocol
        return ()

    @torch.inference_mode()
    def score(self, case: Case, output: Output) -> float:
        """Measure; see `psnr`."""
        return psnr(*_scored_pair(case, output))


@dataclass(frozen=True)
class Ssim:
    """SSIM of the protocol's channels and region."""

    device: str = "cpu"
    name: str = "ssim"
    higher_is_better: bool = True

    def variant(self, protocol: Protocol) -> str:
        """Name channels, shave, rounding and window."""
        window = f"{SSIM_WINDOW}x{SSIM_WINDOW} {protocol.ssim_window}"
        return f"{Psnr().variant(protocol)}, {window}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return nothing: no weights are read."""
        del protocol
        return ()

    @torch.inference_mode()
    def score(self, case: Case, output: Output) -> float:
        """Measure; see `ssim`."""
        return ssim(*_scored_pair(case, output), window=case.protocol.ssim_window)
