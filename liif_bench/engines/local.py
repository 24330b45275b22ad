"""The engine of one process: a case at a time, while a thread makes the next one."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import torch

from liif_bench.bench import Bench
from liif_bench.engines.base import Outcome, Setup, Task, Watcher
from liif_bench.engines.work import measure, timed
from liif_bench.evaluate import Prepared, prepare


@dataclass(frozen=True)
class Local:
    """Measures in this process.

    Attributes:
        wanted_threads: Of PyTorch; its own choice, one per core, where None.
    """

    wanted_threads: int | None = None
    name: str = "local"
    workers: int = 1

    @property
    def threads(self) -> int:
        """Of PyTorch."""
        return self.wanted_threads or torch.get_num_threads()

    def outcomes(
        self, bench: Bench, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure one task after the other; see `Engine.outcomes`."""
        del setup
        before = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        maker = ThreadPoolExecutor(1)

        def begin(task: Task) -> tuple[Task, Bench, Future[Prepared]]:
            own = timed(bench)
            return task, own, maker.submit(prepare, own, task.item, task.scale)

        begun = map(begin, tasks)
        try:
            coming = next(begun, None)
            while coming is not None:
                task, own, future = coming
                watcher.step(0, task.label)
                start = time.perf_counter()
                prepared = future.result()
                waited = time.perf_counter() - start
                coming = next(begun, None)  # one case ahead, and no more
                yield measure(
                    own, task, prepared, on_step=lambda step: watcher.step(0, step), waited=waited
                )
            watcher.idle(0)
        finally:
            maker.shutdown(wait=False, cancel_futures=True)
            torch.set_num_threads(before)
