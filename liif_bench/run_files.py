"""What has to stand in the files of a run: lines of the journal with their checksum, the manifest.

A damaged file is refused here, before anything takes what it holds for a measurement.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from liif_bench.errors import LiifBenchError
from liif_bench.shipped import describe_invalid

_SEAL = re.compile(rb', "crc32": "([0-9a-f]{8})"\}$')
_KEYS = {"dataset", "item", "scale", "number", "records", "details", "stages"}


def sealed_line(entry: Mapping[str, Any]) -> bytes:
    """Return the line of a journal that says a finished case, without its end.

    JSON, and at its end a CRC-32 of the line as it is without it. Names that are no text (parts of
    surrogate pairs) come back as they were.
    """
    line = json.dumps(entry, ensure_ascii=False).encode(errors="backslashreplace")
    return line[:-1] + b', "crc32": "%08x"}' % zlib.crc32(line)


def open_line(line: bytes) -> dict[str, Any]:
    """Read a line of a journal, and check all of its shape but the fields of its records.

    A line without a checksum is one of an older liif-bench.

    Raises:
        ValueError: It is damaged.
    """
    line = line.rstrip(b"\n")
    seal = _SEAL.search(line)
    if seal is not None:
        line = line[: seal.start()] + b"}"
        if int(seal[1], 16) != zlib.crc32(line):
            raise ValueError("its checksum does not fit")
    try:
        entry = json.loads(line)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if not isinstance(entry, dict) or not {"dataset", "item", "scale", "records"} <= set(entry):
        raise ValueError("it names no case")
    if strange := set(entry) - _KEYS:
        raise ValueError(f"it holds {', '.join(sorted(strange))}")
    case = entry["dataset"], entry["item"], entry["scale"]
    if [type(part) for part in case] not in ([str, str, float], [str, str, int]):
        raise ValueError("it names no case")
    records = entry["records"]
    if not isinstance(records, list) or not all(isinstance(row, dict) for row in records):
        raise ValueError("its records are none")
    if any((row.get("dataset"), row.get("item"), row.get("scale")) != case for row in records):
        raise ValueError("it holds a record of another case")
    if any(row.get("value") != row.get("value") for row in records):
        raise ValueError("it holds a value that is not a number")
    numbers = (value for row in records for value in row.values() if isinstance(value, int))
    if any(not -(2**63) <= number < 2**63 for number in numbers):
        raise ValueError("it holds a number that no table takes")
    if not _are_tables(entry.get("details", {})):
        raise ValueError("its details are no tables")
    if type(entry.get("number", -1)) is not int:
        raise ValueError("its number is none")
    stages = entry.get("stages", {})
    if not isinstance(stages, dict) or not all(
        type(each) in (int, float) for each in stages.values()
    ):
        raise ValueError("its stages are no seconds")
    return entry


def _are_tables(details: object) -> bool:
    """Whether something is tables by name, each of columns of one length by name."""
    if not isinstance(details, dict):
        return False
    for table in details.values():
        if not isinstance(table, dict) or not all(
            isinstance(each, list) for each in table.values()
        ):
            return False
        if len({len(column) for column in table.values()}) > 1:
            return False
    return True


class _Part(BaseModel):
    """Fields that are read by anyone; others may stand beside them."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Plan(_Part):
    suite: str = ""
    suite_version: int = 0
    protocol: str = ""
    protocol_hash: str = ""
    datasets: dict[str, dict[str, Any] | None] = {}
    scales: list[Annotated[float, Field(ge=1, allow_inf_nan=False)]] = []
    models: dict[str, str | None] = {}
    limit: int | None = None
    model_settings: dict[str, dict[str, Any]] = {}
    metric_weights: dict[str, str] = {}


class _Request(_Part):
    models: list[str] = []
    datasets: list[str] = []
    data_root: str | None = None


class _Manifest(_Part):
    schema_version: Annotated[int, Field(ge=1)]
    run: str = ""
    plan: _Plan = _Plan()
    created: str = ""
    finished: str | None = None
    wall_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    peak_rss_bytes: Annotated[int, Field(ge=0, lt=2**63)] = 0
    command: list[str] = []
    request: _Request = _Request()
    protocol: dict[str, Any] = {}
    weights: dict[str, str] = {}
    versions: dict[str, str] = {}
    git: dict[str, Any] | None = None
    machine: dict[str, Any] = {}
    stages: dict[str, Annotated[float, Field(allow_inf_nan=False)]] = {}
    network_stages: list[str] = []
    tables: dict[str, str] = {}
    cases: int = 0
    plan_cases: int = 0
    networks: dict[str, dict[str, Any]] = {}


class _Fields(dict[str, Any]):
    """Fields of a manifest; to ask for one that is not there is an error that names the file."""

    def __init__(self, content: Mapping[str, Any], path: Path) -> None:
        super().__init__(content)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise LiifBenchError(f"'{self.path}' is damaged: it lacks '{key}'")


def check_manifest(content: object, path: Path) -> dict[str, Any]:
    """Return a manifest whose fields are of the types that its readers take for granted.

    Args:
        content: What the file holds.
        path: The file, for messages.

    Returns:
        The content. A field that is asked for and not there, in it or in its plan or request, is
        a LiifBenchError.

    Raises:
        LiifBenchError: A field is of another type, or the version is missing.
    """
    try:
        _Manifest.model_validate(content)
    except ValidationError as error:
        raise LiifBenchError(f"'{path}' is damaged: {describe_invalid(error)}") from error
    assert isinstance(content, dict)
    inner = {name: _Fields(content[name], path) for name in ("plan", "request") if name in content}
    return _Fields(content | inner, path)
