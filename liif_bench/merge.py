"""Makes one run of the parts of a plan that were measured apart. Needs no torch.

The journals are the truth: the merged one holds the lines of all parts, in the plan's order. The
same plan continues it where parts or cases are missing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from liif_bench.crops import CropFolder
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.lock import claimed, is_claimed
from liif_bench.profile import add_stages
from liif_bench.records import (
    JOURNAL,
    CaseKey,
    CaseRows,
    Journal,
    Place,
    Record,
    Run,
    load_run,
    write_details,
    write_manifest,
    write_records,
)

_APART = ("shard",)  # fields of a plan in which its parts differ
_LONGEST_VALUE = 60


def merge_runs(parts: Sequence[Path], out: Path) -> Run:
    """Write one run that holds the cases of several of the same plan.

    Args:
        parts: Folders of the runs, measured with `--shard` or any other way.
        out: Folder of the merged run, which must not hold one yet.

    Returns:
        It. Where cases of the plan are missing it is not finished, and the plan's own command goes
        on with it.

    Raises:
        LiifBenchError: A part is no run, is being written or belongs to another plan; parts
            measured one case with different results; `out` is taken or cannot be written.
    """
    runs = [load_run(part) for part in parts]
    for run in runs:
        if is_claimed(run.path):
            raise LiifBenchError(f"'{run.path}' is being written: wait for it")
    first = runs[0]
    for run in runs[1:]:
        _check_same_plan(first, run)
    if out.exists() and any(out.iterdir()):
        raise LiifBenchError(f"--out '{out}' is there and not empty: name a new folder")
    found = _cases(runs)
    whole = first.manifest.get("plan_cases")
    with claimed(out):
        journal = Journal(out / JOURNAL)
        places = []
        crops = CropFolder(out)
        for key, (run, place) in found.items():
            (rows,) = Journal(run.path / JOURNAL).rows([place])
            records = [replace(record, run=out.name) for record in rows.records]
            places.append(journal.append(key, records, rows.details, place.number, rows.stages))
        for run in runs:
            crops.copy(CropFolder(run.path))
        tables = write_details(out, journal.rows(places))
        tables |= write_records(out, (row for rows in journal.rows(places) for row in rows.records))
        write_manifest(out, {**_manifest(runs, out, places, whole), "tables": tables})
    return load_run(out)


def _cases(runs: Sequence[Run]) -> dict[CaseKey, tuple[Run, Place]]:
    """Return which run holds each case, in the plan's order.

    Raises:
        LiifBenchError: Two runs hold it with different results.
    """
    found: dict[CaseKey, tuple[Run, Place]] = {}
    for run in runs:
        for key, place in Journal(run.path / JOURNAL).places().items():
            if key not in found:
                found[key] = (run, place)
                continue
            other, there = found[key]
            (ours,) = Journal(run.path / JOURNAL).rows([place])
            (theirs,) = Journal(other.path / JOURNAL).rows([there])
            if place.failures < there.failures:  # one of them was tried again
                found[key] = (run, place)
            elif place.failures == there.failures and _results(ours) != _results(theirs):
                raise LiifBenchError(
                    f"'{other.path}' and '{run.path}' measured {key[1]} x{key[2]:g} of {key[0]}"
                    " with different results: leave one of them out"
                )
    order = sorted(found, key=lambda key: found[key][1].number)
    return {key: found[key] for key in order}


def _results(rows: CaseRows) -> list[Record]:
    return [replace(record, run="", seconds=None) for record in rows.records]


def _check_same_plan(first: Run, run: Run) -> None:
    ours, theirs = (
        {key: value for key, value in each.manifest.get("plan", {}).items() if key not in _APART}
        for each in (first, run)
    )
    differing = [key for key in {**ours, **theirs} if ours.get(key) != theirs.get(key)]
    if differing:
        key = differing[0]
        there, here = (shorten(str(each.get(key)), _LONGEST_VALUE) for each in (ours, theirs))
        raise LiifBenchError(
            f"'{run.path}' belongs to another plan than '{first.path}': another"
            f" {', '.join(differing)} ({key} here: {here}, there: {there})"
        )


def _manifest(
    runs: Sequence[Run], out: Path, places: Sequence[Place], whole: int | None
) -> Mapping[str, Any]:
    first = runs[0].manifest
    stages: dict[str, float] = {}
    for run in runs:
        add_stages(stages, run.manifest.get("stages", {}))
    complete = whole is not None and len(places) == whole
    ends = [run.manifest.get("finished") for run in runs]
    return {
        **first,
        "run": out.name,
        "finished": max(filter(None, ends), default=None) if complete else None,
        "wall_seconds": sum(run.manifest.get("wall_seconds", 0.0) for run in runs),
        "peak_rss_bytes": max(run.manifest.get("peak_rss_bytes", 0) for run in runs),
        "plan": {key: value for key, value in first["plan"].items() if key not in _APART},
        "stages": stages,
        "cases": whole if whole is not None else len(places),
        "errors": sum(place.failures for place in places),
        "merged": [
            {
                "run": run.manifest.get("run"),
                "shard": run.manifest.get("plan", {}).get("shard"),
                "machine": run.manifest.get("machine"),
                "versions": run.manifest.get("versions"),
                "command": run.manifest.get("command"),
            }
            for run in runs
        ],
    }
