"""Options behind a model's argument: ``PATH?key=value&key=value``."""

from __future__ import annotations

import re
from collections.abc import Iterable

from liif_bench.errors import LiifBenchError, unknown_name

_OPTIONS = re.compile(r"[a-z-]+=[^&]*(?:&[a-z-]+=[^&]*)*")


def split_options(argument: str, known: Iterable[str]) -> tuple[str, dict[str, str]]:
    """Split an argument from the options behind its last question mark.

    Args:
        argument: Such as ``weights/model.param?scale=4&tile=128``.
        known: The options that there are.

    Returns:
        The argument alone, and the options by name.

    Raises:
        LiifBenchError: An option that there is not, or one given twice.
    """
    head, mark, tail = argument.rpartition("?")
    if not mark or not _OPTIONS.fullmatch(tail):
        return argument, {}
    options: dict[str, str] = {}
    for part in tail.split("&"):
        name, _, value = part.partition("=")
        if name not in known:
            raise unknown_name("option", name, known)
        if name in options:
            raise LiifBenchError(f"option '{name}' is given twice in '{argument}'")
        options[name] = value
    return head, options


def choose(name: str, value: str, choices: Iterable[str]) -> str:
    """Return an option's value if it is one of the choices.

    Raises:
        LiifBenchError: It is not; the message names them.
    """
    names = list(choices)
    if value not in names:
        raise LiifBenchError(f"option {name}={value} is not possible: use {' or '.join(names)}")
    return value


def whole_number(name: str, value: str, low: int, high: int) -> int:
    """Return an option's value as a whole number within bounds.

    Raises:
        LiifBenchError: It is not one.
    """
    if not value.isdecimal() or not low <= int(value) <= high:
        raise LiifBenchError(
            f"option {name}={value} is not possible: use a whole number from {low} to {high}"
        )
    return int(value)
