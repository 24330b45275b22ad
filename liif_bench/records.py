"""Records: the wall between what measures (torch) and what reads measurements (no torch).

A run is a folder. `manifest.json` says what was asked for and on what machine; `journal.jsonl`
gains one line per finished case; `records.parquet` is the journal as a table, written at the end.
What metrics keep beyond their values stands in tables beside it, such as `views.parquet`.
"""

from __future__ import annotations

import errno
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from functools import cached_property
from io import FileIO
from itertools import chain, islice
from pathlib import Path
from types import NoneType
from typing import IO, TYPE_CHECKING, Any

from liif_bench.errors import LiifBenchError, one_line, shorten
from liif_bench.hashing import file_sha256
from liif_bench.run_files import check_manifest, open_line, sealed_line

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 2  # 2 added lr_source

MANIFEST = "manifest.json"
JOURNAL = "journal.jsonl"
RECORDS = "records.parquet"

GIVEN_LR = "given"
NOT_APPLICABLE = "not applicable: "

_BATCH = 10_000  # records that are turned into columns at once


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
        stages: Wall seconds by stage that the case took; empty in journals written without.
    """

    records: list[Record]
    details: dict[str, Table] = field(default_factory=dict)
    stages: Mapping[str, float] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Place:
    """Where a finished case stands in the journal.

    Attributes:
        start: First byte of its line.
        length: Bytes of the line, without its end.
        failures: How many of its records are failures.
        number: Its place in the plan, from 0; -1 in journals that were written without.
    """

    start: int
    length: int
    failures: int
    number: int = -1


class Journal:
    """The append-only file of finished cases: one JSON line per case, whole or not at all.

    A last line that a kill or the loss of power cut short is dropped when the journal is opened
    again. When a case stands in it twice (after ``--retry-errors``), the later line counts. It is
    read line by line, so that a long one takes no more memory than a short one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[CaseKey, list[Record]]:
        """Return the records of the finished cases; see `read_cases`."""
        return {key: rows.records for key, rows in self.read_cases().items()}

    def read_cases(self) -> dict[CaseKey, CaseRows]:
        """Return the finished cases in the plan's order.

        Where the lines do not say it: in the order in which they first stand in the journal.

        Raises:
            LiifBenchError: A line other than the last is damaged, or of another schema.
        """
        cases = {key: (place.number, rows) for key, place, rows in self._entries()}
        order = sorted(cases.items(), key=lambda case: case[1][0])
        return {key: rows for key, (_, rows) in order}

    def places(self) -> dict[CaseKey, Place]:
        """Return where the finished cases stand, in the order in which they first do.

        Raises:
            LiifBenchError: As `read_cases`.
        """
        return {key: place for key, place, _ in self._entries()}

    def rows(self, places: Iterable[Place]) -> Iterator[CaseRows]:
        """Yield what stands at places of the journal, reading each when it is asked for."""
        with self.path.open("rb") as file:
            for place in places:
                file.seek(place.start)
                yield _entry(file.read(place.length))[1]

    def append(
        self,
        key: CaseKey,
        records: Iterable[Record],
        details: Mapping[str, Table] | None = None,
        number: int = -1,
        stages: Mapping[str, float] | None = None,
    ) -> Place:
        """Add one finished case and see it onto the disk, whole or not at all.

        Args:
            key: Data set, item, scale.
            records: Its rows.
            details: What metrics keep beside them.
            number: Its place in the plan, from 0; -1 where it has none.
            stages: Wall seconds by stage that it took.

        Raises:
            LiifBenchError: The disk is full, or the file cannot be written.
        """
        dataset, item, scale = key
        rows = list(records)
        entry: dict[str, Any] = {
            "dataset": dataset,
            "item": item,
            "scale": scale,
            "records": [vars(record) for record in rows],
        }
        if number >= 0:
            entry["number"] = number
        if details:
            entry["details"] = details
        if stages:
            entry["stages"] = {name: round(seconds, 6) for name, seconds in stages.items()}
        line = sealed_line(entry)
        with writing(self.path), self.path.open("ab", buffering=0) as file:
            start = file.tell()
            try:
                _write_all(file, line + b"\n")
                os.fsync(file.fileno())
            except OSError:
                with suppress(OSError):  # else the next command drops the cut line
                    os.truncate(self.path, start)
                raise
        return Place(start, len(line), sum(row.is_failure for row in rows), number)

    def drop_cut_line(self) -> None:
        """Remove what a kill left of an unfinished last line, so that appending is safe.

        Raises:
            LiifBenchError: The file cannot be written.
        """
        if not self.path.exists():
            return
        whole = sum(len(line) for line in self._whole_lines())
        if whole != self.path.stat().st_size:
            with writing(self.path):
                os.truncate(self.path, whole)

    def _entries(self) -> Iterator[tuple[CaseKey, Place, CaseRows]]:
        """Yield every whole line: its case, where it stands and what it holds."""
        start = 0
        for number, line in enumerate(self._whole_lines(), start=1):
            try:
                key, rows, place_in_plan = _entry(line)
            except (ValueError, TypeError) as error:
                raise LiifBenchError(
                    f"'{self.path}' line {number} is damaged ({one_line(error)}): take the line out"
                    " to have its case measured again, or start anew with another --out"
                ) from error
            failures = sum(row.is_failure for row in rows.records)
            yield key, Place(start, len(line) - 1, failures, place_in_plan), rows
            start += len(line)

    def _whole_lines(self) -> Iterator[bytes]:
        """Yield the lines that have their end, with it.

        A last line with NUL bytes, which JSON never has, is one whose blocks did not reach the
        disk before the power went, though the length of the file did.
        """
        if not self.path.exists():
            return
        last = b""
        try:
            with self.path.open("rb") as file:
                for line in file:
                    if last:
                        yield last
                    last = line
        except OSError as error:
            raise LiifBenchError(f"cannot read '{self.path}': {error.strerror}") from error
        if last.endswith(b"\n") and b"\0" not in last:
            yield last


def _write_all(file: FileIO, content: bytes) -> None:
    """Write everything; a disk that fills up takes a part of it first.

    Raises:
        OSError: The disk is full.
    """
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def _entry(line: bytes) -> tuple[CaseKey, CaseRows, int]:
    """Read a line of a journal.

    Raises:
        ValueError, TypeError: It is damaged, or of another schema.
    """
    entry = open_line(line)
    rows = [read_record(row) for row in entry["records"]]
    key = (entry["dataset"], entry["item"], float(entry["scale"]))
    kept = CaseRows(rows, entry.get("details", {}), entry.get("stages", {}))
    return key, kept, entry.get("number", -1)


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


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Turn what the disk says against a file of a run into one line.

    Raises:
        LiifBenchError: The file cannot be written: the disk is full, say, or the folder is gone.
    """
    try:
        yield path
    except OSError as error:
        raise LiifBenchError(
            f"cannot write '{path}': {error.strerror or error}; finished cases are kept, and the"
            " same command goes on from them when this is mended"
        ) from error


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

        Read from `records.parquet`, or from the journal, which is the truth, while the run is
        unfinished or where that file is missing or damaged.

        Raises:
            LiifBenchError: Neither can be read.
        """
        stored = self._stored(RECORDS)
        if stored is not None:
            return stored
        cases = self._journal.read()
        return _arrow_table(chain.from_iterable(cases.values())).to_pandas()

    def details(self, name: str) -> pd.DataFrame:
        """Return a table that metrics keep beside the records, such as "views".

        Read from its file, or from the journal as `records` is; empty where no metric of the run
        keeps it.

        Raises:
            LiifBenchError: Neither can be read.
        """
        import pandas as pd

        stored = self._stored(f"{name}.parquet")
        if stored is not None:
            return stored
        cases = self._journal.read_cases().values()
        return pd.DataFrame(joined(rows.details.get(name, {}) for rows in cases))

    @property
    def finished(self) -> bool:
        """Whether every case of the plan has its records."""
        return bool(self.manifest.get("finished"))

    @property
    def cases_done(self) -> int:
        """How many cases have been measured."""
        return len(self._journal.places())

    @property
    def _journal(self) -> Journal:
        return Journal(self.path / JOURNAL)

    def _stored(self, name: str) -> pd.DataFrame | None:
        """Return a table of the folder; None where it is not there, out of date or damaged."""
        path = self.path / name
        has_journal = self._journal.path.is_file()
        if not path.is_file() or (has_journal and not self.finished):
            return None
        try:
            table = _read_table(path, self.manifest.get("tables", {}).get(name))
            return _checked(table, path) if name == RECORDS else table
        except LiifBenchError as error:
            if not has_journal:
                raise LiifBenchError(
                    f"{error}; there is no {JOURNAL} beside it to make it anew from"
                ) from error
            return None


def _read_table(path: Path, sha256: str | None = None) -> pd.DataFrame:
    """Read a table of a run.

    Args:
        path: The file.
        sha256: What the manifest says of it: a flipped bit may go unseen, and gave other numbers
            one time in eight. None in runs that were written without.

    Raises:
        LiifBenchError: It is damaged.
    """
    import pandas as pd

    if sha256 is not None and file_sha256(path) != sha256:
        raise LiifBenchError(f"'{path}' is damaged: it is not the file that was written")

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
    """Write the manifest whole or not at all.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    text = json.dumps(manifest, indent=2, ensure_ascii=False) + "\n"
    with writing(folder / MANIFEST) as path:
        write_whole(path, text.encode(errors="backslashreplace"))


def write_records(folder: Path, records: Iterable[Record]) -> dict[str, str]:
    """Write `records.parquet` whole or not at all, in memory that does not grow with them.

    Returns:
        The SHA-256 of the file by its name, for the manifest.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    import pyarrow.parquet as pq

    left = iter(records)
    with (
        writing(folder / RECORDS) as path,
        whole_file(path) as file,
        pq.ParquetWriter(file, _arrow_table([]).schema) as writer,
    ):
        while batch := list(islice(left, _BATCH)):
            writer.write_table(_arrow_table(batch))
    return {RECORDS: file_sha256(folder / RECORDS)}


def _arrow_table(records: Iterable[Record]) -> Any:
    """Return records as a `pyarrow.Table`, with the columns that `records.parquet` has."""
    import pyarrow as pa

    schema = pa.Schema.from_pandas(to_frame([]), preserve_index=False)
    for position, column in enumerate(fields(Record)):
        if "str" in column.type:  # pandas cannot tell what an empty column of objects holds
            schema = schema.set(position, pa.field(column.name, pa.string()))
    return pa.Table.from_pandas(to_frame(records), schema, preserve_index=False)


def write_details(folder: Path, cases: Iterable[CaseRows]) -> dict[str, str]:
    """Write every table that the cases keep beside their records, each whole or not at all.

    Returns:
        The SHA-256 of each file by its name, for the manifest.

    Raises:
        LiifBenchError: A file cannot be written.
    """
    import pandas as pd

    kept = [rows.details for rows in cases if rows.details]
    hashes = {}
    for name in dict.fromkeys(chain.from_iterable(kept)):
        table = joined(details.get(name, {}) for details in kept)
        with writing(folder / f"{name}.parquet") as path:
            write_table(path, pd.DataFrame(table))
        hashes[path.name] = file_sha256(path)
    return hashes


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
    """Write a file so that a kill at any moment leaves either the old one or the new one.

    Raises:
        OSError: It cannot be written; the old one is as it was.
    """
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for writing that takes its place when the block ends well; see `write_whole`."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


def to_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return records as a DataFrame with fixed columns and dtypes, empty or not."""
    import pandas as pd

    frame = pd.DataFrame([vars(record) for record in records], columns=list(COLUMNS))
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
