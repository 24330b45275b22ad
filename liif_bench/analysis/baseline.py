"""Baselines: the values of a run, small enough to be committed and read in a review.

A baseline is one JSON file: under which protocol, of which images, with which weights and versions,
and then a line per cell (data set, scale, model, metric) with a value for every image.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import pandas as pd
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import differences, stored_protocol
from liif_bench.records import Run, failures, load_run, write_whole
from liif_bench.shipped import describe_invalid, validate_file

SCHEMA_VERSION = 1
DIGITS = 6
"""Decimals that a baseline keeps: a hundredth of what any default tolerance asks about."""


class CellKey(NamedTuple):
    """Which cell of a table."""

    dataset: str
    scale: float
    upsampler: str
    metric: str

    def __str__(self) -> str:
        return f"{self.dataset} x{self.scale:g} {self.upsampler} {self.metric}"


def _measured(value: float) -> float:
    """Return a value that is a number; infinity is one."""
    if math.isnan(value):
        raise ValueError("not a number: an image without a value stands under errors, or nowhere")
    return value


class Cell(BaseModel):
    """What a run measured of one cell.

    Attributes:
        dataset: Data set.
        scale: HR size / LR size.
        upsampler: Model.
        metric: Metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction.
        regime: "in" or "out" of the model's training range, None where it was never trained.
        values: By image; infinity is a value.
        errors: Why there is none, by image; where the metric has no meaning there is neither.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    dataset: str
    scale: Annotated[float, Field(ge=1, allow_inf_nan=False)]
    upsampler: str
    metric: str
    variant: str
    higher_is_better: bool
    regime: Literal["in", "out"] | None = None
    values: Mapping[str, Annotated[float, AfterValidator(_measured)]]
    errors: Mapping[str, str] = {}

    @model_validator(mode="after")
    def _has_a_mean(self) -> Cell:
        if {math.inf, -math.inf} <= set(self.values.values()):
            raise ValueError("infinities of both signs: they have no mean")
        return self

    @property
    def key(self) -> CellKey:
        """Which cell it is."""
        return CellKey(self.dataset, self.scale, self.upsampler, self.metric)

    @property
    def mean(self) -> float | None:
        """The mean over the images that have a value, None where none has."""
        return sum(self.values.values()) / len(self.values) if self.values else None


class Data(BaseModel):
    """Which images were measured."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: Annotated[int, Field(ge=0)]
    sha256: str


class Snapshot(BaseModel):
    """The values of a run.

    Attributes:
        baseline: Version of the schema.
        run: The run's name.
        suite: The suite's name.
        protocol: Every field of the protocol.
        protocol_hash: Hash of what changes numbers in it.
        datasets: Which images, by data set.
        weights: SHA-256 of what was pre-trained, by id.
        versions: Of the packages that measured.
        seconds: Mean time of an enlargement by model.
        peak_rss_bytes: Most memory that the run had resident.
        cells: One per data set, scale, model and metric.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    baseline: Annotated[int, Field(ge=1)] = SCHEMA_VERSION
    run: str
    suite: str
    protocol: Mapping[str, Any]
    protocol_hash: str
    datasets: Mapping[str, Data]
    weights: Mapping[str, str]
    versions: Mapping[str, str]
    seconds: Mapping[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    peak_rss_bytes: int = 0
    cells: tuple[Cell, ...]


def snapshot(run: Run) -> Snapshot:
    """Return the values of a run, rounded to `DIGITS` decimals.

    Raises:
        LiifBenchError: The run is not finished, holds nothing, or something impossible.
    """
    if not run.finished:
        raise LiifBenchError(
            f"'{run.path}' is not finished: give its command again with --out {run.path}"
        )
    records = run.records
    if records.empty:
        raise LiifBenchError(f"'{run.path}' holds no records")
    manifest = run.manifest
    plan = manifest["plan"]
    weights = {**manifest.get("weights", {}), **plan.get("metric_weights", {})}
    outputs = records.drop_duplicates(["dataset", "item", "scale", "upsampler"])
    seconds = outputs.groupby("upsampler", sort=False)["seconds"].mean().dropna()
    try:
        return Snapshot(
            run=run.path.resolve().name,
            suite=plan["suite"],
            protocol=manifest["protocol"],
            protocol_hash=plan["protocol_hash"],
            datasets=plan["datasets"],
            weights=weights,
            versions=manifest["versions"],
            seconds={str(name): round(float(value), 4) for name, value in seconds.items()},
            peak_rss_bytes=int(manifest.get("peak_rss_bytes", 0)),
            cells=tuple(cells_of(records)),
        )
    except ValidationError as error:
        raise LiifBenchError(f"run '{run.path}': {describe_invalid(error)}") from error


def cells_of(records: pd.DataFrame) -> Iterable[Cell]:
    """Yield the cells of records, their values rounded to `DIGITS` decimals."""
    failed = failures(records).index
    columns = ["dataset", "scale", "upsampler", "metric"]
    for (dataset, scale, upsampler, metric), rows in records.groupby(columns, sort=False):
        first = rows.iloc[0]
        measured = rows[rows["value"].notna()]
        broken = rows[rows.index.isin(failed)]
        yield Cell(
            dataset=dataset,
            scale=float(scale),
            upsampler=upsampler,
            metric=metric,
            variant=first["variant"],
            higher_is_better=bool(first["higher_is_better"]),
            regime=None if pd.isna(first["regime"]) else first["regime"],
            values={
                str(item): round(float(value), DIGITS)
                for item, value in zip(measured["item"], measured["value"], strict=True)
            },
            errors={
                str(item): str(error)
                for item, error in zip(broken["item"], broken["error"], strict=True)
            },
        )


def load_snapshot(path: str | Path) -> Snapshot:
    """Open a run's folder, or a file that `write_baseline` wrote.

    Raises:
        LiifBenchError: It is neither, is damaged, or of a newer schema.
    """
    source = Path(path)
    if source.is_dir():
        return snapshot(load_run(source))
    if not source.exists():
        raise LiifBenchError(f"'{source}' does not exist: name a run's folder or a baseline file")
    try:
        content = json.loads(source.read_text(encoding="utf-8"))
        version = content["baseline"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LiifBenchError(
            f"'{source}' is no baseline: make one with 'liif-bench baseline save RUN -o {source}'"
        ) from error
    if not isinstance(version, int) or version > SCHEMA_VERSION:
        raise LiifBenchError(
            f"'{source}' has baseline version {version}, this liif-bench reads up to"
            f" {SCHEMA_VERSION}; upgrade liif-bench"
        )
    kept = validate_file(Snapshot, source, content, "baseline")
    keys = [cell.key for cell in kept.cells]
    if len(set(keys)) < len(keys):
        twice = next(key for key in keys if keys.count(key) > 1)
        raise LiifBenchError(f"baseline '{source}' holds '{twice}' twice: save it anew")
    return kept


def baseline_text(kept: Snapshot) -> str:
    """Return the file of a baseline: JSON, a line per cell, so that a review shows what moved."""
    head = kept.model_dump(exclude={"cells"})
    lines = [f"  {json.dumps(name)}: {_json(value)}," for name, value in head.items()]
    cells = ",\n".join(f"    {_json(_line(cell))}" for cell in kept.cells)
    return "{\n" + "\n".join(lines) + f'\n  "cells": [\n{cells}\n  ]\n}}\n'


def _line(cell: Cell) -> dict[str, Any]:
    line = cell.model_dump(exclude_defaults=True)
    line["values"] = {
        item: str(value) if math.isinf(value) else value for item, value in cell.values.items()
    }
    return line


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def write_baseline(kept: Snapshot, path: Path) -> None:
    """Write a baseline, whole or not at all.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    try:
        write_whole(path, baseline_text(kept).encode())
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path}': {error.strerror}") from error


class Change(NamedTuple):
    """A fact about how runs were made that is not the same of two of them."""

    what: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.what}: {self.before} before, {self.after} now"


def protocol_changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return the fields of the protocol that change numbers and differ."""
    if before.protocol_hash == after.protocol_hash:
        return []
    try:
        one, other = (stored_protocol(each.protocol, Path(each.run)) for each in (before, after))
    except LiifBenchError:  # one was written by a liif-bench whose protocols had other fields
        return [Change("protocol hash", before.protocol_hash, after.protocol_hash)]
    return [
        Change(f"protocol {field}", str(first), str(second))
        for field, first, second in differences(one, other)
    ]


def data_changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return the data sets of both whose images differ."""
    return [
        Change(f"images of {name}", _images(before.datasets[name]), _images(after.datasets[name]))
        for name in before.datasets
        if name in after.datasets and before.datasets[name] != after.datasets[name]
    ]


def _images(data: Data) -> str:
    return f"{data.items} of hash {data.sha256[:12]}"


def other_changes(before: Snapshot, after: Snapshot) -> list[Change]:
    """Return what else differs: weights and versions of packages. Such numbers can be compared."""
    pairs = (
        ("weights of", before.weights, after.weights),
        ("version of", before.versions, after.versions),
    )
    return [
        Change(f"{what} {name}", one.get(name, "none")[:12], other.get(name, "none")[:12])
        for what, one, other in pairs
        for name in dict.fromkeys([*one, *other])
        if one.get(name) != other.get(name)
    ]
