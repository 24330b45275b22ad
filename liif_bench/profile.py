"""Where the time of a run goes: wall seconds by stage. Imports torch on a CUDA device only."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock, local

READING = "reading images"
MAKING_LR = "making LR"
WAITING = "waiting for images"
ELSE = "else"

BACKGROUND = (READING, MAKING_LR)
"""Stages that a run goes through in a thread of its own while the case before is measured."""


def encode_stage(upsampler: str) -> str:
    """Return the name of the stage in which an upsampler encodes."""
    return f"{upsampler}: encode"


def render_stage(upsampler: str) -> str:
    """Return the name of the stage in which an upsampler renders."""
    return f"{upsampler}: render"


def add_stages(total: dict[str, float], more: Mapping[str, float]) -> None:
    """Add seconds by stage to others."""
    for name, seconds in more.items():
        total[name] = total.get(name, 0.0) + seconds


class Stopwatch:
    """Sums wall seconds by stage; threads may share one.

    Args:
        device: Where networks run. A CUDA device is waited for at the end of a stage, since what
            it was given goes on after the call.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.device = device
        self._cuda = device if device.startswith("cuda") else None
        self._seconds: dict[str, float] = {}
        self._lock = Lock()
        self._thread = local()

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time within towards a stage, also where it ends in an error.

        What a stage within it takes is counted to that one alone.
        """
        outer: list[float] | None = getattr(self._thread, "inner", None)
        inner: list[float] = []
        self._thread.inner = inner
        start = time.perf_counter()
        try:
            yield
        finally:
            if self._cuda is not None and name not in BACKGROUND:  # which use the CPU alone
                import torch

                torch.cuda.synchronize(self._cuda)
            seconds = time.perf_counter() - start
            self._thread.inner = outer
            if outer is not None:
                outer.append(seconds)
            self.add(name, seconds - sum(inner))

    def add(self, name: str, seconds: float) -> None:
        """Count seconds towards a stage."""
        with self._lock:
            self._seconds[name] = self._seconds.get(name, 0.0) + seconds

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds by stage, in the order in which the stages first ended."""
        with self._lock:
            return dict(self._seconds)

    @property
    def foreground(self) -> float:
        """Seconds of all stages that took the run's own time; see `BACKGROUND`."""
        return sum(seconds for name, seconds in self.seconds.items() if name not in BACKGROUND)
