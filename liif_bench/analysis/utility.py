"""Are realistic enlargements better training data? Tried with small classifiers, after REAL.

REAL (arXiv 2502.10663) trains on generated images that a realism score ranks. Here the crops of a
run are ranked, and a small classifier is trained on frozen features of a few real images and of K
enlarged crops per kind: the top K, K at random, the bottom K, or none. It is tested on untouched HR
of other images. The top crops show other things than the bottom ones, too. Three more arms show the
images of the random crops: as their best crops, as their worst, and as HR, a ceiling.

A trial deals the images out anew: some to test on, some to begin with, the rest a pool. Means are
over trials. Intervals are about what other images would have given: images are drawn again, with
replacement, and dealt out several times each; see `interval`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.stats import norm

from liif_bench.analysis.linear import Floats, Ints, macro_f1, train
from liif_bench.analysis.stats import CONFIDENCE, Estimate
from liif_bench.datasets.kinds import kind_of, kinds
from liif_bench.downstream import EMBEDDINGS
from liif_bench.errors import LiifBenchError, unknown_name
from liif_bench.records import Run
from liif_bench.upsamplers import TRUTH

RANKED = ("top", "random", "bottom", "best", "worst")
"""Arms of enlarged crops."""

ARMS = ("none", *RANKED, "real")

AGAINST = "random"
SCORES = ("realism", "dists", "lpips")
"""What ranks crops unless it is said: the first of them that the run holds."""

SEEDS = 200
CROPS = 2
BASE = 1
TEST_SHARE = 0.4
LEAST = 6  # images of a kind: 2 to test on, 1 to begin with, 3 in the pool
RESAMPLES = 100
DEALS = 20
POWER = 0.8

_MOST_DRAWS = 1000


@dataclass(frozen=True)
class Pool:
    """Labelled images with their enlarged crops, as features of one encoder.

    Attributes:
        dataset: Its name.
        encoder: What made the features.
        score: The metric that ranks crops.
        scales: Of the crops.
        kinds: Names of the classes.
        labels: `(n,)` class of each image.
        real: `(n, C)` features of HR.
        owner: `(m,)` image of each crop, ascending.
        made: `(m, C)` features of the crops.
        realism: `(m,)` score of the crops, negated where lower is better; within an image
            descending.
        higher_is_better: Direction of the score.
        sources: `(m,)` model and scale of the crops.
        left_out: Kinds with too few images.
    """

    dataset: str
    encoder: str
    score: str
    scales: tuple[float, ...]
    kinds: tuple[str, ...]
    labels: Ints
    real: Floats
    owner: Ints
    made: Floats
    realism: Floats
    higher_is_better: bool
    sources: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @cached_property
    def first(self) -> Ints:
        """`(n,)` the best crop of each image."""
        return np.searchsorted(self.owner, np.arange(len(self.labels)))

    @cached_property
    def versions(self) -> Ints:
        """`(n,)` how many crops each image has."""
        return np.bincount(self.owner, minlength=len(self.labels))

    @cached_property
    def members(self) -> tuple[Ints, ...]:
        """The images of each kind."""
        return tuple(np.flatnonzero(self.labels == kind) for kind in range(len(self.kinds)))


@dataclass(frozen=True)
class Deal:
    """Images dealt out; one that was drawn several times stands on one side as often.

    Attributes:
        base: Real images that every classifier begins with.
        pool: Images whose crops can be chosen.
        test: Images that classifiers are tested on.
    """

    base: Ints
    pool: Ints
    test: Ints


def deal(pool: Pool, copies: Ints, rng: np.random.Generator) -> Deal:
    """Deal images out, kind by kind.

    Args:
        pool: The images.
        copies: `(n,)` how often each was drawn; three of each kind at least once.
        rng: What shuffles them.
    """
    parts: tuple[list[Ints], ...] = ([], [], [])
    for members in pool.members:
        order = rng.permutation(members[copies[members] > 0])
        tests = max(1, round(TEST_SHARE * len(order)))
        ends = (tests, tests + BASE)
        for part, mine in zip(parts, np.split(order, ends), strict=True):
            part.append(np.repeat(mine, copies[mine]))
    test, base, rest = (np.concatenate(part) for part in parts)
    return Deal(base, rest, test)


@dataclass(frozen=True)
class Choice:
    """What is added to the base.

    Attributes:
        crops: Of `Pool.made`, by arm.
        real: Images whose HR is added.
    """

    crops: Mapping[str, Ints]
    real: Ints


def choose(pool: Pool, images: Ints, crops: int, rng: np.random.Generator) -> Choice:
    """Choose crops of each kind, at most one of an image.

    Top takes the best crop of each image, and of these the best; bottom the worst of the worst;
    random any of the crops of images that are drawn; best, worst and real show the same images.

    Args:
        pool: The crops.
        images: Those whose crops can be chosen.
        crops: How many of each kind; fewer where a kind has not so many images.
        rng: What draws, and orders crops of one score.
    """
    taken: dict[str, list[Ints]] = {arm: [] for arm in (*RANKED, "real")}
    for kind in range(len(pool.kinds)):
        mine = rng.permutation(images[pool.labels[images] == kind])
        best = pool.first[mine]
        worst = best + pool.versions[mine] - 1
        any_one = best + rng.integers(0, pool.versions[mine])
        ascending = np.argsort(pool.realism[worst], kind="stable")
        descending = np.argsort(-pool.realism[best], kind="stable")
        taken["top"].append(best[descending[:crops]])
        taken["bottom"].append(worst[ascending[:crops]])
        taken["random"].append(any_one[:crops])
        taken["best"].append(best[:crops])
        taken["worst"].append(worst[:crops])
        taken["real"].append(mine[:crops])
    joined = {arm: np.concatenate(parts) for arm, parts in taken.items()}
    return Choice({arm: joined[arm] for arm in RANKED}, joined["real"])


@dataclass(frozen=True)
class Trial:
    """What one deal gave.

    Attributes:
        f1: `(arms,)` macro-F1 by arm, in the order of `ARMS`.
        choice: What was trained on beside the base.
    """

    f1: Floats
    choice: Choice


def trial(pool: Pool, copies: Ints, crops: int, rng: np.random.Generator) -> Trial:
    """Deal images out, train a classifier for each arm, and test it on HR.

    Args:
        pool: Images and crops.
        copies: `(n,)` how often each image was drawn.
        crops: How many are added of each kind.
        rng: What deals and draws.
    """
    dealt = deal(pool, copies, rng)
    choice = choose(pool, dealt.pool, crops, rng)
    count = len(pool.kinds)
    added = [*(pool.made[choice.crops[arm]] for arm in RANKED), pool.real[choice.real]]
    owners = [*(pool.owner[choice.crops[arm]] for arm in RANKED), choice.real]
    base = pool.real[dealt.base]
    bare = train(base, pool.labels[dealt.base], count)
    grown = train(
        np.stack([np.concatenate([base, features]) for features in added]),
        np.stack([pool.labels[np.concatenate([dealt.base, each])] for each in owners]),
        count,
    )
    tested, truth = pool.real[dealt.test], pool.labels[dealt.test]
    said = (bare.classes(tested), *grown.classes(tested))
    return Trial(np.array([macro_f1(truth, each, count) for each in said]), choice)


@dataclass(frozen=True)
class Utility:
    """How useful crops are as training data.

    Attributes:
        pool: What was trained on.
        crops: How many were added of each kind.
        seeds: Trials on the images as they are.
        f1: Mean macro-F1 by arm, with its interval.
        differences: By arm, from random; paired by trial.
        scores: Mean score of the chosen crops by arm, as the metric gives it.
        chosen: Share of each model and scale among them, by arm.
    """

    pool: Pool
    crops: int
    seeds: int
    f1: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    scores: Mapping[str, float]
    chosen: Mapping[str, Mapping[str, float]]


def inconclusive(difference: Estimate) -> bool:
    """Whether the interval of a difference holds 0."""
    return difference.low <= 0 <= difference.high


def detectable(difference: Estimate) -> float:
    """Return the true difference that so many images would show in 80 % of the cases.

    Two-sided, at the level of the interval, if the difference were normal with the spread that the
    interval was made of.
    """
    spread = (difference.high - difference.low) / 2 / _quantile()
    return float(spread * (_quantile() + norm.ppf(POWER)))


def _quantile() -> float:
    return float(norm.ppf(0.5 + CONFIDENCE / 200))


def interval(values: Floats, resampled: Floats, images: int) -> Estimate:
    """Return a mean over trials, with the 95 % interval of what other images would have given.

    Its variance has two parts: that of the expected value between resamples of the images, and
    what is left of the chance of dealing after so many trials. The first is found as in a one-way
    analysis of variance with random effects: the variance of the means of resamples, less what
    dealing adds to them. It is taken one standard error larger, for so few resamples could by
    chance say that other images do not matter. The interval is normal, about the mean on the images
    as they are, for resamples hold fewer different images, and so their values lie lower.

    Args:
        values: `(trials,)` on the images as they are.
        resampled: `(resamples, deals)`.
        images: How many there are.
    """
    count, deals = resampled.shape
    whole = float(resampled.mean(axis=1).var(ddof=1))
    within = float(resampled.var(axis=1, ddof=1).mean())
    between = max(whole - within / deals, 0.0) + whole * math.sqrt(2 / (count - 1))
    spread = math.sqrt(between + float(values.var(ddof=1)) / len(values))
    mean, reach = float(values.mean()), _quantile() * spread
    return Estimate(mean, mean - reach, mean + reach, images)


def resample(pool: Pool, rng: np.random.Generator) -> Ints:
    """Draw images of each kind, one fewer than there are, with replacement.

    One fewer, for else the variance of a kind's mean would come out too small by that share (Rao
    and Wu, Journal of the American Statistical Association 83, 1988). Draws with fewer than three
    different images of a kind cannot be dealt out, and are drawn again.

    Returns:
        `(n,)` how often each was drawn.
    """
    copies = np.zeros(len(pool.labels), dtype=np.int64)
    for members in pool.members:
        for _ in range(_MOST_DRAWS):
            picks = rng.integers(0, len(members), len(members) - 1)
            drawn = np.bincount(picks, minlength=len(members))
            if np.count_nonzero(drawn) >= BASE + 2:
                break
        copies[members] = drawn
    return copies


def measure_utility(
    pool: Pool,
    *,
    seeds: int = SEEDS,
    crops: int = CROPS,
    resamples: int = RESAMPLES,
    advance: Callable[[int], None] = lambda _: None,
) -> Utility:
    """Train and test small classifiers.

    Args:
        pool: Images and crops.
        seeds: Trials on the images as they are, 3 or more.
        crops: How many crops are added of each kind.
        resamples: Of the images, for the intervals; each is dealt out `DEALS` times.
        advance: Told after each trial that one more is done.
    """
    everyone = np.ones(len(pool.labels), dtype=np.int64)
    trials = []
    for seed in range(seeds):
        trials.append(trial(pool, everyone, crops, np.random.default_rng([0, seed])))
        advance(1)
    resampled = np.empty((resamples, DEALS, len(ARMS)))
    for number in range(resamples):
        rng = np.random.default_rng([1, number])
        copies = resample(pool, rng)
        for place in range(DEALS):
            resampled[number, place] = trial(pool, copies, crops, rng).f1
            advance(1)
    values = np.array([each.f1 for each in trials])
    images = len(pool.labels)
    base = ARMS.index(AGAINST)
    sign = 1 if pool.higher_is_better else -1
    picks = {arm: np.concatenate([each.choice.crops[arm] for each in trials]) for arm in RANKED}
    return Utility(
        pool,
        crops,
        seeds,
        {
            arm: interval(values[:, place], resampled[..., place], images)
            for place, arm in enumerate(ARMS)
        },
        {
            arm: interval(
                values[:, place] - values[:, base],
                resampled[..., place] - resampled[..., base],
                images,
            )
            for place, arm in enumerate(ARMS)
            if arm != AGAINST
        },
        {arm: sign * float(pool.realism[taken].mean()) for arm, taken in picks.items()},
        {arm: _shares(pool, taken) for arm, taken in picks.items()},
    )


def _shares(pool: Pool, crops: Ints) -> dict[str, float]:
    counts = Counter(pool.sources[crop] for crop in crops)
    return {source: counts[source] / len(crops) for source in dict.fromkeys(pool.sources)}


def pools(run: Run, score: str | None = None) -> list[Pool]:
    """Read images and crops from a run.

    Args:
        run: With the model `hr`, others, labels, a metric `embedding:ENCODER`, and one that ranks.
        score: The metric that ranks crops; the first of `SCORES` that the run holds where None.

    Returns:
        For each data set and encoder one of all scales, and one of each where there are several.

    Raises:
        LiifBenchError: The run lacks something of it, or fewer than two kinds have enough images.
    """
    rows = run.details(EMBEDDINGS)
    if rows.empty:
        raise LiifBenchError(
            f"'{run.path}' holds no features to train on: run 'liif-bench run utility' first"
        )
    metric = _score(run, score)
    records = run.records
    ranked = records[(records["metric"] == metric) & records["value"].notna()]
    places = ["dataset", "item", "scale", "upsampler"]
    rows = rows.merge(ranked[[*places, "value", "higher_is_better"]], on=places, how="left")
    found = []
    for (dataset, encoder), mine in rows.groupby(["dataset", "encoder"], sort=False):
        scales = sorted(float(scale) for scale in mine["scale"].unique())
        for some in [scales, *([scale] for scale in scales if len(scales) > 1)]:
            chosen = mine[mine["scale"].isin(some)]
            found.append(_pool(run, str(dataset), str(encoder), metric, tuple(some), chosen))
    return found


def _score(run: Run, score: str | None) -> str:
    measured = [str(name) for name in run.records["metric"].unique()]
    if score is not None:
        if score not in measured:
            raise unknown_name("metric of the run", score, measured)
        return score
    for name in SCORES:
        if name in measured:
            return name
    raise LiifBenchError(
        f"'{run.path}' holds none of {', '.join(SCORES)}: name a metric of it with --score"
    )


def _pool(
    run: Run,
    dataset: str,
    encoder: str,
    metric: str,
    scales: tuple[float, ...],
    rows: pd.DataFrame,
) -> Pool:
    rows = rows.assign(kind=[kind_of(str(labels).split()) for labels in rows["labels"]])
    rows = rows[rows["kind"].notna()]
    truth = rows[rows["upsampler"] == TRUTH].drop_duplicates("item").set_index("item")
    crops = rows[
        (rows["upsampler"] != TRUTH) & rows["value"].notna() & rows["item"].isin(truth.index)
    ]
    truth = truth[truth.index.isin(crops["item"])].sort_index()
    counts = truth["kind"].value_counts()
    there = [kind.name for kind in kinds() if kind.name in counts.index]
    enough = [kind for kind in there if counts[kind] >= LEAST]
    if len(enough) < 2:
        raise LiifBenchError(
            f"'{run.path}' cannot be trained on: two kinds of images with {LEAST} or more of each,"
            f" the model '{TRUTH}' and others with a value of {metric} are needed on '{dataset}'"
        )
    truth = truth[truth["kind"].isin(enough)]
    number = {item: place for place, item in enumerate(truth.index)}
    crops = crops[crops["item"].isin(number)]
    higher = bool(crops["higher_is_better"].iloc[0])
    realism = crops["value"].to_numpy(np.float64) * (1 if higher else -1)
    owner = np.array([number[item] for item in crops["item"]])
    order = np.lexsort((-realism, owner))
    sources = [
        f"{model} x{scale:g}"
        for model, scale in zip(crops["upsampler"], crops["scale"], strict=True)
    ]
    return Pool(
        dataset=dataset,
        encoder=encoder,
        score=metric,
        scales=scales,
        kinds=tuple(enough),
        labels=np.array([enough.index(kind) for kind in truth["kind"]]),
        real=_matrix(truth["embedding"]),
        owner=owner[order],
        made=_matrix(crops["embedding"])[order],
        realism=realism[order],
        higher_is_better=higher,
        sources=tuple(sources[place] for place in order),
        left_out=tuple(kind for kind in there if kind not in enough),
    )


def _matrix(lists: Sequence[Sequence[float]]) -> Floats:
    return np.array([*map(np.asarray, lists)], dtype=np.float64)
