"""The 1000 classes of ImageNet-1k, by WordNet id and by index."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from liif_bench.errors import LiifBenchError

CLASSES_FILE = Path(__file__).with_name("imagenet_classes.txt")

_INDEX = re.compile("[0-9]{1,3}")


@cache
def imagenet_classes() -> tuple[str, ...]:
    """Return the 1000 WordNet ids in the order of a classifier's outputs, which is sorted."""
    return tuple(CLASSES_FILE.read_text(encoding="ascii").split())


@cache
def _known() -> frozenset[str]:
    return frozenset(imagenet_classes())


def is_class(text: str) -> bool:
    """Whether a text is the WordNet id of an ImageNet-1k class."""
    return text in _known()


def wordnet_id(text: str) -> str:
    """Return the WordNet id of a class that is written as such, or as an index.

    Args:
        text: Such as ``n01440764`` or ``0``.

    Raises:
        LiifBenchError: It is neither.
    """
    if is_class(text):
        return text
    if _INDEX.fullmatch(text):
        return imagenet_classes()[int(text)]
    raise LiifBenchError(
        f"'{text}' is no class of ImageNet-1k: write a WordNet id such as n01440764, or an index"
        " from 0 to 999"
    )
