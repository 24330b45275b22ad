"""Kinds of ImageNet-1k classes, such as vehicles: coarse classes that few images can teach.

The kinds are data (`imagenet_kinds.toml`): which WordNet synsets head each, and which classes stand
below them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from liif_bench.datasets.classes import imagenet_classes
from liif_bench.shipped import read_toml, validate_file

KINDS_FILE = Path(__file__).with_name("imagenet_kinds.toml")


class Kind(BaseModel):
    """A coarse class.

    Attributes:
        name: For tables.
        synsets: WordNet ids of the synsets at its head.
        classes: Indices of its classes, such as ``151-280 403``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(min_length=1)
    synsets: tuple[str, ...] = Field(min_length=1)
    classes: str = Field(pattern=r"^\s*\d{1,3}(-\d{1,3})?(\s+\d{1,3}(-\d{1,3})?)*\s*$")

    def indices(self) -> Iterator[int]:
        """Yield the indices of its classes, ascending."""
        for part in self.classes.split():
            first, _, last = part.partition("-")
            yield from range(int(first), int(last or first) + 1)


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    source: str
    licence: str
    kind: tuple[Kind, ...]


@cache
def kinds() -> tuple[Kind, ...]:
    """Return the kinds, in the order of the file."""
    return validate_file(_File, KINDS_FILE, read_toml(KINDS_FILE), "file of kinds").kind


@cache
def _kind_by_class() -> dict[str, str]:
    classes = imagenet_classes()
    return {classes[index]: kind.name for kind in kinds() for index in kind.indices()}


def kind_of(labels: Iterable[str]) -> str | None:
    """Return the kind of an image.

    Args:
        labels: WordNet ids of its classes.

    Returns:
        The one kind that all of them are of; None where a label is of none, or two differ, or
        there is no label.
    """
    found = {_kind_by_class().get(label) for label in labels}
    return found.pop() if len(found) == 1 else None
