"""The tasks that are not finished, and what becomes of those whose workers are lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from liif_bench.bench import Bench
from liif_bench.engines.base import Outcome, Task, largest_first
from liif_bench.engines.work import failed
from liif_bench.errors import LiifBenchError

ATTEMPTS = 3
"""How often a task is begun whose workers are lost, each time with half the memory."""


class Queue:
    """Tasks in the order in which they are begun, the largest first.

    Args:
        bench: What makes the records of a task that cannot be measured.
        tasks: All of them, in the order of the plan.
        workers: How many there are.
    """

    def __init__(self, bench: Bench, tasks: Iterable[Task], workers: int) -> None:
        self._bench = bench
        self._waiting = deque(largest_first(tasks))
        self._workers = workers
        self._losses: dict[int, int] = {}
        self._lost_at_start = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self) -> tuple[Task, int] | None:
        """Return the next task and the share of memory to begin it with: 1, 2 for half, 4."""
        if not self._waiting:
            return None
        task = self._waiting.popleft()
        return task, int(2 ** self._losses.get(task.number, 0))

    def started(self) -> None:
        """A worker is ready."""
        self._lost_at_start = 0

    def lost_at_start(self, said: str) -> None:
        """A worker ended before it was ready.

        Raises:
            LiifBenchError: They all do.
        """
        self._lost_at_start += 1
        if self._lost_at_start >= ATTEMPTS * self._workers:
            raise LiifBenchError(
                f"workers end while they start ({said}): try fewer --workers, or --engine local"
            )

    def lost(self, task: Task, said: str) -> Outcome | None:
        """Put a task back whose worker ended.

        Args:
            task: Which.
            said: How its worker ended, and where.

        Returns:
            None where it is begun again; what came of it where that has been tried often enough.
        """
        times = self._losses[task.number] = self._losses.get(task.number, 0) + 1
        if times < ATTEMPTS:
            self._waiting.appendleft(task)
            return None
        return failed(self._bench, task, f"its worker ended {times} times, {said}")

    def given_up(self, task: Task, reason: str) -> Outcome:
        """Return what came of a task that is not begun again."""
        return failed(self._bench, task, reason)
