"""The board of a run: what is done, what is at work and what it costs, for whoever shows it.

The harness writes on it and displays read it, each at its own pace and from any thread.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from liif_bench.profile import add_stages

_REMEMBERED = 200  # finished cases that the pace is taken from


@dataclass(frozen=True)
class Snapshot:
    """What stands on a board at one moment.

    Attributes:
        total: Cases of the run.
        done: Those that are measured, before and now.
        before: Those that were measured before this command.
        failures: Records without a value that should have one.
        elapsed: Seconds since the command began to measure.
        left: Seconds that the rest will take at the pace of late; None while that is unknown.
        at_work: What each worker is at, by its number.
        stages: Seconds by stage, over all workers.
    """

    total: int
    done: int
    before: int
    failures: int
    elapsed: float
    left: float | None
    at_work: Mapping[int, str]
    stages: Mapping[str, float]

    @property
    def measured(self) -> int:
        """Cases measured by this command."""
        return self.done - self.before

    @property
    def share(self) -> float:
        """Share of the cases that are done, [0, 1]."""
        return self.done / self.total if self.total else 1.0


@dataclass
class Board:
    """Where the state of a run stands; safe to use from several threads.

    Attributes:
        total: Cases of the run.
        before: Those that were measured before.
        cost: What the others cost together, in any unit.
        warned: Told what must be seen.
        heard: Told of each event as a dict, for a log.
    """

    total: int
    before: int
    cost: float
    warned: Callable[[str], None] = lambda _: None
    heard: Callable[[Mapping[str, Any]], None] = lambda _: None
    _failures: int = 0
    _measured: int = 0
    _spent: float = 0.0
    _at_work: dict[int, str] = field(default_factory=dict)
    _stages: dict[str, float] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _start: float = field(default_factory=time.monotonic)
    _pace: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))

    def __post_init__(self) -> None:
        self._pace.append((self._start, 0.0))

    def step(self, worker: int, label: str) -> None:
        """A worker begins something."""
        with self._lock:
            self._at_work[worker] = label

    def idle(self, worker: int) -> None:
        """A worker has nothing to do any more."""
        with self._lock:
            self._at_work.pop(worker, None)

    def warn(self, message: str) -> None:
        """Something must be seen."""
        self.warned(message)
        self.heard({"event": "warning", "message": message})

    def finished(
        self, label: str, cost: float, seconds: float, failures: int, stages: Mapping[str, float]
    ) -> None:
        """A case has been measured and written.

        Args:
            label: What people are shown of it.
            cost: Its share of the board's cost.
            seconds: That it took its worker.
            failures: Its records without a value that should have one.
            stages: Its seconds by stage.
        """
        with self._lock:
            self._measured += 1
            self._spent += cost
            self._failures += failures
            add_stages(self._stages, stages)
            self._pace.append((time.monotonic(), self._spent))
            done = self.before + self._measured
        self.heard(
            {
                "event": "case",
                "case": label,
                "seconds": round(seconds, 3),
                "failures": failures,
                "done": done,
                "total": self.total,
            }
        )

    def snapshot(self) -> Snapshot:
        """Return what stands here now."""
        with self._lock:
            now = time.monotonic()
            (then, before), (_, spent) = self._pace[0], self._pace[-1]
            left = None
            if spent > before:
                left = max(0.0, (self.cost - spent) * (now - then) / (spent - before))
            return Snapshot(
                total=self.total,
                done=self.before + self._measured,
                before=self.before,
                failures=self._failures,
                elapsed=now - self._start,
                left=left,
                at_work=dict(self._at_work),
                stages=dict(self._stages),
            )
