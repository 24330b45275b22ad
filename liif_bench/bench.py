"""The bench of a run: the upsamplers and metrics that every case is measured with, made ready."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from liif_bench.errors import LiifBenchError
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Identified, Metric
from liif_bench.profile import Stopwatch, encode_stage, render_stage
from liif_bench.protocol import Protocol
from liif_bench.suite import LEAST_MEMORY, Plan
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import DEFAULT_MEMORY, Options, Upsampler
from liif_bench.weights.fetch import ensure
from liif_bench.weights.registry import lookup

Notice = Callable[[str], None]


@dataclass(frozen=True)
class Bench:
    """What every case of a run is measured with.

    Attributes:
        run: Name of the run, for the records.
        suite: Name of the suite, for the records.
        suite_version: Version of the suite, for the records.
        protocol: How cases are made and scored.
        upsamplers: Ready to encode.
        metrics: Ready to score.
        broken: Why a metric cannot be computed in this run, by name.
        seed: Set before each case.
        stopwatch: Counts the time of every stage.
        leaner: Makes an upsampler, by its place, that holds at most so many bytes; None where none
            can be made.
        memory: Bytes that each upsampler may hold beyond LR and its output.
    """

    run: str
    suite: str
    suite_version: int
    protocol: Protocol
    upsamplers: tuple[Upsampler, ...]
    metrics: tuple[Metric, ...]
    broken: Mapping[str, str]
    seed: int
    stopwatch: Stopwatch = field(default_factory=Stopwatch, compare=False)
    leaner: Callable[[int, int], Upsampler] | None = field(default=None, compare=False)
    memory: int = DEFAULT_MEMORY

    def with_less_memory(self, place: int, memory: int) -> Upsampler | None:
        """Return an upsampler again that holds at most half of what it did.

        Args:
            place: Which of `upsamplers`.
            memory: Bytes that it could hold.

        Returns:
            It, loaded anew; None where it cannot be made or half would be too little for a network.
        """
        half = memory // 2
        if self.leaner is None or half < LEAST_MEMORY:
            return None
        try:
            return self.leaner(place, half)
        except LiifBenchError:
            return None


def load_bench(
    name: str,
    plan: Plan,
    notice: Notice = lambda _: None,
    *,
    broken: Mapping[str, str] | None = None,
) -> Bench:
    """Load everything that a plan measures with.

    Args:
        name: Name of the run.
        plan: Says which upsamplers and metrics, its device resolved.
        notice: Told in one line before somebody else's code is run and where weights are missing.
        broken: Why metrics cannot be computed, by name, as a bench of the same run found it; their
            weights are looked for where None.

    Raises:
        LiifBenchError: An upsampler cannot be loaded, or two parts would have one name. A metric
            whose weights cannot be had is broken, not fatal.
    """
    memory = DEFAULT_MEMORY if plan.memory is None else plan.memory

    def upsampler(place: int, memory: int, notice: Notice = lambda _: None) -> Upsampler:
        options = Options.under(plan.protocol.network, plan.device, memory)
        return load_upsampler(plan.models[place], options, notice)

    upsamplers = tuple(upsampler(place, memory, notice) for place in range(len(plan.models)))
    _check_distinct("models", upsamplers, ": rename a checkpoint file, or add ?name=")
    metrics = tuple(load_metric(metric, plan.device) for metric in plan.metrics)
    _check_distinct("metrics", metrics)
    return Bench(
        run=name,
        suite=plan.suite,
        suite_version=plan.suite_version,
        protocol=plan.protocol,
        upsamplers=upsamplers,
        metrics=metrics,
        broken=_broken(metrics, plan.protocol, notice) if broken is None else broken,
        seed=plan.seed,
        stopwatch=Stopwatch(plan.device),
        leaner=upsampler,
        memory=memory,
    )


def network_stages(bench: Bench) -> list[str]:
    """Return the stages that a network works in: its encoder, decoder or a metric's own."""
    upsamplers = [upsampler.name for upsampler in bench.upsamplers if upsampler.weights]
    metrics = [
        metric.name
        for metric in bench.metrics
        if metric.needs(bench.protocol) or _identified(metric, bench)
    ]
    return [stage(name) for name in upsamplers for stage in (encode_stage, render_stage)] + metrics


def registered_weights(bench: Bench) -> dict[str, str]:
    """Return the SHA-256 of everything of the registry and the upsamplers that is read, by id."""
    of_models = {u.weights.id: u.weights.sha256 for u in bench.upsamplers if u.weights}
    of_metrics = {
        weights_id: lookup(weights_id).sha256
        for metric in bench.metrics
        if metric.name not in bench.broken
        for weights_id in metric.needs(bench.protocol)
    }
    return of_models | of_metrics


def foreign_weights(bench: Bench) -> dict[str, str]:
    """Return the SHA-256 of what metrics read beyond the registry, by name.

    Raises:
        LiifBenchError: Something of it cannot be read.
    """
    return dict(chain.from_iterable(_identified(each, bench).items() for each in bench.metrics))


def _identified(metric: Metric, bench: Bench) -> Mapping[str, str]:
    return metric.identify(bench.protocol) if isinstance(metric, Identified) else {}


def _broken(metrics: Sequence[Metric], protocol: Protocol, notice: Notice) -> dict[str, str]:
    """Return why metrics cannot be computed whose weights cannot be had, by name."""
    needed = {metric.name: metric.needs(protocol) for metric in metrics}
    unavailable: dict[str, str] = {}
    for weights_id in dict.fromkeys(chain.from_iterable(needed.values())):
        try:
            ensure(weights_id)
        except LiifBenchError as error:
            unavailable[weights_id] = str(error)
            notice(str(error))
    return {
        metric: next(unavailable[each] for each in ids if each in unavailable)
        for metric, ids in needed.items()
        if unavailable.keys() & set(ids)
    }


def _check_distinct(kind: str, parts: Sequence[Upsampler | Metric], remedy: str = "") -> None:
    """Refuse parts whose rows could not be told apart."""
    name, count = Counter(part.name for part in parts).most_common(1)[0]
    if count > 1:
        raise LiifBenchError(f"two {kind} would be called '{name}'{remedy}")
