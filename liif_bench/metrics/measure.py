"""Metrics that are a function and a few words about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import Tensor

from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol

T = TypeVar("T")


@dataclass(frozen=True)
class Measure:
    """A number made by a function of a case and an output.

    Attributes:
        device: Where networks run.
        name: As in tables and records.
        says: The variant: unit and choices of the method.
        measure: Makes the number of a case, an output and the device.
        higher_is_better: Direction.
        weights: Registry ids of the weights that it reads.
    """

    device: str
    name: str
    says: str
    measure: Callable[[Case, Output, str], float]
    higher_is_better: bool = True
    weights: tuple[str, ...] = ()

    def variant(self, protocol: Protocol) -> str:
        """Name the unit and the choices of the method."""
        del protocol
        return self.says

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the registry ids of the weights that it reads."""
        del protocol
        return self.weights

    def score(self, case: Case, output: Output) -> float:
        """Measure, once per output: composites ask for the same number again.

        Raises:
            NotApplicableError: The number has no meaning for this case.
            LiifBenchError: It cannot be measured of this output.
        """
        key = ("value", self.name, self.says, self.device)
        return output.memo.once(key, lambda: self.measure(case, output, self.device))


def both(case: Case, output: Output, key: str, look: Callable[[Tensor], T]) -> tuple[T, T]:
    """Return what is seen of SR, once per output, and of HR, once per case.

    Args:
        case: Holds HR.
        output: Holds SR.
        key: Names what is seen, for all metrics that share it: one key, one `look`.
        look: Of a `(3, H, W)` RGB image in [0, 1].
    """
    seen = output.memo.once(key, lambda: look(output.sr))
    return seen, case.memo.once(key, lambda: look(case.hr))
