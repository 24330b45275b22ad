"""Parts of a plan, for schedulers that know nothing but numbered jobs. Needs no torch."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from liif_bench.errors import LiifBenchError
from liif_bench.records import CaseKey


class _HasKey(Protocol):
    @property
    def key(self) -> CaseKey: ...


Keyed = TypeVar("Keyed", bound=_HasKey)


@dataclass(frozen=True)
class Shard:
    """One of several parts of a plan.

    Attributes:
        number: Which, from 1.
        count: Of how many.
    """

    number: int
    count: int

    def part(self, tasks: Sequence[Keyed]) -> list[Keyed]:
        """Return this part of the tasks, in their order.

        They are dealt out in the order of a hash of their names: no part gets all large scales or
        all images of a data set, every part differs by one case at most in number, and which part
        a case belongs to depends on nothing but the plan.
        """
        dealt = sorted(range(len(tasks)), key=lambda place: _hash(tasks[place].key))
        return [tasks[place] for place in sorted(dealt[self.number - 1 :: self.count])]

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read a part such as ``2/3``: the second of three.

    Raises:
        LiifBenchError: It is none.
    """
    match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
    if match is None:
        raise LiifBenchError(f"shard '{text}' is not a part: write the second of three as 2/3")
    number, count = int(match[1]), int(match[2])
    if not 1 <= number <= count:
        raise LiifBenchError(
            f"shard '{text}' is not possible: the first number goes from 1 to {count}"
        )
    return Shard(number, count)


def _hash(key: CaseKey) -> bytes:
    return hashlib.sha256(repr(key).encode("utf-8", "surrogatepass")).digest()
