"""Options behind a model's argument: ``PATH?key=value&key=value``."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from liif_bench.errors import LiifBenchError, unknown_name

if TYPE_CHECKING:
    from liif_bench.upsamplers.base import TrainingScales

_OPTIONS = re.compile(r"[a-z-]+=[^&]*(?:&[a-z-]+=[^&]*)*")
_TABLE_NAME = re.compile(r"(?=.{1,40}$)[\w(][\w.+:@()-]*(?: [\w.+:@()-]+)*")


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


def training_scales(value: str) -> TrainingScales:
    """Read the scales of a training, such as ``4``, ``2,3,4`` or ``1-4``.

    Returns:
        Ranges of scales, both ends included.

    Raises:
        LiifBenchError: It is neither a scale nor a range of scales.
    """
    ranges = []
    for part in value.split(","):
        low, _, high = part.partition("-")
        try:
            bounds = (float(low), float(high or low))
        except ValueError:
            bounds = (0.0, 0.0)
        if not 1 <= bounds[0] <= bounds[1] < math.inf:
            raise LiifBenchError(
                f"option train={value} is not possible: write the training's scales as 4, 2,3,4"
                " or 1-4"
            )
        ranges.append(bounds)
    return tuple(ranges)


def table_name(name: str) -> str:
    """Return a model's name if it can stand in a table.

    Raises:
        LiifBenchError: It is empty, longer than 40 characters, or holds unusual ones.
    """
    if not _TABLE_NAME.fullmatch(name):
        raise LiifBenchError(
            f"'{name}' cannot be a model's name in tables: add ?name= with at most 40 letters,"
            " digits, spaces and . _ - + : @ ( )"
        )
    return name


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put values into the places of a template that name them in braces, each place once.

    Args:
        template: Such as ``{item}_x{scale}.png``; other braces stay as they are.
        values: By name. Braces in them are not looked at.
    """
    places = "|".join(map(re.escape, values))
    return re.sub(rf"\{{({places})\}}", lambda place: values[place[1]], template)
