"""Paths as users write them, and the folder for what is fetched."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from liif_bench.errors import LiifBenchError


def user_path(text: str) -> Path:
    """Return the path that a user wrote, with `~` expanded.

    Args:
        text: As the user wrote it.

    Returns:
        The path, relative if it was written so.

    Raises:
        LiifBenchError: It begins with the home of a user who does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise LiifBenchError(f"'{text}' does not exist: {error}") from error


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
