"""How sure a mean over images is, and a difference between two sets of values of the same images.

Everything is paired by image. Nothing here draws random numbers that are not the same every time,
and scipy, which is slow to import, is touched by no import of this module.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

RESAMPLES = 9999
CONFIDENCE = 95
LEVEL = 0.05
POWER = 0.8

_EXACT = 50  # differences up to which the signed-rank distribution is enumerated
_KEPT_IMAGES = 20_000  # resamples of more images than these are drawn anew each time, for memory
_FEW_IMAGES = 500  # resamples of so many take 5 MB: those of several numbers of images are kept
_BLOCK = 2_000_000  # numbers held at once while resamples are drawn and averaged

Floats = npt.NDArray[np.float64]
Values = Sequence[float] | Floats


@dataclass(frozen=True)
class Estimate:
    """A mean over images with its 95 % interval.

    Attributes:
        mean: The mean.
        low: Lower end of the interval.
        high: Upper end.
        images: How many.
    """

    mean: float
    low: float
    high: float
    images: int


@dataclass(frozen=True)
class Paired:
    """How a candidate's values differ from a baseline's of the same images.

    Attributes:
        difference: Mean of candidate - baseline, in the metric's unit, with its interval, widened
            for few images; see `tail_for`. Where one side alone is infinite on some images, the
            mean is infinite too.
        p: Of Wilcoxon's signed-rank test, two-sided; 1 where nothing differs.
        n: Images.
        detectable: The smallest mean difference that so many images that differ as much from each
            other would show at the 5 % level in four of five samples; see
            `detectable_difference`.
        above: Images on which the difference is +infinity.
        below: Images on which it is -infinity. Where both occur there is no mean over all images:
            `difference` has the mean of the others, and an interval without ends.
    """

    difference: Estimate
    p: float
    n: int
    detectable: float
    above: int = 0
    below: int = 0

    @property
    def clear(self) -> bool:
        """Whether the interval of the mean leaves out 0.

        A p-value alone is not enough: the signed-rank test asks whether differences lie as often
        and as far above 0 as below. Skewed ones whose mean is 0 do not; see docs/compare.md.
        """
        return not self.difference.low <= 0 <= self.difference.high


def paired(candidate: Values, baseline: Values) -> Paired:
    """Compare two sets of values of the same images.

    Args:
        candidate: One per image, at least one; no NaN. Infinity is a value: of two images that
            are both infinite (PSNR of identical ones) the difference is 0.
        baseline: One per image, in the same order.

    Raises:
        ValueError: There are no images, not as many on both sides, or a value is NaN.
    """
    differences = _differences(candidate, baseline)
    n = len(differences)
    finite = differences[np.isfinite(differences)]
    above, below = int((differences == math.inf).sum()), int((differences == -math.inf).sum())
    if above and below:
        mean = float(finite.mean()) if len(finite) else 0.0
        estimate = Estimate(mean, -math.inf, math.inf, n)
    else:
        low, high = interval(resampled_means(differences), tail_for(n))
        estimate = Estimate(float(differences.mean()), low, high, n)
    whole = n > 1 and len(finite) == n
    detectable = detectable_difference(float(finite.std(ddof=1)), n) if whole else math.inf
    return Paired(estimate, wilcoxon(differences), n, detectable, above, below)


def _differences(candidate: Values, baseline: Values) -> Floats:
    ours, theirs = np.asarray(candidate, np.float64), np.asarray(baseline, np.float64)
    if ours.shape != theirs.shape or ours.ndim != 1 or not len(ours):
        raise ValueError(f"values of the same images are needed, not {ours.shape}, {theirs.shape}")
    if np.isnan(ours).any() or np.isnan(theirs).any():
        raise ValueError("a value that is no number cannot be compared: leave its image out")
    result = np.zeros(len(ours))
    np.subtract(ours, theirs, out=result, where=ours != theirs)
    return result


def detectable_difference(spread: float, n: int, level: float = LEVEL) -> float:
    """Return the smallest mean difference that a sample could have detected with 80 % power.

    (t(1 - level / 2) + t(0.8)) spread / sqrt(n), quantiles of Student's t with n - 1 degrees of
    freedom, times sqrt(pi / 3) since the signed-rank test has 3 / pi of the t-test's efficiency
    where differences are normal (Hodges and Lehmann, Ann. Math. Stat. 27, 1956).

    Args:
        spread: Standard deviation of the differences.
        n: Images.
        level: Of the test, two-sided.

    Returns:
        In the unit of the spread; infinite where so few images reach no p-value as low as the
        level, however much they differ.
    """
    if least_p(n) > level or not math.isfinite(spread):
        return math.inf
    from scipy.special import stdtrit

    quantiles = stdtrit(n - 1, 1 - level / 2) + stdtrit(n - 1, POWER)
    return float(quantiles * spread / math.sqrt(n) * math.sqrt(math.pi / 3))


def least_p(n: int) -> float:
    """Return the least p-value that the signed-rank test and McNemar's can have on n images."""
    return min(1.0, 2.0 ** (1 - n))


def bootstrapped(values: Floats) -> Estimate:
    """Return a mean with its 95 % percentile interval over resamples of the images.

    Args:
        values: One per image, at least one; infinite ones may be there, of one sign.
    """
    return Estimate(float(values.mean()), *interval(resampled_means(values)), len(values))


def tail_for(n: int) -> float:
    """Return what a percentile interval of the mean of few images leaves out on each side.

    The plain one is too short: of 5 images it holds the mean in 83 % of normal samples, not in
    95 %. The expanded one (Hesterberg, arXiv 1411.5279) goes out to Phi(-sqrt(n / (n - 1)) t), t
    the quantile of Student's t with n - 1 degrees of freedom, as if resamples had the spread of
    the images and its uncertainty; it holds the mean in 92 %.

    Args:
        n: Images.

    Returns:
        A share in percent, 2.5 in the limit.
    """
    tail = (100 - CONFIDENCE) / 2
    if n < 2:
        return tail
    from scipy.special import ndtr, stdtrit

    return float(100 * ndtr(math.sqrt(n / (n - 1)) * stdtrit(n - 1, tail / 100)))


def interval(resampled: Values, tail: float = (100 - CONFIDENCE) / 2) -> tuple[float, float]:
    """Return the ends of the percentile interval of values of resamples, some of them infinite.

    Args:
        resampled: The values.
        tail: What is left out on each side, in percent.
    """
    ends = [tail, 100 - tail]
    if np.isfinite(resampled).all():
        low, high = np.percentile(resampled, ends)
    else:  # not interpolated, for infinity less infinity is no number
        low, high = np.percentile(resampled, ends, method="nearest")
    return float(low), float(high)


def resampled_means(values: Floats) -> Floats:
    """Return the mean of every resample of the images, `(RESAMPLES,)`.

    Resamples of as many images are the same every time, so that what is measured on the same
    images stays paired.

    Args:
        values: One per image, at least one; infinite ones may be there, of one sign.
    """
    images = len(values)
    finite = np.isfinite(values)
    if images <= _FEW_IMAGES:
        counts: Iterable[npt.NDArray[np.uint8]] = _kept_few_counts(images)
    else:
        counts = _kept_counts(images) if images <= _KEPT_IMAGES else _counts(images)
    means = []
    for block in counts:
        # not by BLAS, whose threads are slow on a busy machine; and zero times infinity is no
        # number, so that infinite values come in where they are drawn
        sums = np.einsum("ij,j->i", block, np.where(finite, values, 0.0))
        if not finite.all():
            sums[block[:, ~finite].any(axis=1)] = values[~finite][0]
        means.append(sums / images)
    return np.concatenate(means)


def _counts(images: int) -> Iterator[npt.NDArray[np.uint8]]:
    """Yield how often each resample holds each image, `(some resamples, images)`, block by block.

    The same every time, and whatever the blocks. An image is in a resample of many a few times,
    of few never more often than there are images: a byte is enough.
    """
    rng = np.random.default_rng(0)
    rows = max(1, _BLOCK // images)
    for done in range(0, RESAMPLES, rows):
        count = min(rows, RESAMPLES - done)
        drawn = rng.integers(0, images, (count, images)) + images * np.arange(count)[:, None]
        held = np.bincount(drawn.ravel(), minlength=count * images)
        yield held.reshape(count, images).astype(np.uint8)


@lru_cache(maxsize=20)  # where errors leave cells with somewhat different numbers of images
def _kept_few_counts(images: int) -> tuple[npt.NDArray[np.uint8], ...]:
    return tuple(_counts(images))


@lru_cache(maxsize=3)
def _kept_counts(images: int) -> tuple[npt.NDArray[np.uint8], ...]:
    return tuple(_counts(images))


def wilcoxon(differences: Values) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test.

    Differences of zero say nothing and are left out; equal ones share their mean rank. Up to 50
    differences the p-value is exact, given the ranks: the share of all 2^n signs that part the
    ranks as unevenly. Beyond, it is the normal approximation with the variance for shared ranks.
    The same with every version of scipy, whose choice of method differs, and is slow with ties.

    Args:
        differences: One per image; infinite ones rank highest.

    Returns:
        In (0, 1]; 1 where nothing differs.
    """
    values = np.asarray(differences, np.float64)
    values = values[values != 0]
    if not len(values):
        return 1.0
    _, place, counts = np.unique(np.abs(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    doubled = (2 * last - counts + 1)[place]  # twice the mean rank: whole numbers
    positive, whole = int(doubled[values > 0].sum()), int(doubled.sum())
    smaller = min(positive, whole - positive)
    if len(values) <= _EXACT:
        return min(1.0, 2 * _share_below(doubled, smaller))
    deviation = math.sqrt(float((doubled.astype(np.float64) ** 2).sum())) / 2
    return math.erfc((whole / 2 - smaller) / deviation / math.sqrt(2))


def _share_below(ranks: npt.NDArray[np.int64], limit: int) -> float:
    """Return the share of all subsets of ranks whose sum is at most a limit."""
    chances = np.zeros(limit + 1)
    chances[0] = 1.0
    for rank in ranks.tolist():
        chances /= 2
        if rank <= limit:
            chances[rank:] += chances[: limit + 1 - rank].copy()
    return float(chances.sum())


def right_or_wrong(*values: Floats) -> bool:
    """Whether every image has it (1) or has it not (0), which McNemar's test is for.

    Args:
        values: By image, of any shape; NaN where there is none, which says nothing.
    """
    return all(bool(np.isin(each[~np.isnan(each)], (0, 1)).all()) for each in values)


def mcnemar(candidate: Sequence[bool] | Values, baseline: Sequence[bool] | Values) -> float:
    """Return the two-sided p-value of McNemar's exact test.

    Args:
        candidate: 1 where it is right, 0 where it is wrong, by image.
        baseline: The same of the other.

    Returns:
        The chance that as uneven a split of the images on which they differ comes from a coin;
        1 where they differ on none.
    """
    difference = np.asarray(candidate, np.float64) - np.asarray(baseline, np.float64)
    won, lost = int((difference > 0).sum()), int((difference < 0).sum())
    tail = sum(math.comb(won + lost, count) for count in range(min(won, lost) + 1))
    return float(min(1.0, 2 * tail / 2 ** (won + lost)))


def holm(p: Sequence[float]) -> list[float]:
    """Return p-values corrected for their number (Holm, Scand. J. Stat. 6, 1979), in their order.

    The chance that any of those at most 5 % is there by accident is at most 5 %, whatever the
    tests have to do with each other.
    """
    corrected = [0.0] * len(p)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        highest = max(highest, min(1.0, (len(p) - place) * p[index]))
        corrected[index] = highest
    return corrected
