"""Campaigns: thousands of hostile inputs for one reader, each under a time limit, and the tally.

A reader may answer, or refuse by a LiifBenchError of one line. Whatever else happens is a crash:
another exception, a hang, or an answer that breaks what the test says of answers.
"""

from __future__ import annotations

import faulthandler
import os
import random
import re
import signal
import struct
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from liif_bench.errors import LiifBenchError

INPUTS = int(os.environ.get("LIIF_BENCH_FUZZ", "60"))
"""Inputs per target."""

SECONDS = 10.0
"""How long a reader may compute for one input."""

PATIENCE = 12
"""How many times as long it may take by the clock."""

T = TypeVar("T")


class HangError(BaseException):
    """An input took too long. No Exception, so that no reader takes it for damage."""


@dataclass
class Tally:
    """What became of the inputs of one target."""

    target: str
    inputs: int = 0
    refused: int = 0
    accepted: int = 0
    crashes: list[str] = field(default_factory=list)


TALLIES: dict[str, Tally] = {}

STATED: dict[str, str] = {}
"""What became of single cases, by what they are."""


def stated(case: str, outcome: str) -> None:
    """Say what became of a case, once a test has seen it."""
    STATED[case] = outcome


@contextmanager
def time_limit(seconds: float = SECONDS) -> Iterator[None]:
    """End a block by HangError after so many seconds of computing, or `PATIENCE` times as many.

    On a busy machine little is computed in a second; what waits for something computes nothing.
    What native code holds on to ends the process, with a traceback.
    """
    assert threading.current_thread() is threading.main_thread()

    def ring(number: int, frame: object) -> None:
        raise HangError(f"more than {seconds:g} s")

    timers = (
        (signal.ITIMER_PROF, signal.SIGPROF, 1),
        (signal.ITIMER_REAL, signal.SIGALRM, PATIENCE),
    )
    before = [signal.signal(kind, ring) for _, kind, _ in timers]
    for timer, _, factor in timers:
        signal.setitimer(timer, factor * seconds)
    faulthandler.dump_traceback_later(2 * PATIENCE * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        for (timer, kind, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(kind, handler)


def one(target: str, what: T, read: Callable[[T], object]) -> bool:
    """Try one input, and count it; whether it was accepted."""
    tally = TALLIES.setdefault(target, Tally(target))
    tally.inputs += 1
    try:
        with time_limit():
            read(what)
    except LiifBenchError as error:
        tally.refused += 1
        if len(str(error).splitlines()) != 1:
            tally.crashes.append(f"not one line: {str(error)!r} of {what!r:.2000}")
        return False
    except (Exception, HangError) as error:  # every kind is what we are looking for
        tally.crashes.append(f"{type(error).__name__}: {error} of {what!r:.2000}")
        return False
    tally.accepted += 1
    return True


def attack(target: str, make: Callable[[random.Random], T], read: Callable[[T], object]) -> Tally:
    """Try `INPUTS` inputs, and fail with those that crashed the reader.

    Args:
        target: Name in the tally.
        make: Makes an input; it draws from the generator and from nothing else.
        read: The reader, with what has to hold of its answers.
    """
    rng = random.Random(target)
    for _ in range(INPUTS):
        one(target, make(rng), read)
    return verdict(target)


def verdict(target: str) -> Tally:
    """Fail where the target crashed; each kind of crash is shown once."""
    tally = TALLIES[target]
    kinds = {re.sub(r"\W+", " ", crash)[:60]: crash for crash in tally.crashes}
    shown = "\n".join(kinds.values())
    assert not tally.crashes, f"{len(tally.crashes)} of {tally.inputs}:\n{shown}"
    return tally


# --- mutations ----------------------------------------------------------------------------------

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (
    b"", b"0", b"-1", b"1e999", b"-1e999", b"nan", b"NaN", b"Infinity", b"inf", b"null", b"true",
    b"[]", b"{}", b'""', b"'", b'"', b"\n", b"\r\n", b"\0", b"\x1b[31m", b"\\ud800",
    b"\xed\xa0\x80", b"\xff\xfe", b"\xef\xbb\xbf", "٣".encode(), "\u202e".encode(),
    "\u2028".encode(), b"9" * 30, b"9" * 5000, b"[" * 3000, b"{" * 50, b"../../..", b"/dev/null",
    b"%s%n", b"<script>", b",", b":", b"=", b"#", b".", b"A" * 70000, b"\x85", b"\x0c",
)  # fmt: skip


def mutate(rng: random.Random, seed: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Change bytes of a good input: flips, numbers, words, cuts, repeats, parts of other inputs."""
    data = bytearray(seed)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        _MUTATIONS[rng.randrange(len(_MUTATIONS))](rng, data, others)
    return bytes(data)


def _place(rng: random.Random, data: bytearray) -> int:
    """Where to strike: the head, where the structure of most formats is, half of the time."""
    return rng.randrange(min(len(data), rng.choice((64, len(data)))) or 1)


def _flip(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[_place(rng, data)] ^= 1 << rng.randrange(8)


def _byte(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if data:
        data[_place(rng, data)] = rng.choice((0, 1, 0x20, 0x7F, 0x80, 0xFF, rng.randrange(256)))


def _number(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    kind = rng.choice(("<H", ">H", "<I", ">I", "<Q", ">Q"))
    value = rng.choice(_NUMBERS) & (0xFFFF if kind[1] == "H" else 0xFFFFFFFF)
    at = _place(rng, data)
    data[at : at + struct.calcsize(kind)] = struct.pack(kind, value)


def _digits(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    found = [match.span() for match in re.finditer(rb"[-\d.]+", data)]
    if found:
        start, end = rng.choice(found)
        data[start:end] = rng.choice(_WORDS)


def _word(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    data[at:at] = rng.choice(_WORDS)


def _cut(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    del data[_place(rng, data) :]


def _drop(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    del data[at : at + rng.choice((1, 2, 4, 16, 256))]


def _repeat(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    at = _place(rng, data)
    data[at:at] = data[at : at + rng.choice((1, 4, 16, 256))] * rng.choice((1, 2, 40))


def _splice(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    if others:
        other = rng.choice(others)
        at = rng.randrange(len(other) + 1)
        data[_place(rng, data) :] = other[at:]


def _swap_line(rng: random.Random, data: bytearray, others: Sequence[bytes]) -> None:
    lines = bytes(data).split(b"\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if rng.random() < 0.5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines[one] = lines[other]
    data[:] = b"\n".join(lines)


_MUTATIONS = (
    _flip, _flip, _byte, _number, _number, _digits, _digits, _word, _word, _cut, _drop, _repeat,
    _splice, _swap_line,
)  # fmt: skip


def with_right_checks(png: bytes) -> bytes:
    """Make every checksum of a PNG right, so that what was changed in a chunk is looked at."""
    fixed = bytearray(png)
    at = 8
    while at + 12 <= len(fixed):
        (length,) = struct.unpack_from(">I", fixed, at)
        end = at + 8 + length
        if end + 4 > len(fixed):
            break
        struct.pack_into(">I", fixed, end, zlib.crc32(fixed[at + 4 : end]))
        at = end + 4
    return bytes(fixed)
