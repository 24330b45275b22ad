"""What a plan will take, from the costs of its parts as they were measured on a stated machine.

The costs stand in `costs.toml`, fitted by `benchmarks/fit_costs.py` to the seconds that finished
cases spent in every stage: so many per case, per megapixel of LR and per megapixel of HR.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from liif_bench.datasets import load_dataset
from liif_bench.engines import EngineOptions, cores
from liif_bench.engines.base import largest_first, tasks_of
from liif_bench.shards import Shard
from liif_bench.shipped import read_toml, validate_file
from liif_bench.suite import Plan

HERE = Path(__file__).parent / "costs.toml"

Coefficients = tuple[float, float, float]
"""Seconds per case, per megapixel of LR, per megapixel of HR."""


class Costs(BaseModel):
    """Seconds of every part, on one machine.

    Attributes:
        machine: Where they were measured, in words.
        threads: Of PyTorch, per worker.
        start: Seconds until a worker measures its first case.
        between: Seconds of the driver per case: its line in the journal, onto the disk.
        models: By model as named on the command line.
        metrics: By metric.
        case: Of a case alone: reading it and making LR.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: str
    threads: int
    start: float
    between: float
    case: Coefficients
    models: Mapping[str, Coefficients]
    metrics: Mapping[str, Coefficients]


@dataclass(frozen=True)
class Estimate:
    """A plan, and what it will take.

    Attributes:
        plan: What is measured.
        engine: Name of the engine.
        workers: Cases at work at a time.
        images: Of each data set.
        cases: How many there are.
        seconds: Predicted of each case, in the plan's order.
        shares: Predicted seconds in all, by part.
        unknown: Models and metrics that nothing is known of, and that `seconds` lack.
        wall: Predicted seconds from start to end, on so many workers.
        costs: What was predicted from.
    """

    plan: Plan
    engine: str
    workers: int
    images: Mapping[str, int]
    cases: int
    seconds: Sequence[float]
    shares: Mapping[str, float]
    unknown: tuple[str, ...]
    wall: float
    costs: Costs


@cache
def shipped_costs() -> Costs:
    """Return the costs that travel with the package."""
    return validate_file(Costs, HERE, read_toml(HERE), "file of costs")


def estimate(
    plan: Plan,
    engine: EngineOptions | None = None,
    shard: Shard | None = None,
    costs: Costs | None = None,
) -> Estimate:
    """Predict what a plan will take.

    Args:
        plan: What is measured.
        engine: Where; this process where None.
        shard: The part of the plan; all of it where None.
        costs: Of the machine; those that travel with the package where None.

    Raises:
        LiifBenchError: A data set cannot be opened.
    """
    known = costs or shipped_costs()
    options = engine or EngineOptions()
    datasets = [load_dataset(spec, plan.data_root).limited(plan.limit) for spec in plan.datasets]
    tasks = tasks_of(datasets, plan.scales)
    if shard is not None:
        tasks = shard.part(tasks)
    parts = _parts(known, plan.models, plan.metrics)
    sizes = [(task.megapixels / task.scale**2, task.megapixels) for task in tasks]
    seconds = [sum(_cost(each, *size) for each in parts.values()) for size in sizes]
    shares = {name: sum(_cost(each, *size) for size in sizes) for name, each in parts.items()}
    predicted = dict(zip((task.number for task in tasks), seconds, strict=True))
    names = (*plan.models, *plan.metrics)
    workers = options.workers or (1 if options.name == "local" else cores())
    return Estimate(
        plan=plan,
        engine=options.name,
        workers=workers,
        images={dataset.name: len(dataset.items) for dataset in datasets},
        cases=len(tasks),
        seconds=seconds,
        shares=shares,
        unknown=tuple(name for name in names if name not in parts),
        wall=makespan([predicted[task.number] for task in largest_first(tasks)], workers, known),
        costs=known,
    )


def makespan(seconds: Iterable[float], workers: int, costs: Costs) -> float:
    """Return how long cases take on so many workers that each take the next one when they are free.

    The driver writes one case after the other, so that beyond some number of workers it is the
    driver that decides.

    Args:
        seconds: Of each case, in the order in which they are begun.
        workers: How many, each on its own cores.
        costs: Time to start and between cases.

    Returns:
        Seconds.
    """
    free = [costs.start] * workers
    ends = []
    for each in seconds:
        ends.append(heapq.heappop(free) + each)
        heapq.heappush(free, ends[-1])
    written = costs.start
    for end in sorted(ends):
        written = max(written, end) + costs.between
    return written


def case_seconds(
    costs: Costs, models: Sequence[str], metrics: Sequence[str], lr: float, hr: float
) -> float:
    """Return the seconds of a case; what nothing is known of counts nothing.

    Args:
        costs: Of the machine.
        models: As named on the command line.
        metrics: Each of which looks at every model's output.
        lr: Megapixels of LR.
        hr: Megapixels of HR.
    """
    return sum(_cost(each, lr, hr) for each in _parts(costs, models, metrics).values())


def _parts(costs: Costs, models: Sequence[str], metrics: Sequence[str]) -> dict[str, Coefficients]:
    """Return what the known parts of a case cost, by name."""
    known = {"reading and making LR": costs.case}
    known |= {model: costs.models[model] for model in models if model in costs.models}
    return known | {
        metric: _times(costs.metrics[metric], len(models))
        for metric in metrics
        if metric in costs.metrics
    }


def _times(coefficients: Coefficients, factor: int) -> Coefficients:
    """Return coefficients times a number: a metric looks at every model's output."""
    per_case, per_lr, per_hr = coefficients
    return (factor * per_case, factor * per_lr, factor * per_hr)


def _cost(coefficients: Coefficients, lr: float, hr: float) -> float:
    per_case, per_lr, per_hr = coefficients
    return per_case + per_lr * lr + per_hr * hr
