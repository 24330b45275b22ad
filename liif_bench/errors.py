"""The errors that reach a user: one line that says what is wrong, where, and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from liif_bench.printable import printable


class LiifBenchError(Exception):
    """Wrong usage or wrong data. The command line prints the message and exits with 2.

    Whatever name or value it quotes, it is one line that a terminal shows as it stands.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


class WeightsUnavailableError(LiifBenchError):
    """Pre-trained weights are neither in the cache nor to be fetched."""


class WeightsMismatchError(LiifBenchError):
    """A weights file or distribution does not have the sha256 that the registry states."""


class TooLittleMemoryError(LiifBenchError):
    """The host or a GPU has too little memory for what was asked."""


class DataUnavailableError(LiifBenchError):
    """A data set is neither below the data root nor to be fetched.

    Args:
        message: The one line.
        remedy: The command that gets it; "" where there is none.
    """

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy


class NotApplicableError(Exception):
    """A metric has no meaning for this case (no label, say). It becomes a record, not a failure."""


def one_line(error: Exception) -> str:
    """Return an error as one line; those that are not ours are preceded by their type."""
    text = printable(" ".join(str(error).split())) or "no message"
    return text if isinstance(error, LiifBenchError) else f"{type(error).__name__}: {text}"


def shorten(text: str, most: int) -> str:
    """Return a text of at most so many characters; one that was longer ends in dots."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def unknown_name(kind: str, name: str, known: Iterable[str]) -> LiifBenchError:
    """Build the error for a name that is not registered, with the nearest valid names.

    Args:
        kind: What the name should have been, in the singular ("model", "metric", ...).
        name: What the user wrote.
        known: Every valid name.

    Returns:
        The error, ready to be raised.
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"choose from {', '.join(names)}"
    return LiifBenchError(f"unknown {kind} '{name}': {hint}")
