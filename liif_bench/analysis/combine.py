"""Records of several runs as one table, refused where their numbers do not mean the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import pandas as pd

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import differences, stored_protocol
from liif_bench.records import Run


def combine(runs: Sequence[Run], *, across_protocols: bool = False) -> pd.DataFrame:
    """Put the records of several runs under each other.

    An upsampler that occurs in several runs is named after its run too, and across protocols
    every upsampler is named after its protocol, so that no two measurements share a cell. Runs
    whose folders have one name are told apart by the folders above them.

    Args:
        runs: One or more.
        across_protocols: Whether runs of different protocols may stand side by side.

    Returns:
        The records, in the order of the runs.

    Raises:
        LiifBenchError: A run has no records or was given twice, or two protocols differ and that
            was not asked for; the message names the fields.
    """
    for run in runs:
        if run.records.empty:
            raise LiifBenchError(f"'{run.path}' has no records yet: continue it first")
    if not across_protocols:
        for first, second in combinations(runs, 2):
            check_same_protocol(first, second)
    frames = [run.records.copy() for run in runs]
    if len({run.manifest["plan"]["protocol_hash"] for run in runs}) > 1:
        for frame in frames:
            frame["upsampler"] += " · " + frame["protocol"]
    names = [set(frame["upsampler"]) for frame in frames]
    for position, (label, frame) in enumerate(zip(_labels(runs), frames, strict=True)):
        others = set().union(*(each for index, each in enumerate(names) if index != position))
        shared = frame["upsampler"].isin(others)
        frame.loc[shared, "upsampler"] += f" · {label}"
    return pd.concat(frames, ignore_index=True)


def _labels(runs: Sequence[Run]) -> list[str]:
    """Name each run by the end of its path: as many folders as tell them apart."""
    paths = [run.path.resolve() for run in runs]
    for path in paths:
        if paths.count(path) > 1:
            raise LiifBenchError(f"'{path}' was given twice: give each run once")
    for parts in range(1, max(len(path.parts) for path in paths) + 1):
        labels = ["/".join(path.parts[-parts:]) for path in paths]
        if len(set(labels)) == len(labels):
            break
    return labels


def check_same_protocol(first: Run, second: Run) -> None:
    """Refuse two runs whose protocols differ in a field that changes numbers.

    Raises:
        LiifBenchError: They do; the message names the fields and both values.
    """
    one, other = (run.manifest["plan"]["protocol_hash"] for run in (first, second))
    if one == other:
        return
    fields = "; ".join(
        f"{field}: {ours} and {theirs}"
        for field, ours, theirs in differences(
            *(stored_protocol(run.manifest["protocol"], run.path) for run in (first, second))
        )
    )
    raise LiifBenchError(
        f"'{first.path}' and '{second.path}' were measured under different protocols ({fields});"
        " their numbers cannot be compared: add --across-protocols to insist"
    )
