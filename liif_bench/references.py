"""Published values: rows of other people's tables, their source, and whether they are confirmed.

The files in ``suites/references`` hold them. What stands at the top of a file counts for each of
its rows.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import load_protocol, protocol_names
from liif_bench.records import GIVEN_LR
from liif_bench.shipped import read_toml, suites_folder, validate_file

UNSTATED = "unstated"


class Reference(BaseModel):
    """One published row: a method on a data set, by scale.

    Attributes:
        method: As its source calls it.
        upsampler: The upsampler of liif-bench that is the same method; None where there is none.
        dataset: As on the command line.
        metric: As on the command line.
        protocol: Name of the preset that describes how it was measured; "unstated" if unknown.
        given_scales: Scales at which LR files were used; elsewhere the protocol's generator.
        decimals: Digits after the point in print.
        source: Paper and table, or repository and file.
        verified: Whether liif-bench or another independent source has confirmed it.
        retrained: Whether it comes from another training run than the upsampler's weights.
        note: What else a reader has to know.
        values: Value by scale.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: str
    upsampler: str | None = None
    dataset: str
    metric: str
    protocol: str
    given_scales: tuple[float, ...]
    decimals: int = Field(ge=0, le=10)
    source: str
    verified: bool
    retrained: bool
    note: str = ""
    values: dict[
        Annotated[float, Field(ge=1, allow_inf_nan=False)],
        Annotated[float, Field(allow_inf_nan=False)],
    ] = Field(min_length=1)

    @property
    def tolerance(self) -> float:
        """Half of the last printed digit: what rounding in print may hide."""
        return 0.5 * 10.0**-self.decimals

    @property
    def remarks(self) -> list[str]:
        """What a reader has to know besides source and protocol."""
        retrained = ["another training run"] if self.retrained else []
        return retrained + ([self.note] if self.note else [])

    @property
    def protocol_hash(self) -> str | None:
        """Hash of its protocol, None where that is not known."""
        known = self.protocol in protocol_names()
        return load_protocol(self.protocol).hash if known else None

    def lr_source(self, scale: float) -> str:
        """Return what made LR at a scale, as records say it; "unstated" if that is not known."""
        if scale in self.given_scales:
            return GIVEN_LR
        known = self.protocol in protocol_names()
        return load_protocol(self.protocol).lr.generator if known else UNSTATED

    def show(self, scale: float) -> str:
        """Return the value at a scale as printed."""
        return f"{self.values[scale]:.{self.decimals}f}"


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    row: tuple[Reference, ...] = Field(min_length=1)


@cache
def shipped_references() -> tuple[Reference, ...]:
    """Return every row of the files that travel with the package, in a fixed order."""
    files = sorted((suites_folder() / "references").glob("*.toml"))
    return tuple(reference for path in files for reference in read_references(path))


def read_references(path: Path) -> tuple[Reference, ...]:
    """Read a file of published rows.

    Args:
        path: A TOML file; what stands at its top counts for each ``[[row]]``.

    Raises:
        LiifBenchError: A field is missing, unknown or wrong; the message names the file.
    """
    common = dict(read_toml(path))
    rows = common.pop("row", [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise LiifBenchError(f"reference file '{path}': write each row under [[row]]")
    merged = {"row": [{**common, **row} for row in rows]}
    return validate_file(_File, path, merged, "reference file").row


def matching(
    references: Iterable[Reference],
    *,
    dataset: str,
    metric: str,
    protocol_hash: str | None = None,
) -> list[Reference]:
    """Return the rows about a data set and a metric, under one protocol unless that is None."""
    return [
        reference
        for reference in references
        if (reference.dataset, reference.metric) == (dataset, metric)
        and (protocol_hash is None or reference.protocol_hash == protocol_hash)
    ]
