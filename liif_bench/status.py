"""How far a run is, for whoever asks from another shell: a small file in its folder. No torch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from liif_bench.board import Board, Snapshot
from liif_bench.lock import holder, is_claimed
from liif_bench.progress import every
from liif_bench.records import JOURNAL, Journal, load_run, write_whole

STATUS = ".status.json"

_FIRST, _THEN = 0.5, 2.0  # seconds before the first file and between later ones


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Attributes:
        run: Its folder.
        state: "finished", "at work" or "stopped".
        done: Cases in the journal.
        total: Cases of the run; None where nothing says how many.
        failures: Records in the journal without a value that should have one.
        process: Process id and host of who is at work.
        snapshot: What the process at work wrote last; None where there is none.
        age: Seconds since it did.
        command: The command line that began the run.
    """

    run: Path
    state: str
    done: int
    total: int | None
    failures: int
    process: dict[str, Any]
    snapshot: Snapshot | None
    age: float
    command: tuple[str, ...]


@contextmanager
def reporting(folder: Path, board: Board) -> Iterator[None]:
    """Keep the status file of a run up to date until the block ends, and take it away then.

    That it cannot be written stops no run.
    """
    path = folder / STATUS

    def write() -> None:
        state = {"written": time.time(), **asdict(board.snapshot())}
        with suppress(OSError):
            write_whole(path, json.dumps(state, ensure_ascii=False).encode())

    try:
        with every(_FIRST, _THEN, write):
            yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def read_status(folder: Path) -> Status:
    """Find out how far a run is.

    Args:
        folder: Of the run.

    Raises:
        LiifBenchError: It is no run, or its files are damaged.
    """
    run = load_run(folder)
    at_work = is_claimed(folder)
    places = Journal(folder / JOURNAL).places()
    snapshot, age = _last_word(folder / STATUS) if at_work else (None, math.nan)
    total = run.manifest.get("cases", snapshot.total if snapshot else None)
    state = "at work" if at_work else "finished" if run.finished else "stopped"
    return Status(
        run=folder,
        state=state,
        done=len(places),
        total=total,
        failures=sum(place.failures for place in places.values()),
        process=holder(folder) if at_work else {},
        snapshot=snapshot,
        age=age,
        command=tuple(map(str, run.manifest.get("command", ()))),
    )


def _last_word(path: Path) -> tuple[Snapshot | None, float]:
    """Return what a run wrote of itself, and how many seconds ago."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        written = content.pop("written")
        content["at_work"] = {int(number): step for number, step in content["at_work"].items()}
        return Snapshot(**content), max(0.0, time.time() - written)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None, math.nan
