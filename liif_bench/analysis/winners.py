"""Who wins where, and how sure: the model with the best mean of every metric at every scale.

That a model is the best is claimed against each of the others at once: the largest of its p-values
counts, times the number of the others, since the winner was picked after looking (if another model
is truly as good, one of them being picked and found better is one of so many events). Holm's
correction over the metrics and scales of a data set comes on top.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from liif_bench.analysis.compare import Comparison, MetricRows
from liif_bench.analysis.stats import (
    LEVEL,
    Floats,
    Paired,
    holm,
    least_p,
    mcnemar,
    paired,
    wilcoxon,
)
from liif_bench.upsamplers import TRUTH


@dataclass(frozen=True)
class Winner:
    """The best of the models by one metric at one scale.

    Attributes:
        metric: Name of the metric.
        scale: HR size / LR size.
        higher_is_better: Direction of the metric.
        regime: "in", "out" or "", of the winner at this scale.
        images: Images that every model has a value of.
        model: The one with the best mean over them; None where several share it.
        mean: The best mean.
        runner_up: The model with the next best mean; None where there is no winner.
        margin: The winner less the runner-up, paired by image.
        corrected: p-value that it is better than every other, corrected.
    """

    metric: str
    scale: float
    higher_is_better: bool
    regime: str
    images: int
    model: str | None
    mean: float
    runner_up: str | None = None
    margin: Paired | None = None
    corrected: float | None = None

    @property
    def sure(self) -> bool:
        """Whether it is better than every other by test and, than the runner-up, by interval."""
        if self.margin is None or self.corrected is None or self.corrected > LEVEL:
            return False
        return self.margin.clear


def contenders(comparison: Comparison) -> tuple[str, ...]:
    """Return the models that can win: all but HR itself, of whatever run."""
    return tuple(m for m in comparison.models if m.partition(" · ")[0] != TRUTH)


def winners(comparison: Comparison) -> list[Winner]:
    """Return the winner of every metric and scale; none of a cell that models share no image in."""
    models = contenders(comparison)
    found: list[Winner] = []
    p_values: list[float | None] = []
    for metric in comparison.metrics:
        for scale in comparison.scales:
            winner, p = _winner(comparison, metric, scale, models)
            if winner is not None:
                found.append(winner)
                p_values.append(p)
    corrected = iter(holm([p for p in p_values if p is not None]))
    return [
        winner if p is None else replace(winner, corrected=next(corrected))
        for winner, p in zip(found, p_values, strict=True)
    ]


def _winner(
    comparison: Comparison, metric: MetricRows, scale: float, models: Sequence[str]
) -> tuple[Winner | None, float | None]:
    """Return the winner of a cell and the p-value of its being better than every other."""
    values = np.stack([metric.of(scale, model) for model in models]) if models else np.empty((0, 0))
    shared = values[:, ~np.isnan(values).any(axis=0)] if len(values) else values
    if not shared.size:
        return None, None
    means = shared.mean(axis=1)
    order = np.argsort(-means if metric.higher_is_better else means, kind="stable")
    first = int(order[0])
    cell = Winner(
        metric.name, scale, metric.higher_is_better, comparison.regime(scale, models[first]),
        shared.shape[1], models[first], float(means[first]),
    )  # fmt: skip
    if len(models) == 1:
        return cell, None
    second = int(order[1])
    if means[first] == means[second]:
        return replace(cell, model=None), None
    others = [n for n in range(len(models)) if n != first]
    p = max(_p(metric, shared[first], shared[n]) for n in others)
    margin = paired(shared[first], shared[second])
    return replace(cell, runner_up=models[second], margin=margin), min(1.0, p * len(others))


def _p(metric: MetricRows, ours: Floats, theirs: Floats) -> float:
    if metric.binary:
        return mcnemar(ours, theirs)
    differences = np.zeros(len(ours))
    np.subtract(ours, theirs, out=differences, where=ours != theirs)  # two infinities are equal
    return wilcoxon(differences)


def images_needed(comparison: Comparison) -> int:
    """Return from how many images on any winner could be sure, however clear."""
    tests = len(comparison.metrics) * len(comparison.scales)
    others = max(1, len(contenders(comparison)) - 1)
    needed = math.ceil(1 + math.log2(tests * others / LEVEL))
    assert least_p(needed) * tests * others <= LEVEL
    return needed
