"""Kills runs and their workers at random moments, and says what became of them.

    python benchmarks/faults.py [--kills 50] [--worker-kills 10] [--seed 1]

First an unbroken run of each engine, which says what is right and how long a run takes. Then, for
each kill, a run that is ended with signal 9 at a random moment between its start and its end (one
moment in each of as many equal parts of that time: while torch is loaded, while cases are measured,
while the tables are written), and the same command again. That must complete: records equal to the
unbroken run's bit for bit, crops too, no case twice, no process left over. The engines take turns.

Then runs of one and of two workers in turn, of which one worker is killed at a random moment. They
must complete by themselves, equal to the unbroken run as well.

Prints Markdown. Recovery is the time from the start of the new command to its first newly finished
case; for a lost worker, from the kill to the end of the case that it was at. Needs /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from PIL import Image
from rich.console import Console
from rich.progress import track

from liif_bench.records import JOURNAL, Run, load_run

ENGINES = {
    "local": ("--engine", "local"),
    "processes": ("--engine", "processes", "--workers", "2"),
}
WORKERS = (1, 2)
PATIENCE = 900.0  # seconds that a command may take before it is called hung


@dataclass(frozen=True)
class Bed:
    """Where the runs are made.

    Attributes:
        folder: For the runs.
        options: Of every command.
        right: The records of an unbroken run.
        crops: Its crops, by the name of the file.
    """

    folder: Path
    options: tuple[str, ...]
    right: pd.DataFrame
    crops: dict[str, bytes]


@dataclass(frozen=True)
class Kill:
    """What came of one.

    Attributes:
        engine: Whose run, or how many workers it had.
        phase: What the run was at.
        wrong: What is wrong with the completed run; "" where nothing is.
        doubled: Cases that stand more than once in the records or in the journal.
        left: Processes that outlived the run.
        recovery: Seconds; None where nothing was left to be measured.
    """

    engine: str
    phase: str
    wrong: str
    doubled: int
    left: int
    recovery: float | None


def photographs(folder: Path, count: int, size: tuple[int, int] = (72, 96)) -> Path:
    """Fill a folder with small smooth images and return it."""
    folder.mkdir()
    rng = np.random.default_rng(7)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        smooth = coarse.resize((size[1], size[0]), Image.Resampling.BICUBIC)
        smooth.save(folder / f"photo{number:02}.png")
    return folder


def start(options: Sequence[str], engine: Sequence[str], out: Path) -> subprocess.Popen[bytes]:
    """Start a run in a session of its own."""
    command = [
        sys.executable, "-m", "liif_bench", "run", *options, *engine, "--threads", "1",
        "--json-log", f"{out}.log", "--quiet", "--out", str(out),
    ]  # fmt: skip
    with Path(f"{out}.err").open("ab") as errors:
        return subprocess.Popen(command, stderr=errors, start_new_session=True)


def lines(out: Path) -> list[tuple[str, str, float]]:
    """Return the cases that stand in a run's journal, line by line."""
    path = out / JOURNAL
    if not path.exists():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0].splitlines()
    return [(each["dataset"], each["item"], each["scale"]) for each in map(json.loads, whole)]


def count(out: Path) -> int:
    """Return how many lines a run's journal has."""
    path = out / JOURNAL
    return path.read_bytes().count(b"\n") if path.exists() else 0


def session(leader: int) -> list[int]:
    """Return the processes of a session that have not ended, but for its leader."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[3]) == leader and fields[0] not in "ZX" and int(entry.parent.name) != leader:
            found.append(int(entry.parent.name))
    return found


def workers(leader: int) -> list[int]:
    """Return the workers of a run."""
    found = []
    for process in session(leader):
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes()
        except OSError:
            continue
        if b"spawn_main" in command:
            found.append(process)
    return found


def wait_for(condition: Callable[[], object], seconds: float) -> bool:
    """Wait until a condition holds; False where it does not in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def comparable(run: Run) -> pd.DataFrame:
    """Return the records of a run without what differs between two equal runs."""
    return run.records.drop(columns=["run", "seconds"])


def crops(out: Path) -> dict[str, bytes]:
    """Return the crops of a run but for their index, whose order is that of measuring."""
    return {path.name: path.read_bytes() for path in (out / "crops").glob("*.png")}


def verdict(bed: Bed, out: Path, status: int | None) -> tuple[str, int]:
    """Return what is wrong with a run that should be complete, and its doubled cases."""
    if status != 0:
        said = Path(f"{out}.err").read_text().strip().splitlines() or ["nothing"]
        return f"exit code {status}: {said[-1]}", 0
    run = load_run(out)
    twice = run.records.duplicated(["dataset", "item", "scale", "upsampler", "metric"]).sum()
    doubled = int(twice) + sum(times - 1 for times in Counter(lines(out)).values())
    if not run.finished:
        return "not finished", doubled
    try:
        pd.testing.assert_frame_equal(comparable(run), bed.right, check_exact=True)
    except AssertionError as error:
        return f"other records: {str(error).splitlines()[0]}", doubled
    return ("" if crops(out) == bed.crops else "other crops"), doubled


def phase(out: Path, total: int) -> str:
    """Say what a killed run had been at."""
    done = count(out)
    if not (out / "manifest.json").is_file() or not done:
        return "starting"
    if done < total:
        return "measuring"
    return "finished" if load_run(out).finished else "writing"


def kill_run(bed: Bed, name: str, moment: float, out: Path, total: int) -> Kill | None:
    """Kill a run and give its command again; None where it had ended before."""
    process = start(bed.options, ENGINES[name], out)
    try:
        process.wait(moment)
    except subprocess.TimeoutExpired:
        pass
    else:
        return None
    process.send_signal(signal.SIGKILL)
    process.wait()
    at, done = phase(out, total), count(out)
    begun = time.monotonic()
    again = start(bed.options, ENGINES[name], out)
    wait_for(lambda: count(out) > done or again.poll() is not None, PATIENCE)
    recovery = time.monotonic() - begun if count(out) > done else None
    try:
        status: int | None = again.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        again.kill()
        status = None
    leaders = (process.pid, again.pid)
    wait_for(lambda: not any(map(session, leaders)), 20)
    wrong, doubled = verdict(bed, out, status)
    return Kill(name, at, wrong, doubled, sum(len(session(pid)) for pid in leaders), recovery)


def kill_worker(bed: Bed, number: int, delay: float, out: Path, chance: random.Random) -> Kill:
    """Kill one of a run's workers, a while after they have been started."""
    process = start(bed.options, ("--engine", "processes", "--workers", str(number)), out)
    wait_for(lambda: len(workers(process.pid)) == number, PATIENCE)
    time.sleep(delay)
    victim = chance.choice(workers(process.pid) or [0])
    at = "measuring" if count(out) else "starting"
    killed = time.time()
    if victim:
        os.kill(victim, signal.SIGKILL)
    try:
        status: int | None = process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        status = None
    wait_for(lambda: not session(process.pid), 20)
    wrong, doubled = verdict(bed, out, status)
    recovery = lost_for(Path(f"{out}.log"), killed) if victim else None
    name = f"{number} worker{'s' if number > 1 else ''}"
    return Kill(name, at, wrong, doubled, len(session(process.pid)), recovery)


def lost_for(log: Path, killed: float) -> float | None:
    """Return the seconds from a kill to the end of the case that the worker was at.

    Where it was starting: to the end of the next case.
    """
    label = ""
    for event in map(json.loads, log.read_text().splitlines()):
        if event["event"] == "warning":
            label = event["message"].rpartition(" at ")[2].partition(" · ")[0]
        at = datetime.fromisoformat(event["time"]).timestamp()
        if event["event"] == "case" and at > killed and label in ("", event["case"]):
            return at - killed
    return None


def row(title: str, kills: Sequence[Kill]) -> str:
    """Return a line of the table."""
    complete = sum(not kill.wrong for kill in kills)
    times = [kill.recovery for kill in kills if kill.recovery is not None]
    phases = Counter(kill.phase for kill in kills)
    order = [each for each in ("starting", "measuring", "writing", "finished") if phases[each]]
    cells = (
        title,
        str(len(kills)),
        ", ".join(f"{phases[each]} {each}" for each in order),
        f"{complete} of {len(kills)}",
        str(sum(kill.doubled for kill in kills)),
        str(sum(kill.left for kill in kills)),
        f"{median(times):.1f}" if times else "-",
        f"{max(times):.1f}" if times else "-",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--worker-kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--models", default="bicubic,nearest")
    given = parser.parse_args()
    chance = random.Random(given.seed)
    errors = Console(stderr=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = (
            "--scales", "2,3", "--models", given.models, "--metrics", "psnr,ssim",
            "--data", f"folder:{photographs(folder / 'photos', given.images)}", "--device", "cpu",
        )  # fmt: skip
        took = {}
        for engine, words in ENGINES.items():
            begun = time.monotonic()
            start(options, words, folder / engine).wait(PATIENCE)
            took[engine] = time.monotonic() - begun
        whole = load_run(folder / "local")
        bed = Bed(folder, options, comparable(whole), crops(whole.path))
        for engine in ENGINES:
            wrong, doubled = verdict(bed, folder / engine, 0)
            if wrong or doubled:
                sys.exit(f"the unbroken run of {engine} is not right: {wrong}")
        total = len(lines(whole.path))
        kills: list[Kill] = []
        parts = -(-given.kills // len(ENGINES))
        for number in track(range(given.kills), description="kills of runs", console=errors):
            engine = list(ENGINES)[number % len(ENGINES)]
            kill = None
            for attempt in range(20):  # a run that was faster than its moment is made again
                moment = (number // len(ENGINES) + chance.random()) / parts * took[engine]
                kill = kill_run(bed, engine, moment, folder / f"{number}-{attempt}", total)
                if kill is not None:
                    kills.append(kill)
                    break
        lost: list[Kill] = []
        for number in track(
            range(given.worker_kills), description="kills of workers", console=errors
        ):
            delay = chance.random() * took["processes"] / 2
            count_of = WORKERS[number % len(WORKERS)]
            lost.append(kill_worker(bed, count_of, delay, folder / f"w{number}", chance))
        print(
            f"{total} cases a run; unbroken: "
            + ", ".join(f"{engine} {seconds:.1f} s" for engine, seconds in took.items())
            + f". Seed {given.seed}.\n"
        )
        print(
            "| killed | kills | while | complete, equal | cases doubled | processes left over"
            " | recovery, median (s) | largest (s) |\n|---|--:|---|--:|--:|--:|--:|--:|"
        )
        for engine in ENGINES:
            print(row(f"run, `{engine}`", [kill for kill in kills if kill.engine == engine]))
        for name in dict.fromkeys(kill.engine for kill in lost):
            print(row(f"one of {name}", [kill for kill in lost if kill.engine == name]))
        for kill in (*kills, *lost):
            if kill.wrong:
                print(f"\nwrong, {kill.engine}, {kill.phase}: {kill.wrong}")


if __name__ == "__main__":
    main()
