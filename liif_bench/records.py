"""Records: the wall between what measures (torch) and what reads measurements (no torch).

A run is a folder. `manifest.json` says what was asked for and on what machine; `journal.jsonl`
gains one line per finished case; `records.parquet` is the journal as a table, written at the end.
What metrics keep beyond their values stands in tables beside it, such as `views.parquet`.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any

from liif_bench.errors import LiifBenchError, one_line, shorten
from liif_bench.run_files import check_manifest, open_line, sealed_line

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2  # 2 added lr_source

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
RECORDS = "records.parquet"

GIVEN_LR = "given"
NOT_APPLICABLE = "not applicable: "


@dataclass(frozen=True)
class Record:
    """One row: case x upsampler x metric.

    Attributes:
        run: Name of the run's folder.
        suite: Name of the suite.
        suite_version: Version of the suite.
        protocol: Name of the protocol.
        protocol_hash: Hash of everything in the protocol that changes a number.
        dataset: Data set as named on the command line.
        item: Image within the data set.
        scale: HR size / LR size.
        lr_source: "given" for an LR file of the data set, or the generator that made LR; None
            where the image could not be read, as the next four.
        lr_h: LR height in pixels.
        lr_w: LR width in pixels.
        hr_h: Height of HR, cropped to what LR answers to.
        hr_w: Width of HR, cropped to what LR answers to.
        regime: "in" or "out" of the range of scales that the upsampler was trained on; None for
            an upsampler that was never trained.
        upsampler: Name of the upsampler.
        weights_sha256: Hash of its weights, None where it has none.
        metric: Name of the metric.
        variant: Which of the numbers that go by that name.
        higher_is_better: Direction of the metric.
        value: The measurement; infinity is a value; None where there is none.
        seconds: Wall time that the upsampler took for this SR: encode and render, or encode alone
            where no metric of the run looks at SR as a whole.
        error: Why there is no value.
    """

    run: str
    suite: str
    suite_version: int
    protocol: str
    protocol_hash: str
    dataset: str
    item: str
    scale: float
    lr_source: str | None
    lr_h: int | None
    lr_w: int | None
    hr_h: int | None
    hr_w: int | None
    regime: str | None
    upsampler: str
    weights_sha256: str | None
    metric: str
    variant: str
    higher_is_better: bool
    value: float | None
    seconds: float | None
    error: str | None

    @property
    def is_failure(self) -> bool:
        """Whether the metric has a meaning here and yet no value."""
        return self.error is not None and not self.error.startswith(NOT_APPLICABLE)


_TYPES: dict[str, tuple[type, ...]] = {
    name: {
        "str": (str,),
        "int": (int,),
        "float": (float, int),
        "bool": (bool,),
        "str | None": (str, NoneType),
        "int | None": (int, NoneType),
        "float | None": (float, int, NoneType),
    }[annotation]
    for name, annotation in Record.__annotations__.items()
}

COLUMNS = tuple(column.name for column in fields(Record))

_DTYPES = {
    "suite_version": "int64",
    "scale": "float64",
    "lr_h": "Int64",
    "lr_w": "Int64",
    "hr_h": "Int64",
    "hr_w": "Int64",
    "higher_is_better": "bool",
    "value": "float64",
    "seconds": "float64",
}

CaseKey = tuple[str, str, float]
"""Data set, item, scale."""

Table = dict[str, list[Any]]
"""Columns of one length by name; values are strings, numbers, truth values, lists of
numbers, or None."""


@dataclass(frozen=True)
class CaseRows:
    """Everything that is kept of a case.

    Attributes:
        records: One per upsampler x metric.
        details: What metrics keep beside their values: tables by name.
    """

    records: list[Record]
    details: dict[str, Table] = field(default_factory=dict)


class Journal:
    """The append-only file of finished cases: one JSON line per case, whole or not at all.

    A line that a kill cut short is dropped when the journal is opened again. When a case stands
    in it twice (after ``--retry-errors``), the later line counts.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[CaseKey, list[Record]]:
        """Return the records of the finished cases; see `read_cases`."""
        return {key: rows.records for key, rows in self.read_cases().items()}

    def read_cases(self) -> dict[CaseKey, CaseRows]:
        """Return the finished cases in the order in which they first stand in the journal.

        Raises:
            LiifBenchError: A line other than the last is damaged, or of another schema.
        """
        cases: dict[CaseKey, CaseRows] = {}
        for number, line in enumerate(self._whole_lines(), start=1):
            try:
                entry = open_line(line)
                rows = [read_record(row) for row in entry["records"]]
                key = (entry["dataset"], entry["item"], float(entry["scale"]))
                cases[key] = CaseRows(rows, entry.get("details", {}))
            except (ValueError, TypeError) as error:
                raise LiifBenchError(
                    f"'{self.path}' line {number} is damaged ({error});"
                    " start anew with another --out"
                ) from error
        return cases

    def append(
        self,
        key: CaseKey,
        records: Iterable[Record],
        details: Mapping[str, Table] | None = None,
    ) -> None:
        """Add one finished case and see it onto the disk."""
        dataset, item, scale = key
        entry: dict[str, Any] = {
            "dataset": dataset,
            "item": item,
            "scale": scale,
            "records": [asdict(record) for record in records],
        }
        if details:
            entry["details"] = details
        with self.path.open("ab") as file:
            file.write(sealed_line(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def drop_cut_line(self) -> None:
        """Remove what a kill left of an unfinished last line, so that appending is safe."""
        if not self.path.exists():
            return
        whole = sum(len(line) + 1 for line in self._whole_lines())
        if whole != self.path.stat().st_size:
            os.truncate(self.path, whole)

    def _whole_lines(self) -> list[bytes]:
        if not self.path.exists():
            return []
        *lines, _cut = self.path.read_bytes().split(b"\n")
        return lines


def read_record(row: Mapping[str, Any]) -> Record:
    """Make a record of what a file holds.

    Raises:
        TypeError: A field is missing, unknown or of another type.
    """
    record = Record(**row)
    for name, allowed in _TYPES.items():
        value = getattr(record, name)
        # a truth value is an int to Python, and no number of a record
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
            raise TypeError(f"{name} is {shorten(repr(value), 40)}")
    return record


@dataclass(frozen=True)
class Run:
    """A finished or unfinished run, read from its folder.

    Attributes:
        path: The folder.
        manifest: What was asked for, on what, with which weights.
    """

    path: Path
    manifest: Mapping[str, Any]

    @cached_property
    def records(self) -> pd.DataFrame:
        """One row per case x upsampler x metric, columns `COLUMNS`.

        Read from `records.parquet`, or from the journal while the run is unfinished.
        """
        stored = self.path / RECORDS
        if stored.exists():
            return _checked(_read_table(stored), stored)
        cases = Journal(self.path / JOURNAL).read()
        return to_frame(record for rows in cases.values() for record in rows)

    def details(self, name: str) -> pd.DataFrame:
        """Return a table that metrics keep beside the records, such as "views".

        Read from its file, or from the journal while the run is unfinished; empty where no metric
        of the run keeps it.
        """
        import pandas as pd

        stored = self.path / f"{name}.parquet"
        if stored.exists():
            return _read_table(stored)
        cases = Journal(self.path / JOURNAL).read_cases().values()
        return pd.DataFrame(joined(rows.details.get(name, {}) for rows in cases))

    @property
    def finished(self) -> bool:
        """Whether every case of the plan has its records."""
        return bool(self.manifest.get("finished"))


def _read_table(path: Path) -> pd.DataFrame:
    """Read a table of a run.

    Raises:
        LiifBenchError: It is damaged.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path, page_checksum_verification=True)
    except Exception as error:  # a damaged table raises almost anything
        raise LiifBenchError(f"'{path}' is damaged: {one_line(error)}") from error


def _checked(records: pd.DataFrame, path: Path) -> pd.DataFrame:
    """Return records with their columns and dtypes; older ones lack `lr_source`.

    Raises:
        LiifBenchError: Another column is missing, or there is a strange one, or one of no numbers.
    """
    if odd := (set(records.columns) ^ set(COLUMNS)) - {"lr_source"}:
        raise LiifBenchError(
            f"'{path}' is damaged: unexpected or missing {', '.join(sorted(map(str, odd)))}"
        )
    try:
        return records.reindex(columns=list(COLUMNS)).astype(_DTYPES)
    except (ValueError, TypeError) as error:
        raise LiifBenchError(f"'{path}' is damaged: {one_line(error)}") from error


def load_run(path: str | Path) -> Run:
    """Open a run's folder. Does not import torch.

    Args:
        path: The folder that ``liif-bench run`` wrote.

    Returns:
        The run; `Run.records` is its table.

    Raises:
        LiifBenchError: Not a run's folder, or one of a newer schema.
    """
    folder = Path(path)
    manifest = read_manifest(folder)
    if manifest is None:
        raise LiifBenchError(f"'{folder}' is not a run: it has no {MANIFEST}")
    return Run(folder, manifest)


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """Return the manifest of a run's folder, None where there is none.

    Raises:
        LiifBenchError: The file is damaged or of a newer schema.
    """
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        version = manifest["schema_version"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise LiifBenchError(f"'{path}' is damaged: {error}") from error
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise LiifBenchError(
            f"'{path}' has schema version {version}, this liif-bench reads up to"
            f" {SCHEMA_VERSION}; upgrade liif-bench"
        )
    return check_manifest(manifest, path)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest whole or not at all."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    write_whole(folder / MANIFEST, text.encode(errors="backslashreplace"))


def write_records(folder: Path, records: Iterable[Record]) -> None:
    """Write `records.parquet` whole or not at all."""
    write_table(folder / RECORDS, to_frame(records))


def write_details(folder: Path, cases: Iterable[CaseRows]) -> None:
    """Write every table that the cases keep beside their records, each whole or not at all."""
    import pandas as pd

    kept = [rows.details for rows in cases]
    for name in dict.fromkeys(name for details in kept for name in details):
        table = joined(details.get(name, {}) for details in kept)
        write_table(folder / f"{name}.parquet", pd.DataFrame(table))


def joined(tables: Iterable[Table]) -> Table:
    """Return tables under each other; a column that one of them lacks holds None there."""
    whole: Table = {}
    rows = 0
    for table in tables:
        more = len(next(iter(table.values()), []))
        for column in dict.fromkeys([*whole, *table]):
            values = whole.setdefault(column, [None] * rows)
            values.extend(table.get(column, [None] * more))
        rows += more
    return whole


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """Write a table as Parquet, whole or not at all."""
    import io

    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, write_page_checksum=True)
    write_whole(path, buffer.getvalue())


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that a kill at any moment leaves either the old one or the new one."""
    temporary = path.with_name(f".{path.name}.partial")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return records as a DataFrame with fixed columns and dtypes, empty or not."""
    import pandas as pd

    frame = pd.DataFrame([asdict(record) for record in records], columns=list(COLUMNS))
    return frame.astype(_DTYPES)


def failures(records: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that have an error, without those where the metric has no meaning."""
    return records[records["error"].notna() & ~is_not_applicable(records)]


def is_not_applicable(records: pd.DataFrame) -> pd.Series[bool]:
    """Return a mask of the rows whose metric has no meaning for their item."""
    return records["error"].fillna("").str.startswith(NOT_APPLICABLE)


def value_or_error(value: float) -> tuple[float | None, str | None]:
    """Split a measurement: a NaN is an error, never a value."""
    return (None, "the metric is not a number here") if math.isnan(value) else (float(value), None)
