"""The engine of many machines: stateful workers of a Ray cluster.

Every worker is an actor that loads the upsamplers once. A case is given to a worker when it has
finished the one before, so that no more are in flight than there are workers, and what Ray has to
hold stays flat. Images are named by path, so that every machine has to see the data at the same
place; results come back through Ray. What is lost with a worker or a machine is begun again
elsewhere.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from liif_bench.bench import Bench
from liif_bench.engines import EngineOptions
from liif_bench.engines.base import Outcome, Setup, Task, Watcher
from liif_bench.engines.queue import Queue
from liif_bench.engines.work import THREAD_VARIABLES, leaner, measure, ready_bench, timed
from liif_bench.errors import LiifBenchError, one_line

_GLANCE = 1.0  # seconds between looks at what takes too long
_NO_WORKER = 120.0  # seconds after which a cluster without a single worker is given up


@dataclass(frozen=True)
class RayEngine:
    """Measures on a Ray cluster.

    Attributes:
        workers: How many.
        threads: Of PyTorch, per worker; so many CPUs are asked for.
        address: Of the cluster; one of this machine, ended with the run, where None.
        gpus: That each worker asks for, such as 0.5.
        case_limit: Seconds that a case may take; its worker is ended then, and the case is an
            error. None for no limit.
    """

    workers: int
    threads: int
    address: str | None = None
    gpus: float = 0.0
    case_limit: float | None = None
    name: str = "ray"

    def outcomes(
        self, bench: Bench, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure tasks on the cluster; see `Engine.outcomes`."""
        import ray

        queue = Queue(bench, tasks, self.workers)
        crew = _Crew(self, replace(setup, threads=self.threads), queue, watcher, ray)
        try:
            yield from crew.run()
        finally:
            crew.end()
            ray.shutdown()


def make_ray(options: EngineOptions) -> RayEngine:
    """Connect to a cluster, or make one of this machine, and plan the workers.

    Raises:
        LiifBenchError: Ray is not installed, the cluster does not answer or has no room.
    """
    try:
        import ray
    except ImportError as error:
        raise LiifBenchError(
            "--engine ray needs ray, which is not installed: pip install 'liif-bench[ray]'"
        ) from error
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would call its makers
    try:
        ray.init(
            address=options.ray_address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if options.ray_address is None else None,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise LiifBenchError(
            f"no Ray cluster answers at --ray-address {options.ray_address}: {one_line(error)}"
        ) from error
    has: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    threads = options.threads or 1
    gpus = options.gpus_per_worker or 0.0
    room = math.floor(has.get("CPU", 0) / threads)
    if gpus:
        room = min(room, math.floor(has.get("GPU", 0) / gpus + 1e-9))
    workers = options.workers or room
    if not room or workers > room:
        ray.shutdown()
        raise LiifBenchError(
            f"the Ray cluster has {has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs: room"
            f" for {room} workers of {threads} CPUs and {gpus:g} GPUs, not {workers}; give other"
            " --workers, --threads or --gpus-per-worker"
        )
    return RayEngine(workers, threads, options.ray_address, gpus, options.case_limit)


class _Actor:
    """What a worker on the cluster is."""

    def __init__(self, setup: Setup) -> None:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
        self._setup = setup

    def ready(self) -> None:
        """Load what cases are measured with.

        Raises:
            LiifBenchError: A part cannot be loaded.
        """
        self._bench = ready_bench(self._setup)

    def measure(self, task: Task, share: int) -> Outcome:
        """Measure a task with a share of the memory."""
        bench = self._bench if share == 1 else leaner(self._bench, share)
        return measure(timed(bench), task)


@dataclass
class _Hand:
    """A worker, and what it is at."""

    number: int
    actor: Any
    future: Any
    task: Task | None = None
    begun: float = 0.0


@dataclass
class _Crew:
    """The workers of a run."""

    engine: RayEngine
    setup: Setup
    queue: Queue
    watcher: Watcher
    ray: Any
    hands: list[_Hand] = field(default_factory=list)

    def run(self) -> Iterator[Outcome]:
        for number in range(min(self.engine.workers, len(self.queue))):
            self._start(number)
        alone_since = time.monotonic()
        while self.hands:
            futures = [hand.future for hand in self.hands]
            done, _ = self.ray.wait(futures, num_returns=1, timeout=_GLANCE)
            for future in done:
                hand = next(each for each in self.hands if each.future == future)
                yield from self._hear(hand)
            yield from self._hurry()
            if done or any(hand.task for hand in self.hands):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _NO_WORKER:
                raise LiifBenchError(
                    f"no worker has started on the Ray cluster in {_NO_WORKER:g} s: is it busy, or"
                    " has it lost its machines? The same command goes on later"
                )

    def end(self) -> None:
        for hand in self.hands:
            self.ray.kill(hand.actor)
        self.hands.clear()

    def _start(self, number: int) -> None:
        environment = dict.fromkeys(THREAD_VARIABLES, str(self.engine.threads))
        actor = (
            self.ray.remote(_Actor)
            .options(
                num_cpus=self.engine.threads,
                num_gpus=self.engine.gpus,
                max_restarts=0,  # what is lost is begun again by us, with less memory
                runtime_env={"env_vars": environment},
            )
            .remote(self.setup)
        )
        self.hands.append(_Hand(number, actor, actor.ready.remote()))
        self.watcher.step(number, "starting")

    def _hear(self, hand: _Hand) -> Iterator[Outcome]:
        """Take what a worker has done, or its loss."""
        from ray.exceptions import RayActorError, RayTaskError, TaskCancelledError

        try:
            outcome = self.ray.get(hand.future)
        except (RayActorError, TaskCancelledError) as error:
            yield from self._lose(hand, _said(error))
            return
        except RayTaskError as error:
            if isinstance(error.cause, LiifBenchError):
                raise error.cause from error
            raise
        task, hand.task = hand.task, None
        self.queue.started()
        self._give(hand)
        if task is not None:
            yield replace(outcome, task=task, worker=hand.number)

    def _give(self, hand: _Hand) -> None:
        """Give a worker its next task, or let it go."""
        taken = self.queue.take()
        if taken is None:
            self.ray.kill(hand.actor)
            self.hands.remove(hand)
            self.watcher.idle(hand.number)
            return
        hand.task, share = taken
        hand.begun = time.monotonic()
        hand.future = hand.actor.measure.remote(hand.task, share)
        self.watcher.step(hand.number, hand.task.label)

    def _hurry(self) -> Iterator[Outcome]:
        """End the workers that have taken too long for their case, which is an error then."""
        limit = self.engine.case_limit
        if limit is None:
            return
        for hand in list(self.hands):
            if hand.task is not None and time.monotonic() - hand.begun > limit:
                task, hand.task = hand.task, None
                self.ray.kill(hand.actor)
                reason = f"took longer than {limit:g} s"
                yield from self._lose(hand, reason)
                yield self.queue.given_up(task, reason)

    def _lose(self, hand: _Hand, said: str) -> Iterator[Outcome]:
        """Put another worker in the place of one that is lost, and its task back."""
        self.hands.remove(hand)
        outcome = None
        if hand.task is None:
            self.queue.lost_at_start(said)
            self.watcher.warn(f"worker {hand.number} is lost, {said}")
        else:
            self.watcher.warn(f"worker {hand.number} is lost, {said}, at {hand.task.label}")
            outcome = self.queue.lost(hand.task, said)
        if self.queue:
            self._start(hand.number)
        else:
            self.watcher.idle(hand.number)
        if outcome is not None:
            yield outcome


def _said(error: Exception) -> str:
    """Return the first sentence of what Ray says of a loss, which is a page long."""
    return one_line(error).partition(". ")[0][:200]
