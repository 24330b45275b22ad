"""``csv:FILE``: ratings of any origin, one row per image."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from liif_bench.datasets.root import find_file
from liif_bench.errors import LiifBenchError
from liif_bench.ratings.base import SCOPES, Rating, existing, number

REQUIRED = ("dataset", "content_id", "sr_path", "ref_path", "method", "score", "higher_is_better")
OPTIONAL = ("lr_path", "scale", "score_std", "n_raters", "score_scope", "split")
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def table(root: Path, argument: str = "") -> tuple[Rating, ...]:
    """Read ratings from a CSV file.

    The first line names the columns, in any order: `REQUIRED` and any of `OPTIONAL`; others are
    not looked at. An empty cell of an optional column is a value that is not known. Paths start at
    the file's own folder.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: Path of the CSV file, in UTF-8.

    Returns:
        One rating per row, in the file's order.

    Raises:
        LiifBenchError: The file cannot be read, lacks a column, or has a row that is wrong; the
            message names file and line.
    """
    listing = find_file(argument, root)
    return tuple(_ratings(listing))


def _ratings(listing: Path) -> Iterator[Rating]:
    try:
        with listing.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True, restkey="", skipinitialspace=True)
            try:
                rows.fieldnames = _header(rows.fieldnames or ())
                for row in rows:
                    yield _rating(listing.parent, row)
            except (csv.Error, LiifBenchError) as error:
                line = max(1, rows.reader.line_num)
                raise LiifBenchError(f"'{listing}' line {line}: {error}") from error
    except OSError as error:
        raise LiifBenchError(f"cannot read '{listing}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LiifBenchError(f"'{listing}' is not in UTF-8: save it so") from error


def _header(names: Sequence[str]) -> list[str]:
    header = [name.strip() for name in names]
    if lacking := [name for name in REQUIRED if header.count(name) != 1]:
        raise LiifBenchError(
            f"there must be one column '{lacking[0]}'; the file needs {', '.join(REQUIRED)}"
        )
    return header


def _rating(folder: Path, row: dict[str, str]) -> Rating:
    if "" in row or None in row.values():
        raise LiifBenchError("as many cells as there are columns are needed: quote commas")
    cells = {name: text.strip() for name, text in row.items()}
    for name in REQUIRED:
        if not cells[name]:
            raise LiifBenchError(f"'{name}' is empty")
    optional = {name: cells.get(name, "") for name in OPTIONAL}
    truth = cells["higher_is_better"].lower()
    if truth not in _TRUTH:
        raise LiifBenchError(f"higher_is_better '{truth}' is neither true nor false")
    scope = optional["score_scope"] or "global"
    if scope not in SCOPES:
        raise LiifBenchError(f"score_scope '{scope}' is none of {', '.join(SCOPES)}")
    scale = number(optional["scale"], "scale") if optional["scale"] else None
    if scale is not None and scale < 1:
        raise LiifBenchError(f"scale '{optional['scale']}' is below 1")
    raters = number(optional["n_raters"], "n_raters") if optional["n_raters"] else None
    if raters is not None and (raters < 1 or raters != int(raters)):
        raise LiifBenchError(f"n_raters '{optional['n_raters']}' is no count")
    return Rating(
        dataset=cells["dataset"],
        content_id=cells["content_id"],
        sr_path=existing(folder / cells["sr_path"]),
        ref_path=existing(folder / cells["ref_path"]),
        method=cells["method"],
        score=number(cells["score"], "score"),
        higher_is_better=_TRUTH[truth],
        score_scope=scope,
        lr_path=existing(folder / optional["lr_path"]) if optional["lr_path"] else None,
        scale=scale,
        score_std=number(optional["score_std"], "score_std") if optional["score_std"] else None,
        n_raters=None if raters is None else int(raters),
        split=optional["split"],
    )
