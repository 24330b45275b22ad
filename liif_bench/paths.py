"""Paths as users write them, names of files, and the folder for what is fetched."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

import platformdirs

from liif_bench.errors import LiifBenchError

_LONGEST_STEM = 180  # bytes; file systems take 255 with suffix and what writing adds


def user_path(text: str) -> Path:
    """Return the path that a user wrote, with `~` expanded.

    Args:
        text: As the user wrote it.

    Returns:
        The path, relative if it was written so.

    Raises:
        LiifBenchError: It begins with the home of a user who does not exist, or holds a null
            character, as no path does.
    """
    if "\0" in text:
        raise LiifBenchError(f"'{text}' does not exist: no path holds a null character")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise LiifBenchError(f"'{text}' does not exist: {error}") from error


def text_of(path: Path) -> str:
    r"""Return a path as text that a record can hold, with `/` between its parts.

    Bytes of a name that are no UTF-8 are written out, as in ``caf\xe9.png``.
    """
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def cache_root() -> Path:
    """Return the folder for what is fetched: `LIIF_BENCH_CACHE`, or else the user's cache folder.

    Returns:
        An absolute path; the folder need not exist.

    Raises:
        LiifBenchError: `LIIF_BENCH_CACHE` names the home of a user who does not exist.
    """
    root = os.environ.get("LIIF_BENCH_CACHE")
    root = root or platformdirs.user_cache_dir("liif-bench", appauthor=False)
    return user_path(root).absolute()


def file_stem(parts: Iterable[str]) -> str:
    """Return a file's name, without its suffix, from names of other things.

    Args:
        parts: Such as data set, item, scale and model; joined by `_`, with a hyphen for what a
            file should not be called.

    Returns:
        At most 180 bytes; a longer one is cut and ends with a hash of the whole.
    """
    stem = "_".join(re.sub(r"[^\w.-]+", "-", part).strip("-") for part in parts)
    if len(stem.encode()) <= _LONGEST_STEM:
        return stem
    digest = hashlib.sha256(stem.encode()).hexdigest()[:12]
    return stem.encode()[: _LONGEST_STEM - 13].decode(errors="ignore") + f"-{digest}"
