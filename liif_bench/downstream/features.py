"""How faithful an encoder's dense features stay on enlarged images, after FeatSharp (2502.16025).

The metrics take the encoder as their argument and compare the features of SR with those of HR,
both encoded as a whole at HR's size. The table `features` keeps more: one row per encoder and
route (`downstream.routes`), with the sums that the fidelity of a whole set is made of,

    fidelity = Var(F_HR) / MSE(F_SR, F_HR)

where Var is the variance of a channel over all tokens of the set, mean over channels. A fidelity
of 1 is what the set's mean token would get.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from liif_bench.downstream import ENCODERS, FEATURES
from liif_bench.downstream.encoders import Encoder, load_encoder
from liif_bench.downstream.routes import ROUTES, Route, bilateral, bilinear, low, shifted
from liif_bench.downstream.routes import tiled as encode_tiled
from liif_bench.downstream.routes import whole as encode_whole
from liif_bench.errors import NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol

RIDGE = 0.01
MOST_TOKENS = 2048
VIEWS = 4
SEED = 0

_SMALLEST_GRID = 3


def mse(sr: Tensor, hr: Tensor) -> float:
    """Mean squared difference of features, over tokens and channels.

    Args:
        sr: `(C, rows, columns)`.
        hr: The same shape.
    """
    return float((sr.double() - hr.double()).square().mean())


def cosine(sr: Tensor, hr: Tensor) -> float:
    """Cosine of the angle between tokens at one place, mean over places; in [-1, 1].

    Equal tokens have 1, those of zeros included; a token of zeros has 0 with any other.

    Args:
        sr: `(C, rows, columns)`.
        hr: The same shape.
    """
    one, other = tokens(sr), tokens(hr)
    angles = F.cosine_similarity(one, other, dim=1, eps=1e-12)
    return float(torch.where((one == other).all(dim=1), 1.0, angles).mean())


def gaussian_kl(sr: Tensor, hr: Tensor, ridge: float = RIDGE) -> float:
    """KL(HR || SR) of Gaussians with the mean and covariance of the tokens, nats per channel.

    Args:
        sr: `(C, rows, columns)`.
        hr: `(C, ...)`; the two are sets, places do not count.
        ridge: What is added to the diagonals of both covariances, as a share of the mean variance
            of HR's channels, so that they can be inverted where tokens are few or channels silent.

    Raises:
        NotApplicableError: HR's tokens are all equal.
    """
    (mean, cov), (target, spread) = _moments(hr), _moments(sr)
    channels = len(mean)
    floor = ridge * float(cov.diagonal().mean())
    if floor <= 0:
        raise NotApplicableError("all tokens of HR are equal: they have no covariance")
    floors = floor * torch.eye(channels, dtype=torch.float64)
    ours, theirs = (torch.linalg.cholesky(each + floors) for each in (cov, spread))
    # tr(S^-1 C) = |L_S^-1 L_C|^2 and log det C = 2 sum(log diag L_C)
    share = torch.linalg.solve_triangular(theirs, ours, upper=False).square().sum()
    away = torch.linalg.solve_triangular(theirs, (target - mean)[:, None], upper=False)
    logs = 2 * (theirs.diagonal().log().sum() - ours.diagonal().log().sum())
    return float((share + away.square().sum() - channels + logs) / (2 * channels))


def _moments(features: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean `(C,)` and covariance `(C, C)` of tokens, float64, divided by their number."""
    each = tokens(features)
    mean = each.mean(dim=0)
    away = each - mean
    return mean, away.T @ away / len(each)


def mmd(sr: Tensor, hr: Tensor, most: int = MOST_TOKENS) -> float:
    """Squared maximum mean discrepancy between the tokens of SR and HR (Gretton et al. 2012).

    The kernel is Gaussian, `exp(-|x - y|^2 / m)`, where `m` is the median of the squared distances
    between two tokens of HR, so that it is one for all upsamplers. The estimator is the biased one,
    the means over all pairs: it is never negative, and 0 for equal sets.

    Args:
        sr: `(C, rows, columns)`.
        hr: The same shape.
        most: Of more tokens than that, so many are drawn, at the same places of both and with one
            seed.

    Raises:
        NotApplicableError: HR's tokens are all equal.
    """
    ours, theirs = tokens(sr), tokens(hr)
    if len(theirs) > most:
        drawn = torch.randperm(len(theirs), generator=torch.Generator().manual_seed(SEED))[:most]
        ours, theirs = ours[drawn], theirs[drawn]
    among = _squared_distances(theirs, theirs)
    pairs = among.numpy()[np.triu_indices(len(among), 1)]
    median = float(np.median(pairs)) if len(pairs) else 0.0
    if median <= 0:
        raise NotApplicableError("most tokens of HR are equal: the kernel has no width")
    if torch.equal(ours, theirs):
        return 0.0
    across, ourselves = _squared_distances(ours, theirs), _squared_distances(ours, ours)
    hh, ss, sh = (torch.exp(-each / median).mean() for each in (among, ourselves, across))
    return max(0.0, float(hh + ss - 2 * sh))  # rounding alone goes below


def _squared_distances(one: Tensor, other: Tensor) -> Tensor:
    products = one @ other.T
    squares = one.square().sum(dim=1)[:, None] + other.square().sum(dim=1)[None] - 2 * products
    return squares.clamp_min(0)


def tokens(features: Tensor) -> Tensor:
    """Return the tokens of a grid `(C, rows, columns)`, `(N, C)` float64."""
    return features.flatten(1).T.double()


def jitter(encoder: Encoder, image: Tensor, features: Tensor) -> float:
    """How much features change, beyond moving along, where the image moves by parts of a pixel.

    A diagnostic, not a measure of quality: it rewards smoothness, and an image of one colour is
    best. The image is moved four times by up to half a stride each way (bicubic, the edge
    repeated, with one seed for all images), encoded, and its grid is moved back (bilinear).

    Args:
        encoder: The encoder.
        image: `(3, H, W)` RGB in [0, 1], already cut to the stride.
        features: What the encoder makes of it, `(C, rows, columns)`.

    Returns:
        Mean squared difference from the unmoved features, without the outermost tokens, over the
        variance of their channels in this image: 0 where they only move along.

    Raises:
        NotApplicableError: The grid has no inside, or all its tokens are equal.
    """
    if min(features.shape[1:]) < _SMALLEST_GRID:
        raise NotApplicableError("the grid of tokens has no inside")
    variance = float(tokens(features).var(dim=0, correction=0).mean())
    if variance <= 0:
        raise NotApplicableError("all tokens are equal: they have no variance")
    half = encoder.stride / 2
    draws = np.random.default_rng(SEED).uniform(-half, half, (VIEWS, 2))
    differences = []
    for down, right in draws.tolist():
        moved = encoder.features(moved_by(image, down, right)[None])[0]
        back = shifted(moved, down / encoder.stride, right / encoder.stride)
        differences.append(mse(back[:, 1:-1, 1:-1], features[:, 1:-1, 1:-1]))
    return sum(differences) / len(differences) / variance


def moved_by(image: Tensor, down: float, right: float) -> Tensor:
    """Move an image by parts of a pixel (bicubic, a = -0.75), repeating its edges.

    Args:
        image: `(3, H, W)` in [0, 1].
        down: Pixels.
        right: Pixels.
    """
    height, width = image.shape[1:]
    rows = (torch.arange(height, dtype=torch.float64) - down + 0.5) * 2 / height - 1
    columns = (torch.arange(width, dtype=torch.float64) - right + 0.5) * 2 / width - 1
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    places = torch.stack([x, y], dim=-1).to(image.dtype)[None]
    moved = F.grid_sample(image[None], places, "bicubic", "border", align_corners=False)
    return moved[0].clamp(0, 1)


@dataclass(frozen=True)
class Compared:
    """The features of an output and of HR.

    Attributes:
        encoder: What made them.
        case: The case.
        output: The upsampler's answer.
    """

    encoder: Encoder
    case: Case
    output: Output

    @cached_property
    def hr(self) -> Tensor:
        """Features of HR, `(C, rows, columns)`."""
        key = ("features", self.encoder.name)
        made: Tensor = self.case.memo.once(key, lambda: encode_whole(self.encoder, self.case.hr))
        return made

    @cached_property
    def sr(self) -> Tensor:
        """Features of SR, `(C, rows, columns)`; those of HR where the pixels are the same."""
        if torch.equal(self.output.sr, self.case.hr):
            return self.hr
        key = ("features", self.encoder.name)
        made: Tensor = self.output.memo.once(
            key, lambda: encode_whole(self.encoder, self.output.sr)
        )
        return made

    @cached_property
    def low(self) -> Tensor:
        """Features of LR on its own grid."""
        key = ("low features", self.encoder.name)
        made: Tensor = self.case.memo.once(key, lambda: low(self.encoder, self.case.lr))
        return made

    def by(self, route: Route) -> Tensor:
        """Return features on HR's grid, `(C, rows, columns)`."""
        lr, stride = (self.case.lr.shape[1], self.case.lr.shape[2]), self.encoder.stride
        if route == "image":
            return self.sr
        if route == "tiles":
            return encode_tiled(self.encoder, self.output.sr)
        if route == "bilinear":
            return bilinear(self.low, lr, self.case.size, stride)
        return bilateral(self.low, self.output.sr, lr, stride)


@dataclass(frozen=True)
class FeatureMetric:
    """A number made of the features of SR and HR.

    Attributes:
        kind: The first part of its name.
        reduce: Makes the number.
        says: Which number it is, for the variant.
        higher_is_better: Direction.
        device: Where the encoder runs.
        encoder: Name of the encoder.
    """

    kind: str
    reduce: Callable[[Compared], float]
    says: str
    higher_is_better: bool
    device: str
    encoder: str

    table = FEATURES

    def __post_init__(self) -> None:
        ENCODERS.parse(self.encoder)

    @property
    def name(self) -> str:
        """As in tables and records."""
        return f"{self.kind}:{self.encoder}"

    @property
    def part(self) -> str:
        """Metrics of one encoder share its rows."""
        return self.encoder

    def variant(self, protocol: Protocol) -> str:
        """Say what is computed."""
        rounded = ", uint8" if protocol.rounding == "uint8" else ""
        return f"{self.says}, whole SR cut to the stride{rounded}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the encoder's registry id, where it has one."""
        del protocol
        return ENCODERS.parse(self.encoder)[0].weights

    def identify(self, protocol: Protocol) -> Mapping[str, str]:
        """Return the hash of an encoder that is not in the registry; see `Identified`."""
        if self.needs(protocol):
            return {}
        return {self.encoder: load_encoder(self.encoder, self.device).sha256}

    def compared(self, case: Case, output: Output) -> Compared:
        """Return what is compared."""
        return Compared(load_encoder(self.encoder, self.device), case, output)

    def score(self, case: Case, output: Output) -> float:
        """Measure."""
        return self.reduce(self.compared(case, output))

    def details(self, case: Case, output: Output) -> list[dict[str, Any]]:
        """Return one row per route; see `Detailed`.

        Columns: encoder; route; mse and cosine between its features and HR's; how many tokens and
        channels they have; sums of HR's tokens (one number per channel) and of all their squares.
        """
        compared = self.compared(case, output)
        hr = compared.hr.double()
        sums = hr.sum(dim=(1, 2)).tolist()
        squares = float(hr.square().sum())
        rows = []
        for route in ROUTES:
            sr = compared.by(route)
            rows.append(
                {
                    "encoder": self.encoder,
                    "route": route,
                    "mse": mse(sr, compared.hr),
                    "cosine": cosine(sr, compared.hr),
                    "tokens": hr.shape[1] * hr.shape[2],
                    "channels": hr.shape[0],
                    "hr_sums": sums,
                    "hr_squares": squares,
                }
            )
        return rows


def _metric(
    kind: str,
    reduce: Callable[[Compared], float],
    says: str,
    device: str,
    encoder: str,
    *,
    higher_is_better: bool = False,
) -> FeatureMetric:
    return FeatureMetric(kind, reduce, says, higher_is_better, device, encoder)


def _jitter(compared: Compared) -> float:
    height, width = (side * compared.encoder.stride for side in compared.sr.shape[1:])
    return jitter(compared.encoder, compared.output.sr[:, :height, :width], compared.sr)


feature_mse = partial(
    _metric, "feature-mse", lambda each: mse(each.sr, each.hr), "over tokens and channels"
)
feature_cosine = partial(
    _metric,
    "feature-cosine",
    lambda each: cosine(each.sr, each.hr),
    "mean over tokens",
    higher_is_better=True,
)
feature_gaussian_kl = partial(
    _metric,
    "feature-gaussian-kl",
    lambda each: gaussian_kl(each.sr, each.hr),
    f"KL(HR || SR) per channel, ridge {RIDGE:g} of HR's mean variance",
)
feature_mmd = partial(
    _metric,
    "feature-mmd",
    lambda each: mmd(each.sr, each.hr),
    f"squared, biased, Gaussian kernel of HR's median, at most {MOST_TOKENS} tokens",
)
feature_jitter = partial(
    _metric,
    "feature-jitter",
    _jitter,
    f"diagnostic that rewards smoothness, {VIEWS} shifts up to half a stride, seed {SEED}",
)
