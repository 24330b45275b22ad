"""Programs of somebody else's, started in a group of their own and ended with all of it."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

_KEPT = 1 << 14
_PATIENCE = 5.0


def start_group(command: Sequence[str], folder: Path) -> subprocess.Popen[bytes]:
    """Start a program as the leader of a group of its own, with pipes to its three streams.

    Args:
        command: The program and its arguments; no shell sees them.
        folder: Its working directory.

    Raises:
        OSError: It cannot be started.
    """
    return subprocess.Popen(
        command,
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a program of `start_group` and all that it started, without waiting."""
    if hasattr(os, "killpg"):
        # a group's number is not given away while it has members, so it is safe to be late
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def end_group(process: subprocess.Popen[bytes]) -> int:
    """Kill a program of `start_group` and all that it started, and wait until it is gone.

    Returns:
        Its exit status; negative where a signal ended it.
    """
    kill_group(process)
    status = process.wait()
    for stream in (process.stdin, process.stdout):
        with suppress(OSError):  # what was not written yet has nobody left to read it
            if stream:
                stream.close()
    return status


def await_end(process: subprocess.Popen[bytes], seconds: float = _PATIENCE) -> int:
    """Give a program that seems to be ending a moment to do so, then end its group.

    Returns:
        Its exit status; negative where a signal ended it.
    """
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return end_group(process)


def describe_status(status: int) -> str:
    """Return an exit status in words, such as "was ended by SIGSEGV"."""
    if status >= 0:
        return f"ended with exit status {status}"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-status).name}"
    return f"was ended by signal {-status}"


class LastWords:
    """Reads a stream to its end in a thread, so that it never blocks, and keeps the end of it.

    Args:
        stream: Such as a program's standard error; closed at its end.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._end = b""
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while block := os.read(stream.fileno(), 1 << 16):
                self._end = (self._end + block)[-_KEPT:]

    def line(self) -> str:
        """Return the last line that is not empty, or ""; to be asked once the program has ended."""
        self._thread.join(_PATIENCE)
        lines = self._end.decode(errors="replace").replace("\r", "\n").splitlines()
        return next((line.strip() for line in reversed(lines) if line.strip()), "")
