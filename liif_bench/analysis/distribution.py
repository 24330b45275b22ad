"""Can enlargements be told from photographs? Sets of patches against each other, with intervals.

The table `patches` of a run holds what a judge of photographs saw of every patch: a probability and
standardised features. Enlargements are held against the rows of the model `hr`, photographs of the
same places.

Patches of one image are no independent draws, and SR and HR of one image have their content in
common. So every estimate here is of patches of different images: AUC and the kernel distances are
means over pairs of patches of two different images, which leaves KID and CMMD unbiased; for images
of one patch each they are the usual ones. FID is made of moments, and has no such pairs. Intervals
resample images, both sets alike. Nothing here imports torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from liif_bench.analysis.features import image_counts
from liif_bench.analysis.kept import KeptRows
from liif_bench.analysis.stats import CONFIDENCE, Estimate, Floats, bootstrapped
from liif_bench.errors import LiifBenchError
from liif_bench.metrics.realism import PATCHES
from liif_bench.records import Run
from liif_bench.upsamplers import TRUTH

FID_RESAMPLES = 499
BANDWIDTH = 10.0
CMMD_UNIT = 1000.0

_TOGETHER = 50  # resamples whose covariances are held at once
_CHUNK = 2048  # patches of one set that are held against all of the other at once


@dataclass(frozen=True)
class Patches:
    """A set of patches.

    Attributes:
        image: `(N,)` number of the image that each is of, ascending.
        probability: `(N,)` of "photograph".
        features: `(N, F)`.
    """

    image: npt.NDArray[np.int64]
    probability: Floats
    features: Floats


@dataclass(frozen=True)
class Compared:
    """Two sets of patches of one list of images.

    Attributes:
        real: Photographs.
        made: What is held against them.
        images: How many images the list has; each is in one of the sets or in both.
    """

    real: Patches
    made: Patches
    images: int

    def counts(self, one: Patches) -> Floats:
        """Return how many patches each image has in a set, `(images,)`."""
        return np.bincount(one.image, minlength=self.images).astype(np.float64)

    def sums(
        self, one: Patches, other: Patches, pairwise: Callable[[Patches, Patches], Floats]
    ) -> Floats:
        """Return the sums of a function of two patches by their images, `(images, images)`.

        Args:
            one: A set, along the rows.
            other: A set, along the columns.
            pairwise: Of `(n,)` and `(m,)` patches, `(n, m)`.

        Returns:
            Zero on the diagonal: pairs of one image do not count.
        """
        total = np.zeros((self.images, self.images))
        present, starts = np.unique(other.image, return_index=True)
        for start in range(0, len(one.image), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = Patches(one.image[part], one.probability[part], one.features[part])
            by_column = np.add.reduceat(pairwise(rows, other), starts, axis=1)
            np.add.at(total, (rows.image[:, None], present[None]), by_column)
        np.fill_diagonal(total, 0)
        return total

    def mean(
        self, one: Patches, other: Patches, pairwise: Callable[[Patches, Patches], Floats]
    ) -> Floats:
        """Return means over pairs of patches of different images, of the list and its resamples.

        Args:
            one: A set.
            other: A set.
            pairwise: As in `sums`.

        Returns:
            `(1 + RESAMPLES,)`, the list itself first; NaN where a resample holds no pair.
        """
        pairs = np.outer(self.counts(one), self.counts(other))
        np.fill_diagonal(pairs, 0)
        drawn = image_counts(self.images)
        above, below = (
            ((drawn @ each) * drawn).sum(axis=1)
            for each in (self.sums(one, other, pairwise), pairs)
        )
        result: Floats = np.full(len(drawn), math.nan)
        np.divide(above, below, out=result, where=below > 0)
        return result


def auc(compared: Compared) -> Estimate:
    """How often a photograph looks more like one than an enlargement does, of another image.

    The area under the curve of the judge: 0.5 where the two cannot be told apart, 1 where they
    always can, below 0.5 where enlargements look more like photographs than photographs do.
    """

    def wins(real: Patches, made: Patches) -> Floats:
        one, other = real.probability[:, None], made.probability[None]
        won: Floats = (one > other) + (one == other) / 2
        return won

    return _estimate(compared.mean(compared.real, compared.made, wins), compared.images)


def kid(compared: Compared) -> Estimate:
    """Kernel Inception Distance (Bińkowski et al., arXiv 1801.01401) on these features.

    The squared maximum mean discrepancy with the kernel `(x . y / F + 1)^3`, unbiased, so that it
    may be below 0 where the sets hardly differ.
    """

    def kernel(one: Patches, other: Patches) -> Floats:
        made: Floats = (one.features @ other.features.T / one.features.shape[1] + 1) ** 3
        return made

    return _mmd(compared, kernel)


def cmmd(compared: Compared) -> Estimate:
    """The distance of CMMD (Jayasumana et al., arXiv 2401.09603), on these features, not on CLIP's.

    1000 times the squared maximum mean discrepancy with the kernel `exp(-|x - y|^2 / (2 * 10^2))`,
    unbiased.
    """

    def kernel(one: Patches, other: Patches) -> Floats:
        products = one.features @ other.features.T
        squares = (one.features**2).sum(axis=1)[:, None] + (other.features**2).sum(axis=1)[None]
        made: Floats = CMMD_UNIT * np.exp((products - squares / 2) / BANDWIDTH**2)
        return made

    return _mmd(compared, kernel)


def _mmd(compared: Compared, kernel: Callable[[Patches, Patches], Floats]) -> Estimate:
    """Estimate MMD^2 over pairs of different images (Gretton et al. 2012, Lemma 6)."""
    real, made = compared.real, compared.made
    values = (
        compared.mean(real, real, kernel)
        + compared.mean(made, made, kernel)
        - 2 * compared.mean(real, made, kernel)
    )
    return _estimate(values, compared.images)


def fid(compared: Compared) -> Estimate:
    """Fréchet distance (Heusel et al., arXiv 1706.08500) of Gaussians fitted to these features.

    It is biased upwards for few patches, and more so in resamples, which hold fewer images: the
    interval is that of `FID_RESAMPLES` resamples, moved by how far their mean lies off.
    """
    one, other = (_Sums.of(each, compared.images) for each in (compared.real, compared.made))
    drawn = image_counts(compared.images)[: 1 + FID_RESAMPLES]
    values = np.concatenate(
        [
            _frechet(*one.moments(part), *other.moments(part))
            for part in np.array_split(drawn, math.ceil(len(drawn) / _TOGETHER))
        ]
    )
    values[1:] += values[0] - np.nanmean(values[1:])
    return _estimate(values, compared.images)


@dataclass(frozen=True)
class _Sums:
    """Sums of a set by image: patches `(n,)`, features `(n, F)`, their products `(n, F * F)`."""

    patches: Floats
    features: Floats
    products: Floats

    @classmethod
    def of(cls, one: Patches, images: int) -> _Sums:
        width = one.features.shape[1]
        patches, features = np.zeros(images), np.zeros((images, width))
        products = np.zeros((images, width * width))
        for image in np.unique(one.image):
            mine = one.features[one.image == image]
            patches[image], features[image] = len(mine), mine.sum(axis=0)
            products[image] = (mine.T @ mine).ravel()
        return cls(patches, features, products)

    def moments(self, drawn: Floats) -> tuple[Floats, Floats]:
        """Return means `(R, F)` and covariances `(R, F, F)`; NaN where a resample has no patch.

        Args:
            drawn: `(R, n)` how often each image is in a resample.
        """
        width = self.features.shape[1]
        patches = drawn @ self.patches
        patches[patches == 0] = math.nan
        means = drawn @ self.features / patches[:, None]
        products = (drawn @ self.products).reshape(-1, width, width)
        products -= patches[:, None, None] * means[:, :, None] * means[:, None]
        return means, products / np.maximum(patches - 1, 1)[:, None, None]


def _frechet(mean: Floats, spread: Floats, other: Floats, other_spread: Floats) -> Floats:
    """Return `|m - n|^2 + tr(S + T - 2 (S T)^(1/2))`.

    Args:
        mean: `(R, F)`.
        spread: `(R, F, F)`.
        other: `(R, F)`.
        other_spread: `(R, F, F)`.

    Returns:
        `(R,)`; NaN where a number is none.
    """
    result = np.full(len(mean), math.nan)
    known = np.isfinite(mean).all(axis=1) & np.isfinite(other).all(axis=1)
    ours, theirs = spread[known], other_spread[known]
    # tr (S T)^(1/2) = tr (R^T T R)^(1/2) with R R^T = S, and R^T T R is symmetric
    root = _roots(ours)
    inner = np.linalg.eigvalsh(root.transpose(0, 2, 1) @ theirs @ root)
    shared = np.sqrt(inner.clip(min=0)).sum(axis=1)
    traces = np.trace(ours, axis1=1, axis2=2) + np.trace(theirs, axis1=1, axis2=2)
    result[known] = ((mean - other)[known] ** 2).sum(axis=1) + traces - 2 * shared
    return result


def _roots(spread: Floats) -> Floats:
    """Return a matrix R with R R^T = S for each covariance, `(R, F, F)`."""
    try:
        roots: Floats = np.linalg.cholesky(spread).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:  # fewer patches than features: slower, but any S will do
        values, vectors = np.linalg.eigh(spread)
        roots = vectors * np.sqrt(values.clip(min=0))[:, None]
    return roots


def _estimate(values: Floats, images: int) -> Estimate:
    """Return the first value with the 95 % percentile interval of the others that are numbers."""
    tail = (100 - CONFIDENCE) / 2
    low, high = np.nanpercentile(values[1:], [tail, 100 - tail])
    return Estimate(float(values[0]), float(low), float(high), images)


@dataclass(frozen=True)
class Distance:
    """A way to hold two sets of patches against each other.

    Attributes:
        name: As in tables.
        least: Images below which it is refused.
        why: What would be wrong with fewer.
        measure: Estimates it.
    """

    name: str
    least: int
    why: str
    measure: Callable[[Compared], Estimate]

    def refusal(self, images: int) -> str | None:
        """Say why it is refused for so many images; None where it is not."""
        if images >= self.least:
            return None
        return f"{self.name} needs {self.least} images, not {images}: {self.why}"


AUC = Distance("AUC", 6, "resamples of fewer are too much alike", auc)
KID = Distance("KID", 20, "the intervals of fewer are too narrow", kid)
FID = Distance("FID", 30, "fewer make it too large by more than a tenth", fid)
CMMD = Distance("CMMD", KID.least, KID.why, cmmd)
DISTANCES = (AUC, KID, FID, CMMD)


@dataclass(frozen=True)
class PatchResults(KeptRows):
    """The patches of one data set."""

    @property
    def images(self) -> int:
        """Images of which there are patches."""
        return int(self.rows["item"].nunique())

    @property
    def others(self) -> tuple[str, ...]:
        """Upsamplers but `hr`, in the order of the run."""
        return tuple(name for name in self.upsamplers if name != TRUTH)

    @cached_property
    def _by_model(self) -> dict[tuple[str, float], pd.DataFrame]:
        groups = self.rows.groupby(["upsampler", "scale"], sort=False)
        return {
            (str(name), float(scale)): rows.sort_values(["item", "top", "left"])
            for (name, scale), rows in groups
        }

    def items(self, upsampler: str, scale: float) -> tuple[str, ...]:
        """Return the images that an upsampler and `hr` have at a scale, sorted."""
        ours, truth = (
            set(self._by_model[name, scale]["item"]) if (name, scale) in self._by_model else set()
            for name in (upsampler, TRUTH)
        )
        return tuple(sorted(ours & truth))

    def probability(self, upsampler: str, scale: float) -> Estimate | None:
        """Return the mean probability of "photograph" over images; None without patches."""
        rows = self._by_model.get((upsampler, scale))
        if rows is None:
            return None
        return bootstrapped(rows.groupby("item")["probability"].mean().to_numpy(np.float64))

    def compared(self, upsampler: str, scale: float) -> Compared:
        """Hold an upsampler's patches against HR's of the same images."""
        items = self.items(upsampler, scale)
        real, made = (self._patches(name, scale, items) for name in (TRUTH, upsampler))
        return Compared(real, made, len(items))

    def halves(self, scale: float) -> Compared:
        """Hold HR's patches of every second image against those of the others.

        What sets of photographs that differ in nothing but their images get: a floor, from half as
        many images.
        """
        items = self.items(TRUTH, scale)
        every = self._patches(TRUTH, scale, items)
        real, made = (
            Patches(every.image[mask], every.probability[mask], every.features[mask])
            for mask in (every.image % 2 == 0, every.image % 2 == 1)
        )
        return Compared(real, made, len(items))

    def _patches(self, upsampler: str, scale: float, items: tuple[str, ...]) -> Patches:
        rows = self._by_model[upsampler, scale]
        rows = rows[rows["item"].isin(items)]
        number = {item: place for place, item in enumerate(items)}
        return Patches(
            rows["item"].map(number).to_numpy(np.int64),
            rows["probability"].to_numpy(np.float64),
            np.array(rows["features"].tolist(), dtype=np.float64),
        )


def patch_results(run: Run) -> list[PatchResults]:
    """Return the patches of a run by data set.

    Raises:
        LiifBenchError: The run has none.
    """
    rows = run.details(PATCHES)
    if rows.empty:
        raise LiifBenchError(
            f"'{run.path}' has no patches: run with --metrics photograph, and the model hr for AUC"
            " and distances"
        )
    groups = rows.groupby("dataset", sort=False)
    return [PatchResults(str(name), group) for name, group in groups]
