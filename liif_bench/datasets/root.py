"""The data root: the folder below which named sets and relative paths are looked for."""

from __future__ import annotations

import os
from pathlib import Path

from liif_bench.errors import LiifBenchError
from liif_bench.paths import cache_root, user_path


def default_data_root() -> Path:
    """Return the data root: `LIIF_BENCH_DATA`, or else `data` in the cache folder.

    Returns:
        An absolute path; the folder need not exist.

    Raises:
        LiifBenchError: A variable names the home of a user who does not exist.
    """
    root = os.environ.get("LIIF_BENCH_DATA")
    return user_path(root).absolute() if root else cache_root() / "data"


def find_folder(argument: str, root: Path) -> Path:
    """Find the folder that a user named: from the current folder first, then below the data root.

    Args:
        argument: Path as the user wrote it.
        root: The data root.

    Returns:
        The folder, which exists.

    Raises:
        LiifBenchError: It is in neither place, cannot be opened, or is a file.
    """
    found = find(argument, root, "folder")
    if not found.is_dir():
        raise LiifBenchError(f"'{found}' is a file; name the folder that holds the images")
    return found


def find_file(argument: str, root: Path) -> Path:
    """Find the file that a user named, as `find_folder` does.

    Raises:
        LiifBenchError: It is in neither place, cannot be opened, or is a folder.
    """
    found = find(argument, root, "file")
    if found.is_dir():
        raise LiifBenchError(f"'{found}' is a folder; name a file")
    return found


def find(argument: str, root: Path, what: str) -> Path:
    """Find what a user named: from the current folder first, then below the data root.

    Args:
        argument: Path as the user wrote it.
        root: The data root.
        what: What it should be, for messages.

    Returns:
        The folder or file, which exists.

    Raises:
        LiifBenchError: It is in neither place, or cannot be opened.
    """
    path = user_path(argument)
    found = next((place for place in (path, root / path) if exists(place)), None)
    if found is None:
        places = "" if path.is_absolute() else f", neither here nor below the data root '{root}'"
        raise LiifBenchError(f"{what} '{path}' does not exist{places}")
    return found


def exists(path: Path) -> bool:
    """Whether a path leads anywhere.

    Raises:
        LiifBenchError: It cannot be told, for lack of rights say.
    """
    try:
        return path.exists()
    except OSError as error:
        raise LiifBenchError(f"'{path}' cannot be opened: {error.strerror}") from error
