"""The harness: suite -> cases -> engine -> records, in a folder that survives being killed."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from liif_bench.bench import foreign_weights, load_bench
from liif_bench.board import Board
from liif_bench.crops import DEFAULT_CROPS
from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import check_pairs
from liif_bench.devices import forbid_tf32, resolve_device
from liif_bench.engines.base import Engine, Outcome, Setup, tasks_of
from liif_bench.engines.local import Local
from liif_bench.engines.work import peak_rss
from liif_bench.errors import LiifBenchError
from liif_bench.examples import Examples
from liif_bench.lock import claimed
from liif_bench.manifest import now, open_manifest
from liif_bench.metrics.base import Detailed
from liif_bench.profile import ELSE, add_stages
from liif_bench.progress import Progress, silent
from liif_bench.records import (
    JOURNAL,
    CaseKey,
    Journal,
    Place,
    Run,
    load_run,
    write_details,
    write_manifest,
    write_records,
)
from liif_bench.shards import Shard
from liif_bench.status import reporting
from liif_bench.suite import Plan

Log = Callable[[Mapping[str, Any]], None]
"""Told each event of a run as an object that JSON can hold."""


def run_plan(
    plan: Plan,
    out: Path | None = None,
    *,
    engine: Engine | None = None,
    shard: Shard | None = None,
    retry_errors: bool = False,
    crops: int = DEFAULT_CROPS,
    command: Sequence[str] = (),
    progress: Progress = silent,
    log: Log = lambda _: None,
) -> Run:
    """Measure everything that a plan asks for.

    Args:
        plan: What to measure.
        out: Folder of the run, made or continued; ``reports/<suite>-<time>`` where None.
        engine: Where to measure; this process where None. Numbers do not depend on it, and another
            one may continue a run.
        shard: The part of the plan to measure; all of it where None.
        retry_errors: Measure again the finished cases that hold an error.
        crops: Images of each data set that example crops are kept of, the first ones; see
            `liif_bench.crops`. They change no number, and finished cases get none.
        command: The command line, for the manifest.
        progress: Shown what goes on.
        log: Told what goes on, event by event.

    Returns:
        The finished run.

    Raises:
        LiifBenchError: The data cannot be opened, a model cannot be loaded, or `out` belongs to
            another plan or process; nothing has been written then. Or the folder cannot be written
            any more; finished cases are kept then.
    """
    forbid_tf32()
    engine = engine or Local()
    plan = plan.model_copy(update={"device": resolve_device(plan.device)})
    datasets = [load_dataset(spec, plan.data_root).limited(plan.limit) for spec in plan.datasets]
    if plan.protocol.lr.given:
        for dataset in datasets:
            check_pairs(dataset.items, plan.scales)
    for reason in plan.left_out:
        progress.warn(reason)
    folder = out or fresh_folder(plan.suite)
    bench = load_bench(folder.name, plan, progress.warn)
    foreign = foreign_weights(bench)  # before anything is written: they may not be there
    with claimed(folder):
        manifest = open_manifest(folder, plan, datasets, bench, foreign, engine, shard, command)
        examples = Examples(folder, datasets, crops)
        tasks = tasks_of(datasets, plan.scales, examples.wanted)
        manifest["plan_cases"] = len(tasks)
        if shard is not None:
            tasks = shard.part(tasks)
        journal = Journal(folder / JOURNAL)
        journal.drop_cut_line()
        done = _kept(journal.places(), retry_errors)
        waiting = [task for task in tasks if task.key not in done]
        manifest["cases"] = len(tasks)
        if waiting:
            manifest["finished"] = None
        write_manifest(folder, manifest)
        board = Board(
            total=len(tasks),
            before=len(tasks) - len(waiting),
            cost=sum(task.megapixels for task in waiting),
            warned=progress.warn,
            heard=log,
        )
        log({"event": "start", "run": str(folder), "done": board.before, "total": board.total})
        with progress.watch(board), reporting(folder, board):
            if waiting:
                setup = Setup(folder.name, plan, bench.broken, engine.threads)
                books = _Books(folder, manifest, journal, examples, board, done)
                books.fill(engine.outcomes(bench, setup, waiting, board), engine.workers)
        places = [done[task.key] for task in tasks]
        tables = {}
        if any(isinstance(metric, Detailed) for metric in bench.metrics):
            tables = write_details(folder, journal.rows(places))
        records = (row for rows in journal.rows(places) for row in rows.records)
        manifest["tables"] = tables | write_records(folder, records)
        manifest["finished"] = now()
        manifest["errors"] = sum(place.failures for place in places)
        write_manifest(folder, manifest)
        log({"event": "end", "run": str(folder), "errors": manifest["errors"]})
    return load_run(folder)


def _kept(places: dict[CaseKey, Place], retry_errors: bool) -> dict[CaseKey, Place]:
    """Return the finished cases that are not measured again."""
    return {key: place for key, place in places.items() if not (retry_errors and place.failures)}


@dataclass
class _Books:
    """Where a run writes down what comes in.

    Attributes:
        folder: Of the run.
        manifest: Takes what all cases cost; written when they end, however that comes.
        journal: Takes the rows of each case.
        examples: Takes its crops.
        board: Shows it.
        done: Where each finished case stands in the journal.
    """

    folder: Path
    manifest: dict[str, Any]
    journal: Journal
    examples: Examples
    board: Board
    done: dict[CaseKey, Place]

    def fill(self, outcomes: Generator[Outcome, None, None], workers: int) -> None:
        """Write each case as an engine with so many workers hands it over."""
        start, before = time.perf_counter(), self.manifest["wall_seconds"]
        stages: dict[str, float] = self.manifest.setdefault("stages", {})
        measuring, peak = 0.0, self.manifest.get("peak_rss_bytes", 0)
        try:
            with closing(outcomes):
                for outcome in outcomes:
                    self._enter(outcome)
                    add_stages(stages, outcome.stages)
                    measuring += outcome.seconds
                    peak = max(peak, outcome.peak_rss)
        finally:
            elapsed = time.perf_counter() - start
            self.manifest["wall_seconds"] = before + elapsed
            self.manifest["peak_rss_bytes"] = max(peak, peak_rss())
            if workers == 1 and measuring:  # what goes by between the cases of one worker
                stages[ELSE] = stages.get(ELSE, 0.0) + elapsed - measuring
            with suppress(LiifBenchError):  # whoever writes next says why not
                write_manifest(self.folder, self.manifest)

    def _enter(self, outcome: Outcome) -> None:
        task, rows = outcome.task, outcome.rows
        self.examples.write(task.key, outcome.pictures)
        place = self.journal.append(
            task.key, rows.records, rows.details, task.number, outcome.stages
        )
        self.done[task.key] = place
        self.board.finished(
            task.label, task.megapixels, outcome.seconds, place.failures, outcome.stages
        )


def fresh_folder(suite: str) -> Path:
    """Return a folder that does not exist yet: ``reports/<suite>-<time>``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path("reports") / f"{suite}-{stamp}"
    number = 2
    while folder.exists():
        folder = Path("reports") / f"{suite}-{stamp}-{number}"
        number += 1
    return folder
