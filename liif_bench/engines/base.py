"""What an engine is: it measures cases somewhere and hands back what came of each, in any order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from liif_bench.bench import Bench
from liif_bench.datasets.base import Dataset, Item
from liif_bench.errors import LiifBenchError
from liif_bench.examples import Picture
from liif_bench.records import CaseKey, CaseRows
from liif_bench.suite import Plan


@dataclass(frozen=True)
class Task:
    """A case to be measured.

    Attributes:
        number: Its place in the plan, from 0.
        dataset: Name of the data set.
        item: The image.
        scale: HR size / LR size.
        keep: Whether example crops are cut.
    """

    number: int
    dataset: str
    item: Item
    scale: float
    keep: bool = False

    @property
    def key(self) -> CaseKey:
        """What the journal calls it."""
        return (self.dataset, self.item.name, self.scale)

    @property
    def label(self) -> str:
        """What people are shown."""
        return f"{self.item.name} x{self.scale:g}"

    @cached_property
    def megapixels(self) -> float:
        """Megapixels of HR, for which its file is opened; something small where that fails."""
        try:
            return self.item.pixels / 1e6
        except LiifBenchError:
            return 0.01


def tasks_of(
    datasets: Iterable[Dataset],
    scales: Sequence[float],
    keep: Callable[[CaseKey], bool] = lambda _: False,
) -> list[Task]:
    """Return the tasks of a plan in its order: data sets, their images, the scales of each.

    Args:
        datasets: As the plan limits them.
        scales: HR size / LR size.
        keep: Whether example crops are cut of a case.
    """
    cases = (
        (dataset.name, item, scale)
        for dataset in datasets
        for item in dataset.items
        for scale in scales
    )
    return [
        Task(number, dataset, item, scale, keep((dataset, item.name, scale)))
        for number, (dataset, item, scale) in enumerate(cases)
    ]


def largest_first(tasks: Iterable[Task]) -> list[Task]:
    """Return tasks in the order in which several workers begin them, so that none ends alone.

    Equally large ones keep their order.
    """
    return sorted(tasks, key=lambda task: -task.megapixels)


@dataclass(frozen=True)
class Outcome:
    """What came of a task.

    Attributes:
        task: Which one.
        rows: Its records and what metrics keep beside them.
        pictures: Its example crops.
        stages: Wall seconds by stage; see `liif_bench.profile`.
        seconds: Wall seconds in all, where it was measured.
        peak_rss: Most memory that the measuring process has had resident, in bytes; 0 if unknown.
        worker: Which of the engine's workers measured it, from 0.
    """

    task: Task
    rows: CaseRows
    pictures: tuple[Picture, ...] = ()
    stages: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    peak_rss: int = 0
    worker: int = 0


@dataclass(frozen=True)
class Setup:
    """What a worker elsewhere needs to make the same bench.

    Attributes:
        run: Name of the run.
        plan: What is measured, its device resolved.
        broken: Why metrics cannot be computed, by name, as the run found it at its start.
        threads: Of PyTorch and of numerical libraries, per worker; None for all cores.
    """

    run: str
    plan: Plan
    broken: Mapping[str, str]
    threads: int | None = None


class Watcher(Protocol):
    """Told what the workers are at; see `liif_bench.board.Board`."""

    def step(self, worker: int, label: str) -> None:
        """A worker begins something."""
        ...

    def idle(self, worker: int) -> None:
        """A worker has nothing to do any more."""
        ...

    def warn(self, message: str) -> None:
        """Something must be seen."""
        ...


class Engine(Protocol):
    """Where cases are measured.

    Attributes:
        name: As on the command line.
        workers: How many cases are at work at a time.
        threads: Of PyTorch, per worker.
    """

    @property
    def name(self) -> str:
        """As on the command line."""
        ...

    @property
    def workers(self) -> int:
        """How many cases are at work at a time."""
        ...

    @property
    def threads(self) -> int:
        """Of PyTorch, per worker."""
        ...

    def outcomes(
        self, bench: Bench, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure tasks and yield what came of each, exactly once, as they finish.

        Closing the generator ends whatever is still at work.

        Args:
            bench: Ready to measure with in this process.
            setup: What makes the same bench elsewhere.
            tasks: In the order of the plan; they may be begun in another.
            watcher: Told what goes on.

        Raises:
            LiifBenchError: No worker can be started.
        """
        ...


Step = Callable[[str], None]
"""Told what is begun."""
