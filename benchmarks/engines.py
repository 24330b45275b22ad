"""What the engines cost and what they gain.

    python benchmarks/engines.py overhead [--cases 10000]
    LIIF_BENCH_DATA=... python benchmarks/engines.py ratio [--repeats 3] [--scales 2,4]

`overhead`: a run of so many cases, 16x16 pixels each, of an upsampler that does nothing. What the
driver adds to a case is the wall time of measuring less the workers' own seconds, per case; `local`
and one worker of `processes`, since several workers share the driver's time among them. Of it the
journal (making the line, writing it, fsync) is shown apart; with workers it goes on while they
measure. The driver's resident memory is read when a tenth, a half and all of the cases are done.

`ratio`: LIIF-EDSR with LPIPS on Set5 under `liif-benchmark`, as commands: `local` with
one thread and with two, and two workers of one thread each. The whole command, and from the begin
of the first case to the end of the last one. The best of the repeats, which take turns.

Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from liif_bench.engines.base import Engine, Outcome, Setup, Task, Watcher
from liif_bench.engines.local import Local
from liif_bench.engines.processes import Processes
from liif_bench.engines.work import resident
from liif_bench.harness import run_plan
from liif_bench.records import Journal
from liif_bench.suite import make_plan

SCALES = [1.5 + 0.25 * step for step in range(8)]
PACKAGE = """
import torch


class Nothing:
    name, training_scales, weights, settings = "nothing", None, None, {}

    def encode(self, lr):
        return self

    def render(self, size, window=None):
        return torch.zeros(3, *size)


def make(options, argument=""):
    return Nothing()
"""
WAYS = {
    "`local`, 1 thread": ("--engine", "local", "--threads", "1"),
    "`local`, 2 threads": ("--engine", "local", "--threads", "2"),
    "`processes`, 2 workers of 1 thread": (
        "--engine", "processes", "--workers", "2", "--threads", "1",
    ),
}  # fmt: skip


@dataclass
class Watched:
    """An engine, with a note of what its outcomes took.

    Attributes:
        engine: It.
        marks: Numbers of outcomes at which the memory is read.
        own: Seconds of the workers.
        driver: Seconds between outcomes: writing them and whatever the harness does.
        begun: When the first case began.
        ended: When the last outcome had been written.
        memory: Bytes that the driver had resident, by the number of outcomes.
    """

    engine: Engine
    marks: Sequence[int]
    own: float = 0.0
    driver: float = 0.0
    begun: float = 0.0
    ended: float = 0.0
    memory: dict[int, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As on the command line."""
        return self.engine.name

    @property
    def workers(self) -> int:
        """How many cases are at work at a time."""
        return self.engine.workers

    @property
    def threads(self) -> int:
        """Of PyTorch, per worker."""
        return self.engine.threads

    def outcomes(
        self, bench: object, setup: Setup, tasks: Sequence[Task], watcher: Watcher
    ) -> Generator[Outcome, None, None]:
        """Measure tasks; see `Engine.outcomes`."""
        for number, outcome in enumerate(self.engine.outcomes(bench, setup, tasks, watcher), 1):
            self.begun = self.begun or time.perf_counter() - outcome.seconds
            self.own += outcome.seconds
            before = time.perf_counter()
            yield outcome
            self.ended = time.perf_counter()
            self.driver += self.ended - before
            if number in self.marks:
                self.memory[number] = resident()


class TimedJournal:
    """Counts the time of `Journal.append`, and of fsync within it."""

    def __init__(self) -> None:
        self.seconds = self.fsync = 0.0
        self._append, self._fsync = Journal.append, os.fsync

    def __enter__(self) -> TimedJournal:
        def append(*given: object, **named: object) -> object:
            os.fsync = fsync
            before = time.perf_counter()
            try:
                return self._append(*given, **named)
            finally:
                self.seconds += time.perf_counter() - before
                os.fsync = self._fsync

        def fsync(descriptor: int) -> None:
            before = time.perf_counter()
            self._fsync(descriptor)
            self.fsync += time.perf_counter() - before

        Journal.append = append
        return self

    def __exit__(self, *_: object) -> None:
        Journal.append, os.fsync = self._append, self._fsync


def install(site: Path) -> None:
    """Install an upsampler that does nothing, for this process and its workers."""
    site.mkdir()
    (site / "nothing.py").write_text(PACKAGE)
    info = site / "nothing-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: nothing\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[liif_bench.upsamplers]\nnothing = nothing:make\n")
    sys.path.insert(0, str(site))


def overhead(cases: int) -> None:
    """Print what the driver adds to a case, and its memory."""
    marks = (cases // 10, cases // 2, cases)
    print(
        "| engine | cases | s in all | of it the workers' own | driver, ms per case"
        " | journal, ms per case | of it fsync | "
        + " | ".join(f"MiB at {mark}" for mark in marks)
        + " |\n|---|--:|--:|--:|--:|--:|--:|" + "--:|" * len(marks)
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        install(folder / "site")
        photos = folder / "photos"
        photos.mkdir()
        image = Image.fromarray(np.full((16, 16, 3), 90, dtype=np.uint8))
        for number in range(cases // len(SCALES)):
            image.save(photos / f"{number:05}.png")
        plan = make_plan(
            scales=SCALES, models=["nothing"], metrics=["psnr"], data=[f"folder:{photos}"],
            device="cpu",
        )  # fmt: skip
        for engine in (Local(1), Processes(1, 1)):
            watched = Watched(engine, marks)
            with TimedJournal() as journal:
                run = run_plan(plan, folder / engine.name, engine=watched, crops=0)
            count = len(Journal(run.path / "journal.jsonl").places())
            wall = watched.ended - watched.begun
            each = (
                f"`{engine.name}`", str(count), f"{wall:.1f}", f"{watched.own:.1f}",
                f"{1e3 * (wall - watched.own) / count:.2f}",
                f"{1e3 * journal.seconds / count:.2f}", f"{1e3 * journal.fsync / count:.2f}",
                *(f"{watched.memory[mark] / 2**20:.0f}" for mark in marks),
            )  # fmt: skip
            print(f"| {' | '.join(each)} |", flush=True)


def ratio(repeats: int, scales: str) -> None:
    """Print the engines side by side."""
    whole: dict[str, list[float]] = {way: [] for way in WAYS}
    inner: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as name:
        for number in track(
            range(repeats * len(WAYS)), description="runs", console=Console(stderr=True)
        ):
            way = list(WAYS)[number % len(WAYS)]
            out = Path(name) / str(number)
            command = [
                sys.executable, "-m", "liif_bench", "run", "--protocol", "liif-benchmark",
                "--data", "set5", "--scales", scales, "--models", "liif-edsr", "--metrics",
                "psnr,lpips", "--device", "cpu", "--crops", "0", "--quiet", *WAYS[way],
                "--json-log", f"{out}.log", "--out", str(out),
            ]  # fmt: skip
            begun = time.monotonic()
            subprocess.run(command, check=True)
            whole[way].append(time.monotonic() - begun)
            inner[way].append(measuring(Path(f"{out}.log")))
    print(
        "| engine | whole command (s) | times as fast | measuring (s) | times as fast |\n"
        "|---|--:|--:|--:|--:|"
    )
    first = next(iter(WAYS))
    for way in WAYS:
        cells = []
        for seconds in (whole, inner):
            best = min(seconds[way])
            cells += [f"{best:.1f}", f"{min(seconds[first]) / best:.2f}"]
        print(f"| {way} | {' | '.join(cells)} |")


def measuring(log: Path) -> float:
    """Return the seconds from the begin of a run's first case to the end of its last."""
    events = [json.loads(line) for line in log.read_text().splitlines()]
    ends = [
        (datetime.fromisoformat(event["time"]).timestamp(), event["seconds"])
        for event in events
        if event["event"] == "case"
    ]
    return max(end for end, _ in ends) - min(end - seconds for end, seconds in ends)


def main() -> None:
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("overhead", "ratio"))
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scales", default="2,4")
    given = parser.parse_args()
    if given.what == "overhead":
        overhead(given.cases)
    else:
        ratio(given.repeats, given.scales)


if __name__ == "__main__":
    main()
