"""What a long run shows while it works: a rich bar on a terminal, nothing otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from liif_bench.printable import printable
from liif_bench.reports.escape import terminal

Advance = Callable[[str, float], None]
"""Told a label and the cost that has been done since the last call (0: only the label is new)."""


class Progress(Protocol):
    """Where a run's progress goes."""

    def cases(self, total: int, waiting: int, cost: float) -> AbstractContextManager[Advance]:
        """Open the display of a run.

        Args:
            total: Cases of the plan.
            waiting: Those that are not yet measured.
            cost: What they cost together, in any unit.
        """
        ...

    def warn(self, message: str) -> None:
        """Say something that must be seen."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def cases(self, total: int, waiting: int, cost: float) -> Iterator[Advance]:
        """Open nothing; see `Progress.cases`."""
        del total, waiting, cost
        yield lambda _label, _cost: None

    def warn(self, message: str) -> None:
        """Say nothing; see `Progress.warn`."""


silent: Progress = Silent()


class Bars:
    """Shows a bar with the case at work and the time left, on the console's stream."""

    def __init__(self, console: Console) -> None:
        self.console = console

    @contextmanager
    def cases(self, total: int, waiting: int, cost: float) -> Iterator[Advance]:
        """Show one bar; see `Progress.cases`."""
        if waiting < total:
            done = f"continuing: {total - waiting} of {total} cases are done"
            self.console.print(done, highlight=False)
        if not waiting:
            yield lambda _label, _cost: None
            return
        columns = (
            TextColumn("{task.description:<32.32}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        with RichProgress(
            *columns, console=self.console, transient=True, speed_estimate_period=600
        ) as bars:
            task = bars.add_task("starting", total=cost)
            yield lambda label, done: bars.update(task, description=printable(label), advance=done)

    def warn(self, message: str) -> None:
        """Print a warning; see `Progress.warn`."""
        self.console.print(
            f"[yellow]warning:[/] {terminal(message)}", soft_wrap=True, highlight=False
        )
