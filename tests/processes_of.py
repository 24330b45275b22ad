"""Which processes there are, from /proc: what the tests of other programs' processes look at."""

import os
import time
from pathlib import Path

import pytest


def children(of=None):
    """Processes, also ended ones that nobody has waited for, by parent; Linux only."""
    if not Path("/proc/self/stat").exists():
        pytest.skip("no /proc to look for processes in")
    found = set()
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = entry.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == (of or os.getpid()):
            found.add(int(entry.parent.name))
    return found


def is_running(pid):
    """Whether a process is there and has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    assert condition()
