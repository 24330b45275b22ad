"""What a long run shows while it works: live on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from threading import Event, Thread
from typing import IO, Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import (
    BarColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from liif_bench.board import Board, Snapshot
from liif_bench.errors import LiifBenchError
from liif_bench.printable import printable
from liif_bench.reports.escape import terminal

FIRST_LINE = 10.0  # seconds after which a run that is not on a terminal says how far it is
EVERY = 30.0  # seconds between its lines from then on
_STAGES = 4  # of which the display says what they take
_WORKERS = 8  # of which it says what they are at

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

    def watch(self, board: Board) -> AbstractContextManager[None]:
        """Show a run's board until the block ends."""
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

    @contextmanager
    def watch(self, board: Board) -> Iterator[None]:
        """Show nothing; see `Progress.watch`."""
        del board
        yield

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

    @contextmanager
    def watch(self, board: Board) -> Iterator[None]:
        """Show a run; see `Progress.watch`."""
        if board.before:
            done = f"continuing: {board.before} of {board.total} cases are done"
            self.console.print(done, highlight=False)
        if board.before == board.total or self.console.quiet:
            yield
        elif self.console.is_terminal:
            with Live(
                get_renderable=lambda: live_view(board.snapshot()),
                console=self.console,
                transient=True,
            ):
                yield
        else:
            with every(FIRST_LINE, EVERY, lambda: self._say(plain_line(board.snapshot()))):
                yield

    def _say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True, highlight=False, markup=False)

    def warn(self, message: str) -> None:
        """Print a warning; see `Progress.warn`."""
        self.console.print(
            f"[yellow]warning:[/] {terminal(message)}", soft_wrap=True, highlight=False
        )


class JsonLog:
    """Writes what happens as JSON, one object per line, for programs that watch a run.

    Args:
        file: Where to; each line is flushed.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file

    def __call__(self, event: Mapping[str, Any]) -> None:
        """Write an event with the time of day (UTC).

        Raises:
            LiifBenchError: The disk is full, say, or nobody reads any more.
        """
        stamp = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        try:
            self._file.write(json.dumps({"time": stamp, **event}, ensure_ascii=False) + "\n")
            self._file.flush()
        except OSError as error:
            raise LiifBenchError(
                f"cannot write --json-log: {error.strerror}; finished cases are kept, and the same"
                " command goes on from them when this is mended"
            ) from error


@contextmanager
def logging_to(target: Path | None) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Open the log of a run for as long as the block lasts.

    Args:
        target: A file, which is appended to; "-" for standard error; None for no log.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    if target is None:
        yield lambda _: None
    elif str(target) == "-":
        yield JsonLog(sys.stderr)
    else:
        try:
            file = target.open("a", encoding="utf-8")
        except OSError as error:
            raise LiifBenchError(f"cannot write --json-log '{target}': {error.strerror}") from error
        try:
            yield JsonLog(file)
        finally:
            with suppress(OSError):  # of an event that could not be written, which has been said
                file.close()


def live_view(state: Snapshot) -> RenderableType:
    """Return a run as a terminal shows it: a bar, what is at work, what takes the time."""
    head = Table.grid(padding=(0, 1), expand=True)
    head.add_column(no_wrap=True)
    head.add_column(ratio=1)
    head.add_column(no_wrap=True)
    head.add_row(
        Text(f"{state.done} of {state.total} cases"),
        ProgressBar(total=1.0, completed=state.share),
        Text(_times(state)),
    )
    lines: list[RenderableType] = [head]
    workers = sorted(state.at_work.items())
    several = len(workers) > 1
    for number, label in workers[:_WORKERS]:
        lines.append(_line(f"{number}: {label}" if several else label))
    if len(workers) > _WORKERS:
        lines.append(_line(f"and {len(workers) - _WORKERS} more at work"))
    if costs := _costs(state):
        lines.append(_line(costs, style="dim"))
    if state.failures:
        lines.append(_line(_failures(state), style="yellow"))
    return Group(*lines)


def plain_line(state: Snapshot) -> str:
    """Return a run as one line, for where there is no terminal."""
    parts = [f"{state.done} of {state.total} cases", _times(state)]
    if state.failures:
        parts.append(_failures(state))
    if costs := _costs(state):
        parts.append(costs)
    return " · ".join(parts)


def _line(text: str, style: str = "") -> Text:
    return Text(printable(text), style=style, no_wrap=True, overflow="ellipsis")


def _times(state: Snapshot) -> str:
    left = "" if state.left is None else f", {duration(state.left)} left"
    return f"{duration(state.elapsed)}{left}"


def _failures(state: Snapshot) -> str:
    return f"{state.failures} value{'' if state.failures == 1 else 's'} missing"


def _costs(state: Snapshot) -> str:
    """Say what the costliest stages take per case, so that a slow one is seen at once."""
    if not state.measured:
        return ""
    costly = sorted(state.stages.items(), key=lambda stage: -stage[1])[:_STAGES]
    named = ", ".join(f"{name} {seconds / state.measured:.2g}" for name, seconds in costly)
    return f"s per case: {named}"


def duration(seconds: float) -> str:
    """Write seconds as people read them: 12 s, 3:05 min, 2:14 h."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d} h"


@contextmanager
def every(first: float, then: float, act: Callable[[], None]) -> Iterator[None]:
    """Do something again and again in a thread of its own, until the block ends."""
    ended = Event()

    def go() -> None:
        wait = first
        while not ended.wait(wait):
            act()
            wait = then

    thread = Thread(target=go, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
