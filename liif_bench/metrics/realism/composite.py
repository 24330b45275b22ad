"""Composites: one number for each dimension of realism, and one over all of them.

A composite is a formula of other metrics. Each metric is first brought to a distance d from its
perfect value and then to a loss without unit, x = d / (d + half): 0 for HR, a half at the distance
`half`, towards 1 for what is worse. A dimension is 1 - sum(weight * x), and the overall composite
the weighted mean of its dimensions; weights add up to 1. `composite.toml` holds every number, as
``python benchmarks/fit_realism.py --write`` fits them on graded degradations, where the order of
images is known because they were made that way.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import Protocol
from liif_bench.shipped import read_toml, validate_file

FILE = Path(__file__).with_name("composite.toml")

Distance = Literal["itself", "below one", "from dB"]
"""How far a value is from perfect: the value itself; 1 - value; 10^(-value / 20), which for PSNR is
the root of the mean squared error."""

Weight = Annotated[float, Field(ge=0, le=1)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Part(_Table):
    """What a metric adds to a dimension.

    Attributes:
        distance: How its value is read.
        half: The distance at which its loss is a half, in its unit.
        weight: Share in the dimension.
    """

    distance: Distance
    half: Annotated[float, Field(gt=0)]
    weight: Weight

    def loss(self, value: float) -> float:
        """Return the loss of a metric's value, 0 to 1."""
        if self.distance == "from dB":
            distance = 10 ** (-value / 20)
        else:
            distance = value if self.distance == "itself" else 1 - value
        distance = max(distance, 0.0)
        return 1.0 if math.isinf(distance) else distance / (distance + self.half)


class Composites(_Table):
    """Every composite.

    Attributes:
        dimensions: The parts of each dimension, by metric.
        overall: The weight of each dimension.
    """

    dimensions: Mapping[str, Mapping[str, Part]]
    overall: Mapping[str, Weight]

    @model_validator(mode="after")
    def _adds_up(self) -> Composites:
        if set(self.overall) != set(self.dimensions):
            raise ValueError("'overall' must weigh each of the dimensions")
        sums = {"overall": sum(self.overall.values())} | {
            name: sum(part.weight for part in parts.values())
            for name, parts in self.dimensions.items()
        }
        for name, total in sums.items():
            if abs(total - 1) > 1e-6:
                raise ValueError(f"the weights of '{name}' add up to {total:g}, not to 1")
        return self

    @property
    def hash(self) -> str:
        """Twelve digits of a SHA-256 over every number."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:12]


def read_composites(path: Path) -> Composites:
    """Read composites from a file such as `composite.toml`.

    Raises:
        LiifBenchError: The file cannot be read, or what it holds is not composites.
    """
    return validate_file(Composites, path, read_toml(path), "composites")


@cache
def shipped_composites() -> Composites:
    """Return the composites of `composite.toml`."""
    return read_composites(FILE)


@dataclass(frozen=True)
class Realism:
    """A composite as a metric: 1 for HR, towards 0 for what is worse.

    Attributes:
        device: Where networks run.
        name: As in tables and records.
        weights: Of the dimensions that it is made of.
        higher_is_better: Direction.
    """

    device: str
    name: str
    weights: Mapping[str, float]
    higher_is_better: bool = True

    def variant(self, protocol: Protocol) -> str:
        """Name the fit; where there are several dimensions, their weights."""
        del protocol
        fit = f"fit {shipped_composites().hash}"
        if len(self.weights) == 1:
            return fit
        return f"{fit}: " + ", ".join(f"{w:.2f} {name}" for name, w in self.weights.items())

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the registry ids of what its metrics read."""
        named = (load_metric(name).needs(protocol) for name in self._parts())
        return tuple(dict.fromkeys(weights_id for ids in named for weights_id in ids))

    def score(self, case: Case, output: Output) -> float:
        """Measure.

        Raises:
            LiifBenchError: One of its metrics cannot be computed of this output.
            NotApplicableError: One of them has no meaning for this case.
        """
        return 1 - sum(
            self.weights[dimension]
            * part.weight
            * part.loss(load_metric(name, self.device).score(case, output))
            for dimension in self.weights
            for name, part in shipped_composites().dimensions[dimension].items()
        )

    def _parts(self) -> list[str]:
        dimensions = shipped_composites().dimensions
        return [name for dimension in self.weights for name in dimensions[dimension]]


def overall(device: str) -> Realism:
    """Make the composite over all dimensions."""
    return Realism(device, "realism", shipped_composites().overall)


def _dimension(dimension: str, device: str) -> Realism:
    return Realism(device, f"realism-{dimension}", {dimension: 1.0})


faithfulness = partial(_dimension, "faithfulness")
attributes = partial(_dimension, "attributes")
relationships = partial(_dimension, "relationships")
style = partial(_dimension, "style")
