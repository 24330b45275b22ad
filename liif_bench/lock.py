"""Who writes a run's folder: one process at a time, on whatever machine. Needs no torch."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from liif_bench.errors import LiifBenchError
from liif_bench.records import MANIFEST

LOCK = ".lock"
HOLDER = ".holder.json"


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Make the run's folder and keep other processes out of it until the block ends.

    The lock is the operating system's own, which ends with its process however that ends: what a
    crash leaves in the folder keeps nobody out.

    Raises:
        LiifBenchError: Another process writes it, it is no run's, or it cannot be written.
    """
    lock = FileLock(folder / LOCK)
    try:
        _check_free(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LiifBenchError(
            f"another process{_named(holder(folder))} is writing '{folder}': wait for it"
        ) from error
    except NotImplementedError as error:
        raise LiifBenchError(
            f"the file system of --out '{folder}' cannot lock files: name a folder on another"
        ) from error
    except OSError as error:
        raise LiifBenchError(f"cannot write --out '{folder}': {error.strerror}") from error
    try:
        with suppress(OSError):  # it serves messages alone
            mine = {"pid": os.getpid(), "host": socket.gethostname()}
            (folder / HOLDER).write_text(json.dumps(mine), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _check_free(folder: Path) -> None:
    """Check that a folder is a run's, or empty, or not there.

    Raises:
        LiifBenchError: It is not.
        OSError: It cannot be looked at.
    """
    if folder.exists() and not folder.is_dir():
        raise LiifBenchError(f"--out '{folder}' is a file: name a folder")
    if folder.is_dir() and not (folder / MANIFEST).is_file():
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if strangers:
            raise LiifBenchError(
                f"--out '{folder}' is not a run and not empty (it holds '{strangers[0]}'):"
                " name a new folder"
            )


def is_claimed(folder: Path) -> bool:
    """Whether a process is writing a run's folder now.

    Raises:
        LiifBenchError: It cannot be found out.
    """
    if not (folder / LOCK).exists():
        return False
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except (OSError, NotImplementedError) as error:
        raise LiifBenchError(f"cannot look at '{folder / LOCK}': {error}") from error
    lock.release()
    return False


def holder(folder: Path) -> dict[str, Any]:
    """Return process id and host of who claimed a folder last and has not given it back."""
    try:
        found = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _named(found: dict[str, Any]) -> str:
    return f" ({found['pid']} on {found['host']})" if {"pid", "host"} <= found.keys() else ""
