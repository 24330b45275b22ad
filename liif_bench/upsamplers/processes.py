"""Programs with a limit of time: nothing of them is left behind, and what they say is bounded."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO

_TAIL = 8192  # bytes of an output that are kept
_LAST_LINE = 300  # characters of its last line that are shown
_GRACE = 1.0  # seconds for the rest of an output, once its writers are gone


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code, negative for a signal; None if it ran out of time.
        last_line: The last line of its standard error, or else of its standard output.
    """

    code: int | None
    last_line: str


class _Tail:
    """Reads a stream to its end in a thread of its own and keeps the last bytes."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._kept = b""
        self._stream = stream
        self._thread = Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        with self._stream:
            while block := os.read(self._stream.fileno(), 1 << 16):
                self._kept = (self._kept + block)[-_TAIL:]

    def last_line(self) -> str:
        """Return the last line that is not empty, as plain text."""
        self._thread.join(_GRACE)
        text = self._kept.decode(errors="replace")
        lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
        return next((line[:_LAST_LINE] for line in reversed(lines) if line), "")


def run_limited(argv: Sequence[str], seconds: float) -> Ended:
    """Run a program without a shell, and end its whole process group however it goes.

    Its standard input is empty. A descendant that makes a session of its own is beyond reach.

    Args:
        argv: Program and arguments.
        seconds: Most time that it may take.

    Raises:
        OSError: It cannot be started.
        ValueError: An argument holds a zero byte.
    """
    process = subprocess.Popen(
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    outputs = [_Tail(stream) for stream in (process.stderr, process.stdout) if stream]
    code = None
    try:
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(seconds)
    finally:
        end_group(process)
    return Ended(code, next(filter(None, (output.last_line() for output in outputs)), ""))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that leads a session, with all that is left of its group, and reap it."""
    if os.name == "posix":
        with suppress(ProcessLookupError, PermissionError):  # nobody is left, or zombies alone
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
