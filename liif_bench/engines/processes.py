"""The engine of one machine: workers in processes of their own, any of which may be lost.

Each worker has its own pipe, so that one which is killed at any moment, at work or not, takes
nothing of the others with it; that is what the standard library's pools do not promise.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from liif_bench.bench import Bench
from liif_bench.engines.base import Outcome, Setup, Task, Watcher
from liif_bench.engines.queue import Queue
from liif_bench.engines.work import (
    THREAD_VARIABLES,
    leaner,
    measure,
    ready_bench,
    resident,
    timed,
)
from liif_bench.errors import LiifBenchError, one_line
from liif_bench.suite import Plan

_READY, _STEP, _DONE, _REFUSED, _BROKEN = "ready", "step", "done", "refused", "broken"
_FAREWELL = 5.0  # seconds that a worker with nothing to do may take to end
_LONGEST_START = 900.0  # seconds; torch from a busy network disk takes minutes


@dataclass(frozen=True)
class Processes:
    """Measures in worker processes on this machine.

    Attributes:
        workers: How many.
        threads: Of PyTorch, per worker.
        case_limit: Seconds that a case may take; its worker is ended then, and the case is an
            error. None for no limit.
        most_rss: Bytes that a worker may have resident after a case; it is replaced then.
    """

    workers: int
    threads: int
    case_limit: float | None = None
    most_rss: int | None = None
    name: str = "processes"

    def outcomes(
        self, bench: Bench, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure tasks in workers; see `Engine.outcomes`."""
        pool = _Pool(self, setup, Queue(bench, tasks, self.workers), watcher)
        try:
            yield from pool.run()
        finally:
            pool.end()


@dataclass
class _Worker:
    """A process, and what it is at."""

    number: int
    process: BaseProcess
    pipe: Connection
    begun: float
    ready: bool = False
    task: Task | None = None
    last: str = "starting"


@dataclass
class _Pool:
    """The workers of a run."""

    engine: Processes
    setup: Setup
    queue: Queue
    watcher: Watcher
    workers: list[_Worker] = field(default_factory=list)

    def run(self) -> Iterator[Outcome]:
        for number in range(min(self.engine.workers, len(self.queue))):
            self._start(number)
        while self.workers:
            for pipe in wait([worker.pipe for worker in self.workers], self._patience()):
                worker = next(each for each in self.workers if each.pipe is pipe)
                yield from self._hear(worker)
            yield from self._hurry()

    def end(self) -> None:
        for worker in self.workers:
            worker.process.kill()
        for worker in self.workers:
            worker.process.join()
            worker.pipe.close()
        self.workers.clear()

    def _start(self, number: int) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        setup = replace(self.setup, plan=_on_a_gpu(self.setup, number), threads=self.engine.threads)
        process = context.Process(
            target=_serve, args=(theirs, setup), daemon=True, name=f"liif-bench worker {number}"
        )
        try:
            with _environment(self.engine.threads):
                process.start()
        except OSError as error:
            ours.close()
            raise LiifBenchError(
                f"cannot start worker {number}: {error.strerror}: try fewer --workers, or"
                " --engine local"
            ) from error
        finally:
            theirs.close()
        self.workers.append(_Worker(number, process, ours, begun=time.monotonic()))
        self.watcher.step(number, "starting")

    def _hear(self, worker: _Worker) -> Iterator[Outcome]:
        """Take what a worker says; nothing but the end of its pipe if it is lost."""
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._lose(worker, "")
            return
        if kind == _STEP:
            worker.last = content
            self.watcher.step(worker.number, content)
        elif kind == _READY:
            worker.ready = True
            self.queue.started()
            self._give(worker)
        elif kind == _REFUSED:
            raise LiifBenchError(content)
        elif kind == _BROKEN:
            raise RuntimeError(f"in worker {worker.number}, at {worker.last}:\n{content}")
        else:
            outcome, rss = content
            task, worker.task = worker.task, None
            if task is None:
                raise RuntimeError("a worker answered what it was not asked")
            if self.engine.most_rss is not None and rss > self.engine.most_rss and self.queue:
                self._replace(worker, rss)
            else:
                self._give(worker)
            yield replace(outcome, task=task, worker=worker.number)

    def _give(self, worker: _Worker) -> None:
        """Give a worker its next task, or let it go."""
        taken = self.queue.take()
        if taken is None:
            self._dismiss(worker)
            return
        worker.task = taken[0]
        worker.begun, worker.last = time.monotonic(), worker.task.label
        with suppress(OSError):  # it is gone, which its pipe will say
            worker.pipe.send(taken)

    def _dismiss(self, worker: _Worker) -> None:
        with suppress(OSError):
            worker.pipe.send(None)
        worker.process.join(_FAREWELL)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        self.watcher.idle(worker.number)

    def _replace(self, worker: _Worker, rss: int) -> None:
        self.watcher.warn(
            f"worker {worker.number} held {rss / 2**30:.1f} GiB after a case, and was replaced"
        )
        self._dismiss(worker)
        self._start(worker.number)

    def _limit(self, worker: _Worker) -> float:
        """Return the seconds that a worker may take for what it is at."""
        if not worker.ready:
            return _LONGEST_START
        limit = self.engine.case_limit if worker.task else None
        return math.inf if limit is None else limit

    def _patience(self) -> float | None:
        """Return the seconds until a worker has taken too long; None for ever."""
        end = min(worker.begun + self._limit(worker) for worker in self.workers)
        return None if math.isinf(end) else max(0.0, end - time.monotonic())

    def _hurry(self) -> Iterator[Outcome]:
        """End the workers that have taken too long; a case at which one has is an error then."""
        for worker in list(self.workers):
            limit = self._limit(worker)
            if time.monotonic() - worker.begun <= limit:
                continue
            task, worker.task = worker.task, None
            worker.process.kill()
            reason = f"took longer than {limit:g} s"
            yield from self._lose(worker, reason)
            if task is not None:
                yield self.queue.given_up(task, f"{reason}, at {worker.last}")

    def _lose(self, worker: _Worker, reason: str) -> Iterator[Outcome]:
        """Put another worker in the place of one that has ended, and its task back."""
        worker.process.join()
        worker.pipe.close()
        self.workers.remove(worker)
        said = f"{reason or _end_of(worker.process)}, at {worker.last}"
        if worker.ready:
            self.watcher.warn(f"worker {worker.number} ended, {said}")
        else:
            self.queue.lost_at_start(said)
        outcome = None if worker.task is None else self.queue.lost(worker.task, said)
        if self.queue:
            self._start(worker.number)
        else:
            self.watcher.idle(worker.number)
        if outcome is not None:
            yield outcome


def _end_of(process: BaseProcess) -> str:
    """Say how a process ended."""
    code = process.exitcode
    if code is not None and code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    return f"exit code {code}"


def _on_a_gpu(setup: Setup, number: int) -> Plan:
    """Return the plan of a worker: on a GPU of its own where there are several."""
    plan = setup.plan
    count = torch.cuda.device_count() if plan.device == "cuda" else 0
    return plan.model_copy(update={"device": f"cuda:{number % count}"}) if count > 1 else plan


@contextmanager
def _environment(threads: int) -> Iterator[None]:
    """Have processes that are started within use so many threads."""
    before = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _serve(pipe: Connection, setup: Setup) -> None:
    """What a worker does: measure what it is given until there is nothing more, or no run."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, which ends its workers
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    try:
        bench = ready_bench(setup)
    except Exception as error:
        pipe.send((_REFUSED, one_line(error)))
        return
    with suppress(EOFError, OSError):  # the run is gone
        pipe.send((_READY, None))
        while (given := pipe.recv()) is not None:
            task, share = given
            own = timed(leaner(bench, share))
            try:
                outcome = measure(own, task, on_step=lambda step: pipe.send((_STEP, step)))
            except Exception:  # a mistake of ours: what the user may do wrong is in the records
                pipe.send((_BROKEN, traceback.format_exc()))
                return
            pipe.send((_DONE, (outcome, resident())))


def _end_with_the_run() -> None:
    """End this process when the one that started it ends, however that ends."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
