"""PSNR and SSIM, per image, on the channels and the region that the protocol names."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from skimage.metrics import structural_similarity
from torch import Tensor
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from liif_bench.errors import LiifBenchError
from liif_bench.images import channels
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.region import shave_variant, shaved
from liif_bench.protocol import Protocol, PsnrRules, SsimWindow

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
SSIM_K = (0.01, 0.03)


def psnr(sr: Tensor, hr: Tensor) -> float:
    """Peak signal-to-noise ratio of one image, `10 log10(1 / MSE)`.

    Args:
        sr: `(C, H, W)`, peak value 1.
        hr: The same shape.

    Returns:
        Decibels; infinity for identical images.
    """
    return float(peak_signal_noise_ratio(sr.double(), hr.double(), data_range=1.0))


def ssim(sr: Tensor, hr: Tensor, window: SsimWindow = "valid") -> float:
    """Structural similarity of one image (Wang et al. 2004), computed in float64.

    11x11 Gaussian window of sigma 1.5, K = (0.01, 0.03), population covariance, data range 1, mean
    over channels. "valid" averages over the windows that lie inside the image, as MATLAB and
    BasicSR do; it runs on scikit-image, whose separable filter gives torchmetrics' cropped map to
    1e-12 in a fraction of the time. "full" reflects the border and averages over every pixel,
    torchmetrics' own default since 1.4.2. "zero" takes the border for black and averages over
    every pixel, as CLIT does (arXiv 2303.16513).

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
        similar = partial(
            structural_similarity,
            data_range=1.0,
            gaussian_weights=True,
            sigma=SSIM_SIGMA,
            use_sample_covariance=False,
        )
        planes = (image.double().cpu().numpy() for image in (sr, hr))
        with ThreadPoolExecutor(len(hr)) as pool:  # its filters let other threads run
            mean = sum(pool.map(similar, *planes)) / len(hr)
    elif window == "full":
        mean = structural_similarity_index_measure(
            sr.double()[None],
            hr.double()[None],
            sigma=SSIM_SIGMA,
            kernel_size=SSIM_WINDOW,
            data_range=1.0,
        )
    else:
        mean = _zero_padded_ssim(sr.double(), hr.double())
    return float(mean)


def _zero_padded_ssim(sr: Tensor, hr: Tensor) -> Tensor:
    """SSIM (Wang et al. 2004, equation 13) whose windows see zeros beyond the border."""
    offsets = torch.arange(SSIM_WINDOW, dtype=sr.dtype, device=sr.device) - SSIM_WINDOW // 2
    gauss = torch.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    gauss /= gauss.sum()

    def blurred(image: Tensor) -> Tensor:
        rows = F.conv2d(image[:, None], gauss.view(1, 1, -1, 1), padding=(SSIM_WINDOW // 2, 0))
        return F.conv2d(rows, gauss.view(1, 1, 1, -1), padding=(0, SSIM_WINDOW // 2))[:, 0]

    c1, c2 = SSIM_K[0] ** 2, SSIM_K[1] ** 2
    mean_sr, mean_hr = blurred(sr), blurred(hr)
    variances = blurred(sr**2) - mean_sr**2 + blurred(hr**2) - mean_hr**2
    covariance = blurred(sr * hr) - mean_sr * mean_hr
    similar = (2 * mean_sr * mean_hr + c1) * (2 * covariance + c2)
    return (similar / ((mean_sr**2 + mean_hr**2 + c1) * (variances + c2))).mean()


def scored_region(image: Tensor, rules: PsnrRules, scale: float) -> Tensor:
    """Return the channels and pixels of an image that a metric sees.

    Args:
        image: `(3, H, W)` RGB in [0, 1].
        rules: Colour and shave.
        scale: HR size / LR size.

    Returns:
        `(1 or 3, H - 2 shave, W - 2 shave)` float64.

    Raises:
        LiifBenchError: The shave leaves nothing of the image.
    """
    return channels(shaved(image, rules.shave(scale)).double(), rules.colour)


def _scored_pair(case: Case, output: Output, rules: PsnrRules) -> tuple[Tensor, Tensor]:
    key = ("scored region", rules.colour, rules.shave(case.scale))

    def region(image: Tensor) -> Tensor:
        return scored_region(image, rules, case.scale)

    sr = output.memo.once(key, lambda: region(output.sr))
    return sr, case.memo.once(key, lambda: region(case.hr))


_COLOURS = {
    "rgb": "RGB",
    "y": "Y",
    "y-uint8": "Y in 8 bits",
    "y-liif": "Y (LIIF)",
    "y-full": "full-range Y",
    "blue": "blue",
}


def _variant(rules: PsnrRules, protocol: Protocol) -> str:
    rounding = ", uint8" if protocol.rounding == "uint8" else ""
    return f"{_COLOURS[rules.colour]}, {shave_variant(rules)}{rounding}"


@dataclass(frozen=True)
class Psnr:
    """PSNR of the protocol's channels and region."""

    device: str = "cpu"  # as every metric; these two need no network and are computed on the CPU
    name: str = "psnr"
    higher_is_better: bool = True

    def variant(self, protocol: Protocol) -> str:
        """Name channels, shave and rounding."""
        return _variant(protocol.psnr, protocol)

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return nothing: no weights are read."""
        del protocol
        return ()

    @torch.inference_mode()
    def score(self, case: Case, output: Output) -> float:
        """Measure; see `psnr`."""
        return psnr(*_scored_pair(case, output, case.protocol.psnr))


@dataclass(frozen=True)
class Ssim:
    """SSIM of the protocol's channels and region."""

    device: str = "cpu"
    name: str = "ssim"
    higher_is_better: bool = True

    def variant(self, protocol: Protocol) -> str:
        """Name channels, shave, rounding and window."""
        window = f"{SSIM_WINDOW}x{SSIM_WINDOW} {protocol.ssim.window}"
        return f"{_variant(protocol.ssim, protocol)}, {window}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return nothing: no weights are read."""
        del protocol
        return ()

    @torch.inference_mode()
    def score(self, case: Case, output: Output) -> float:
        """Measure; see `ssim`."""
        rules = case.protocol.ssim
        return ssim(*_scored_pair(case, output, rules), window=rules.window)
