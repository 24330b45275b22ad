"""``labels:FILE.csv``: images with any number of right answers each."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.datasets.classes import wordnet_id
from liif_bench.datasets.folder import is_image
from liif_bench.datasets.root import exists, find_file
from liif_bench.errors import LiifBenchError
from liif_bench.images import EXTENSIONS

_BETWEEN_LABELS = re.compile(r"[;\s]+")


def labels(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the images that a CSV file lists.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: Path of the CSV file.

    Returns:
        As `read_labels`.

    Raises:
        LiifBenchError: As `read_labels`, or the file does not exist.
    """
    return read_labels(find_file(argument, root))


def read_labels(listing: Path) -> tuple[Item, ...]:
    """Collect the images that a CSV file lists.

    The columns are `path`, from the file's own folder, and `label` or `labels`: WordNet ids or
    indices of ImageNet-1k classes, with semicolons or spaces between several right answers. None
    at all is an item without labels, as ReaL (arXiv 2006.07159) has them. Other columns are not
    looked at.

    Args:
        listing: The CSV file, in UTF-8.

    Returns:
        One item per row, in the file's order, named by the path as it is written there.

    Raises:
        LiifBenchError: The file cannot be read, lacks a column, or has a row that is wrong; the
            message names the line.
    """
    rows = _rows(listing)
    _, header = next(rows, (1, []))
    columns = _columns(listing, header)
    found: dict[str, tuple[int, Item]] = {}
    for line, cells in rows:
        try:
            item = _item(listing.parent, columns, cells)
        except LiifBenchError as error:
            raise LiifBenchError(f"'{listing}' line {line}: {error}") from error
        if item.name in found:
            earlier, _ = found[item.name]
            raise LiifBenchError(
                f"'{listing}' line {line}: '{item.name}' is in line {earlier} already: keep one"
            )
        found[item.name] = line, item
    return tuple(item for _, item in found.values())


@dataclass(frozen=True)
class _Columns:
    """How many columns there are, and which of them hold paths and labels."""

    count: int
    path: int
    labels: int


def _rows(listing: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows that are not empty, each with the number of its last line."""
    try:
        with listing.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            try:
                for cells in reader:
                    if cells:
                        yield reader.line_num, cells
            except csv.Error as error:
                raise LiifBenchError(f"'{listing}' line {reader.line_num}: {error}") from error
    except OSError as error:
        raise LiifBenchError(f"cannot read '{listing}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LiifBenchError(f"'{listing}' is not in UTF-8: save it so") from error


def _columns(listing: Path, header: Sequence[str]) -> _Columns:
    names = [name.strip() for name in header]
    answers = [name for name in names if name in ("label", "labels")]
    if names.count("path") != 1 or len(answers) != 1:
        raise LiifBenchError(
            f"'{listing}' must begin with a line that names one column 'path' and one 'label' or"
            f" 'labels', with a comma between them; it begins with '{','.join(names)}'"
        )
    return _Columns(len(names), names.index("path"), names.index(answers[0]))


def _item(folder: Path, columns: _Columns, cells: Sequence[str]) -> Item:
    if len(cells) != columns.count:
        raise LiifBenchError(
            f"{len(cells)} cells under a header of {columns.count}: quote what holds a comma"
        )
    place = cells[columns.path].strip()
    if not place:
        raise LiifBenchError("no path")
    within = Path(place)
    path = folder / within
    if not is_image(path):
        raise LiifBenchError(f"'{within}' is no image ({', '.join(sorted(EXTENSIONS))})")
    if not exists(path):
        raise LiifBenchError(f"'{path}' does not exist; paths start at the folder of the CSV file")
    written = [text for text in _BETWEEN_LABELS.split(cells[columns.labels]) if text]
    return Item(within.as_posix(), path, labels=tuple(dict.fromkeys(map(wordnet_id, written))))
