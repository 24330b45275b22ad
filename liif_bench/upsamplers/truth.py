"""``hr``: the ground truth itself among the upsamplers, as the ceiling of what they can reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers import TRUTH
from liif_bench.upsamplers.base import Options, TrainingScales, Weights
from liif_bench.upsamplers.finished import FinishedImage


@dataclass(frozen=True)
class TrueImage(FinishedImage):
    """HR. What is made of it in a metric is made of nothing else, however small."""


@dataclass(frozen=True)
class Truth:
    """HR as a row of tables. The manifest says that it has seen HR."""

    name: str = TRUTH
    training_scales: TrainingScales | None = None
    weights: Weights | None = None
    settings: Mapping[str, str] = field(default_factory=lambda: {"sees": "HR"})

    def encode(self, lr: Tensor) -> TrueImage:
        """Refuse: HR cannot be told from LR.

        Raises:
            LiifBenchError: Always.
        """
        del lr
        raise LiifBenchError("'hr' is the ground truth: use it in a run, not on an LR alone")

    def encode_truth(self, hr: Tensor) -> TrueImage:
        """Return HR itself; see `Oracle.encode_truth`."""
        return TrueImage(hr)


def hr(options: Options) -> Truth:
    """Return the ground truth.

    Args:
        options: Not used: there is no network to run.
    """
    del options
    return Truth()
