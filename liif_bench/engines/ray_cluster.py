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
import re
import socket
import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from liif_bench.bench import Bench
from liif_bench.devices import resolve_device
from liif_bench.engines import EngineOptions, cores
from liif_bench.engines.base import Outcome, Setup, Task, Watcher
from liif_bench.engines.queue import Queue
from liif_bench.engines.work import THREAD_VARIABLES, leaner, measure, ready_bench, timed
from liif_bench.errors import LiifBenchError, one_line

_GLANCE = 1.0  # seconds between looks at what takes too long
_NO_WORKER = 300.0  # seconds without a worker after which a cluster is given up
_ANSWER = 10.0  # seconds in which a machine has to answer at an address
_STORE = 512 << 20  # bytes that a cluster of ours may hold results in; the rest goes to disk

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray would call its makers
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # else a notice about what this changes
}
_OWN = {"RAY_prestart_worker_first_driver": "0"}  # ours are not of those that Ray starts ahead

_ours: weakref.finalize[..., Any] | None = None  # ends the connection that this module made last


@dataclass(frozen=True)
class RayEngine:
    """Measures on a Ray cluster, once.

    Attributes:
        workers: How many.
        threads: Of PyTorch, per worker; so many CPUs are asked for.
        gpus: That each worker asks for, such as 0.5.
        case_limit: Seconds that a case may take; its worker is ended then, and the case is an
            error. None for no limit.
    """

    workers: int
    threads: int
    gpus: float = 0.0
    case_limit: float | None = None
    name: str = "ray"

    def outcomes(
        self, bench: Bench, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure tasks on the cluster; see `Engine.outcomes`."""
        import ray

        on_gpus = setup.plan.device.startswith("cuda")
        if on_gpus and not self.gpus:
            raise LiifBenchError(
                "the run is on CUDA, and its workers ask Ray for no GPU: add --gpus-per-worker 1"
                " (or less, for several on one), or --device cpu"
            )
        if self.gpus and not on_gpus:
            raise LiifBenchError(
                f"--gpus-per-worker {self.gpus:g} and the device"
                f" '{setup.plan.device}' do not fit: run where there is a GPU, or leave it out"
            )
        device = "cuda" if on_gpus else setup.plan.device  # Ray shows each worker its own GPU
        plan = setup.plan.model_copy(update={"device": device})
        setup = replace(setup, plan=plan, threads=self.threads)
        crew = _Crew(self, _Post.of(setup, tasks), Queue(bench, tasks, self.workers), watcher, ray)
        try:
            yield from crew.run()
        finally:
            crew.end()
            ours = _ours
            if ours is not None and (held := ours.peek()) is not None and held[0] is self:
                ours()


def make_ray(options: EngineOptions) -> RayEngine:
    """Connect to a cluster, or make one of this machine, and plan the workers.

    A connection that the program has made before is used as it is, and kept. One made here ends
    with the outcomes of the engine, or with the engine, and with it a cluster of this machine.

    Raises:
        LiifBenchError: Ray is not installed, the cluster does not answer or has no room.
    """
    gpus = options.gpus_per_worker or 0.0
    if gpus > 1 and gpus != int(gpus):
        raise LiifBenchError(f"--gpus-per-worker {gpus:g}: give a whole number, or less than 1")
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ImportError as error:
        raise LiifBenchError(
            "--engine ray needs ray, which is not installed: pip install 'liif-bench[ray]'"
        ) from error
    if _ours is not None:
        _ours()
    before = ray.is_initialized()
    if not before:
        _connect(options.ray_address)
    try:
        nodes = ray.nodes()
        engine = _plan(options, gpus, nodes, alone=not before and not options.ray_address)
    except LiifBenchError:
        if not before:
            ray.shutdown()
        raise
    if not before:
        _leave_with(engine)
    return engine


def _leave_with(engine: RayEngine) -> None:
    """End the connection with its engine, also where that never gets to measure."""
    import ray

    global _ours
    _ours = weakref.finalize(engine, ray.shutdown)


def _connect(address: str | None) -> None:
    """Connect to the cluster at an address; make one of this machine where None.

    Raises:
        LiifBenchError: There is none, or it is of another version.
    """
    import ray

    own: dict[str, Any] = {"address": address}
    if address is None:
        for name, value in _OWN.items():
            os.environ.setdefault(name, value)
        own = {
            "address": "local",
            "num_cpus": cores(),
            "object_store_memory": _STORE,
            "include_dashboard": False,
        }
    else:
        _check_answer(address)
    try:
        ray.init(log_to_driver=False, logging_level=logging.CRITICAL, **own)
    except Exception as error:  # of many kinds, from many layers
        where = f"--ray-address {address}" if address else "this machine"
        raise LiifBenchError(
            f"there is no Ray cluster to be had at {where}: {one_line(error)}"
        ) from error


def _check_answer(address: str) -> None:
    """Check that somebody listens at HOST:PORT, which Ray would wait minutes for.

    Raises:
        LiifBenchError: Nobody does, or it is no address.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        raise LiifBenchError(f"--ray-address {address}: give 'auto' or HOST:PORT")
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise LiifBenchError(
            f"no Ray cluster answers at --ray-address {address} ({one_line(error)}): start one with"
            " 'ray start --head', whose output names its address"
        ) from error


def _plan(
    options: EngineOptions, gpus: float, nodes: Sequence[Mapping[str, Any]], *, alone: bool
) -> RayEngine:
    """Fit the workers into a cluster.

    Args:
        options: What was asked for.
        gpus: Per worker.
        nodes: The machines, as Ray lists them.
        alone: Whether the cluster is of this machine and for this run only.

    Raises:
        LiifBenchError: There is no room.
    """
    has = [node["Resources"] for node in nodes if node["Alive"]]
    cpus = sum(each.get("CPU", 0) for each in has)
    threads = options.threads or 1
    if alone and options.workers and not options.threads:
        threads = max(1, int(cpus) // options.workers)
    room = sum(_room(each, threads, gpus) for each in has)
    workers = options.workers or room
    if not room or workers > room:
        raise LiifBenchError(
            f"the Ray cluster has {cpus:g} CPUs and {sum(each.get('GPU', 0) for each in has):g}"
            f" GPUs: room for {room} workers of {threads} CPUs and {gpus:g} GPUs each, not for"
            f" {options.workers or 1}; give other --workers, --threads or --gpus-per-worker"
        )
    return RayEngine(workers, threads, gpus, options.case_limit)


def _room(has: Mapping[str, float], threads: int, gpus: float) -> int:
    """Return how many workers a machine has room for; parts of two GPUs do not make one."""
    room = math.floor(has.get("CPU", 0) / threads)
    if not gpus:
        return room
    count = math.floor(has.get("GPU", 0))
    fit = count * math.floor(1 / gpus + 1e-9) if gpus < 1 else math.floor(count / gpus)
    return min(room, fit)


@dataclass(frozen=True)
class _Post:
    """What a worker needs to know of the run before its first case.

    Attributes:
        setup: What is measured.
        folder: Where the run was started; names of files may be relative to it.
        files: Some that the run sees, one of each data set.
        version: Of liif-bench, where the run was started.
    """

    setup: Setup
    folder: str
    files: tuple[str, ...]
    version: str

    @classmethod
    def of(cls, setup: Setup, tasks: Sequence[Task]) -> _Post:
        from liif_bench import __version__

        seen: dict[str, str] = {}
        for task in tasks:
            path = task.item.hr_path
            # What has to be made is made wherever it is missing.
            if task.dataset not in seen and task.item.make is None and path.exists():
                seen[task.dataset] = str(path.absolute())
        return cls(setup, str(Path.cwd()), tuple(seen.values()), __version__)

    def enter(self) -> None:
        """Go to the run's folder and check that this machine can measure for it.

        Raises:
            LiifBenchError: It has another version of liif-bench, or lacks the data.
        """
        from liif_bench import __version__

        host = socket.gethostname()
        if __version__ != self.version:
            raise LiifBenchError(
                f"liif-bench is {__version__} on '{host}' and {self.version} where the run was"
                " started: install one version on all machines"
            )
        for file in self.files:
            if not Path(file).exists():
                raise LiifBenchError(
                    f"'{host}' does not see '{file}': all machines of the Ray cluster need the data"
                    " at the same path"
                )
        if Path(self.folder).is_dir():
            os.chdir(self.folder)


class _Actor:
    """What a worker on the cluster is."""

    def __init__(self, post: _Post) -> None:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        self._post = post

    def ready(self) -> str:
        """Load what cases are measured with; return the name of the machine.

        Raises:
            LiifBenchError: A part cannot be loaded.
        """
        self._post.enter()
        resolve_device(self._post.setup.plan.device)
        self._bench = ready_bench(self._post.setup)
        return socket.gethostname()

    def measure(self, task: Task, share: int) -> Outcome:
        """Measure a task with a share of the memory."""
        return measure(timed(leaner(self._bench, share)), task)


def _end_with(parent: int) -> None:
    """End this process when its parent, Ray on this machine, ends.

    Ray's workers look for that too, but only know it if process 1 has become their parent. In the
    sessions of many desktops and containers another process has.
    """
    while os.getppid() == parent:
        time.sleep(_GLANCE)
    os._exit(1)


@dataclass
class _Hand:
    """A worker, and what it is at."""

    number: int
    actor: Any
    future: Any
    host: str = ""  # its machine, once it is ready
    task: Task | None = None
    begun: float = 0.0


@dataclass
class _Crew:
    """The workers of a run."""

    engine: RayEngine
    post: _Post
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
            if any(hand.host for hand in self.hands):
                alone_since = time.monotonic()
            elif time.monotonic() - alone_since > _NO_WORKER:
                raise LiifBenchError(
                    f"no worker has started on the Ray cluster in {_NO_WORKER:g} s: is it busy, or"
                    " has it lost its machines? The same command goes on later"
                )

    def end(self) -> None:
        for hand in list(self.hands):
            self._let_go(hand)

    def _start(self, number: int) -> None:
        environment = {
            # As `liif_bench.__main__` has it.
            "OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE"),
            **dict.fromkeys(THREAD_VARIABLES, str(self.engine.threads)),
        }
        actor = (
            self.ray.remote(_Actor)
            .options(
                num_cpus=self.engine.threads,
                num_gpus=self.engine.gpus,
                max_restarts=0,  # what is lost is begun again by us, with less memory
                runtime_env={"env_vars": environment},
            )
            .remote(self.post)
        )
        self.hands.append(_Hand(number, actor, actor.ready.remote()))
        self.watcher.step(number, "starting")

    def _hear(self, hand: _Hand) -> Iterator[Outcome]:
        """Take what a worker has done, or its loss."""
        from ray.exceptions import RayError, RayTaskError

        try:
            heard = self.ray.get(hand.future)
        except RayTaskError as error:
            if isinstance(error.cause, LiifBenchError):
                raise LiifBenchError(one_line(error.cause)) from error
            raise
        except RayError as error:  # the worker, its machine, or what it has handed over
            yield from self._lose(hand, _said(error))
            return
        task, hand.task = hand.task, None
        if task is None:
            hand.host = heard
            self.queue.started()
        self._give(hand)
        if task is not None:
            yield replace(heard, task=task, worker=hand.number)

    def _give(self, hand: _Hand) -> None:
        """Give a worker its next task, or let it go."""
        taken = self.queue.take()
        if taken is None:
            for each in [each for each in self.hands if each is hand or not each.host]:
                self._let_go(each)  # with it those that have not started, if there is no need
            return
        hand.task, share = taken
        hand.begun = time.monotonic()
        hand.future = hand.actor.measure.remote(hand.task, share)
        self.watcher.step(hand.number, hand.task.label)

    def _let_go(self, hand: _Hand) -> None:
        self.ray.kill(hand.actor)
        self.hands.remove(hand)
        self.watcher.idle(hand.number)

    def _hurry(self) -> Iterator[Outcome]:
        """End the workers that have taken too long for their case, which is an error then."""
        limit = self.engine.case_limit
        if limit is None:
            return
        for hand in list(self.hands):
            if hand.task is not None and time.monotonic() - hand.begun > limit:
                task, hand.task = hand.task, None
                reason = f"took longer than {limit:g} s, at {task.label} on {hand.host}"
                yield from self._lose(hand, reason)
                yield self.queue.given_up(task, reason)

    def _lose(self, hand: _Hand, reason: str) -> Iterator[Outcome]:
        """Put another worker in the place of one that is lost, and its task back."""
        self._let_go(hand)  # whatever is left of it
        outcome = None
        if hand.host:
            said = f"{reason}, at {hand.task.label} on {hand.host}" if hand.task else reason
            self.watcher.warn(f"worker {hand.number} ended, {said}")
        else:
            said = reason
            self.queue.lost_at_start(said)
        if hand.task is not None:
            outcome = self.queue.lost(hand.task, said)
        if self.queue:
            self._start(hand.number)
        if outcome is not None:
            yield outcome


_LOSSES = {
    r"node has died|node was (?:removed|terminated)": "its machine is lost",
    r"running low on memory": "Ray ended it because its machine was low on memory",
    r"temporarily unavailable|[Oo]wner has exited|object is lost": "it does not answer any more",
    r"orker (?:process has died|exit type|unexpectedly exits)": "its process ended",
}


def _said(error: Exception) -> str:
    """Return in some words what Ray says of a loss, which is a page."""
    text = one_line(error)
    if missing := re.search(r"(?:ModuleNotFound|Import)Error: .*?(?= At:| Traceback|$)", text):
        return missing[0][:200]
    for pattern, words in _LOSSES.items():
        if re.search(pattern, text):
            return words
    return text.partition(". ")[0][:200]
