"""Programs of somebody else's: ended with all that they started, and bounded in what they say."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import IO

_KEPT = 1 << 14  # bytes of an output
_LONGEST_LINE = 300  # characters of its last line
_PATIENCE = 5.0  # seconds for a program that seems to be ending, and for the rest of its output


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit status, negative for a signal; None if it ran out of time.
        last_line: The last line of its standard error, or else of its standard output.
    """

    code: int | None
    last_line: str


def start_group(
    argv: Sequence[str], folder: Path | None = None, stdin: int = subprocess.PIPE
) -> subprocess.Popen[bytes]:
    """Start a program as the leader of a group of its own, with pipes to its streams.

    Args:
        argv: The program and its arguments; no shell sees them.
        folder: Its working directory; this process's where None.
        stdin: What it reads, as `subprocess.Popen` takes it.

    Raises:
        OSError: It cannot be started.
        ValueError: An argument holds a zero byte.
    """
    return subprocess.Popen(
        argv,
        cwd=folder,
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def run_limited(argv: Sequence[str], seconds: float) -> Ended:
    """Run a program to its end, with nothing to read, and end its whole group however it goes.

    A descendant that makes a session of its own is beyond reach.

    Args:
        argv: The program and its arguments; no shell sees them.
        seconds: Most time that it may take.

    Raises:
        OSError: It cannot be started.
        ValueError: An argument holds a zero byte.
    """
    process = start_group(argv, stdin=subprocess.DEVNULL)
    outputs = [LastWords(stream) for stream in (process.stderr, process.stdout) if stream]
    code = None
    try:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(seconds)
    finally:
        end_group(process)
    return Ended(code, next(filter(None, (output.line() for output in outputs)), ""))


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
    return process.wait()


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
        self._thread = Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            while block := os.read(stream.fileno(), 1 << 16):
                self._end = (self._end + block)[-_KEPT:]

    def line(self) -> str:
        """Return the last line that says anything, or "", once the program has ended."""
        self._thread.join(_PATIENCE)
        lines = self._end.decode(errors="replace").replace("\r", "\n").splitlines()
        shown = ("".join(filter(str.isprintable, line)).strip() for line in reversed(lines))
        return next((line[:_LONGEST_LINE] for line in shown if line), "")
