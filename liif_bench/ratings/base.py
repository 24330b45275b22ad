"""What a rating is, and reading text files line by line with errors that name the line."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from liif_bench.datasets.root import exists
from liif_bench.errors import LiifBenchError

Scope = Literal["global", "content", "method"]
"""Which scores may be compared: all; those of one content; those of one content and method."""

SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True)
class Rating:
    """What people said of one image.

    Attributes:
        dataset: Where the rating is from.
        content_id: What the image shows; ratings of one content share its reference.
        sr_path: The rated image.
        ref_path: Its reference.
        method: What made it: an upsampler or a kind of damage.
        score: Mean opinion, in the data set's own unit.
        higher_is_better: Direction of the score.
        score_scope: Which scores may be compared with it.
        lr_path: LR that it was made of; None where it is not given.
        scale: HR size / LR size; None where it is unknown.
        score_std: Standard deviation over raters; None where it is not given.
        n_raters: How many people; None where it is not given.
        split: Part of the data set; "" where there are no parts.
    """

    dataset: str
    content_id: str
    sr_path: Path
    ref_path: Path
    method: str
    score: float
    higher_is_better: bool = True
    score_scope: Scope = "global"
    lr_path: Path | None = None
    scale: float | None = None
    score_std: float | None = None
    n_raters: int | None = None
    split: str = ""


def number(text: str, what: str) -> float:
    """Read a finite number.

    Raises:
        LiifBenchError: It is none.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise LiifBenchError(f"{what} '{text}' is no number")
    return value


def line_by_line(file: Path, read: Callable[[str], Rating | None]) -> Iterator[Rating]:
    """Read a text file that has one rating per line; empty lines are passed over.

    Args:
        file: In UTF-8.
        read: Makes a rating of a line without the spaces around it, or None of one to leave out.

    Raises:
        LiifBenchError: The file cannot be read or is not in UTF-8; `read` refuses a line, and the
            message names file and line.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise LiifBenchError(f"cannot read '{file}': {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise LiifBenchError(f"'{file}' is not in UTF-8: save it so") from error
    for line, row in enumerate(text.splitlines(), start=1):
        try:
            rating = read(row.strip()) if row.strip() else None
        except LiifBenchError as error:
            raise LiifBenchError(f"'{file}' line {line}: {error}") from error
        if rating is not None:
            yield rating


def existing(path: Path) -> Path:
    """Return a path that leads to a file.

    Raises:
        LiifBenchError: It does not.
    """
    if not exists(path):
        raise LiifBenchError(f"'{path}' does not exist")
    return path


def by_name(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """Return the files of some suffixes below a folder by name, whatever folders they lie in.

    Raises:
        LiifBenchError: Two have one name.
    """
    wanted = frozenset(suffixes)
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in wanted:
            if path.name in found:
                raise LiifBenchError(
                    f"'{found[path.name]}' and '{path}' have one name: keep one of them"
                )
            found[path.name] = path
    return found


def named(files: dict[str, Path], name: str, folder: Path) -> Path:
    """Return the file of a name.

    Raises:
        LiifBenchError: There is none below the folder.
    """
    if name not in files:
        raise LiifBenchError(f"there is no '{name}' below '{folder}'")
    return files[name]
