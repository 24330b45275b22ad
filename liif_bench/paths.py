"""Paths as users write them."""

from __future__ import annotations

from pathlib import Path

from liif_bench.errors import LiifBenchError


def user_path(text: str) -> Path:
    """Return the path that a user wrote, with `~` expanded.

    Raises:
        LiifBenchError: It begins with the home of a user who does not exist.
    """
    try:
        return Path(text).expanduser()
    except RuntimeError as error:
        raise LiifBenchError(f"'{text}' does not exist: {error}") from error
