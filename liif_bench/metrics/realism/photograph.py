"""Does it look like a photograph? A judge of patches that has seen photographs and enlargements.

The judge is a logistic regression on frozen features: mean and spread, over the tokens of a patch,
of an early stage of an ImageNet classifier, which sees edges and grain and no objects. It was
trained by `benchmarks/train_photograph.py`; `photograph.json` holds its weights and all about its
training. It says how like a photograph a patch is, with photographs and enlargements equally
likely beforehand, and knows neither HR nor the scale.

The table `patches` keeps what it was shown: the probability and the features of every patch. The
rows of the model `hr` are the photographs that `analysis.distribution` holds the others against.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from liif_bench.downstream.encoders import load_encoder
from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism import PATCHES
from liif_bench.protocol import Protocol

PATCH = 96
PER_SIDE = 5
WEIGHTS = "efficientnet-lite0"
ENCODER = f"{WEIGHTS}@3"
JUDGE_FILE = Path(__file__).with_name("photograph.json")

_FLOOR = 1e-3  # of a spread, before its logarithm is taken
_DECIMALS = 3  # of features in the table

Array = npt.NDArray[np.float64]


def definition() -> dict[str, Any]:
    """Return what the features are, as the judge's file must state it."""
    return {
        "patch": PATCH,
        "encoder": ENCODER,
        "pooling": f"mean and log({_FLOOR:g} + standard deviation) of each channel over tokens",
    }


def places(size: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the top and left of each patch of an image.

    As many rows and columns as fit without overlap, five at most, each in the middle of its band.

    Args:
        size: `(H, W)` in pixels.

    Returns:
        Rows before columns; empty where no patch fits.
    """
    tops, lefts = (_starts(side) for side in size)
    return [(top, left) for top in tops for left in lefts]


def _starts(side: int) -> list[int]:
    count = min(PER_SIDE, side // PATCH)
    return [((2 * number + 1) * side - count * PATCH) // (2 * count) for number in range(count)]


def patches(image: Tensor) -> Tensor:
    """Cut the patches of an image, `(3, H, W)` to `(N, 3, 96, 96)`.

    Raises:
        NotApplicableError: No patch fits.
    """
    found = places((image.shape[1], image.shape[2]))
    if not found:
        raise NotApplicableError(f"HR has a side of less than the {PATCH} pixels of a patch")
    return torch.stack([image[:, top : top + PATCH, left : left + PATCH] for top, left in found])


def features(cut: Tensor, device: str = "cpu") -> Array:
    """Return the features of patches.

    Args:
        cut: `(N, 3, 96, 96)` RGB in [0, 1].
        device: Where the encoder runs.

    Returns:
        `(N, F)`: the means of the encoder's channels over the tokens of a patch, then the
        logarithms of their standard deviations.

    Raises:
        LiifBenchError: The encoder's weights cannot be had.
    """
    tokens = load_encoder(ENCODER, device).features(cut).flatten(2).double()
    spread = tokens.std(dim=2, correction=0)
    made: Array = torch.cat([tokens.mean(dim=2), (spread + _FLOOR).log()], dim=1).numpy()
    return made


def probe() -> Tensor:
    """Return `(1, 3, 96, 96)`, a patch whose features the judge's file states.

    So that a change of the features is noticed that `definition` does not tell of.
    """
    down, right = torch.meshgrid(torch.arange(PATCH), torch.arange(PATCH), indexing="ij")
    waves = [torch.sin(down * (0.2 + each) + right * (0.5 - each)) for each in (0.0, 0.1, 0.3)]
    return (0.5 + 0.4 * torch.stack(waves))[None]


@dataclass(frozen=True)
class Judge:
    """The logistic regression.

    Attributes:
        mean: `(F,)` of the features of the photographs that it was trained on.
        spread: `(F,)` their standard deviation.
        weights: `(F,)` of the standardised features.
        bias: Log-odds where all of those are zero.
        trained_on: Names of the images that it was trained on, which it does not judge.
        sha256: Of its file.
    """

    mean: Array
    spread: Array
    weights: Array
    bias: float
    trained_on: frozenset[str]
    sha256: str

    def standardised(self, raw: Array) -> Array:
        """Return features in units of their spread over photographs, `(N, F)`."""
        made: Array = (raw - self.mean) / self.spread
        return made

    def probabilities(self, standardised: Array) -> Array:
        """Return the probability that each patch is of a photograph, `(N,)`."""
        odds = standardised @ self.weights + self.bias
        made: Array = 1 / (1 + np.exp(-odds))
        return made


@lru_cache(maxsize=4)
def load_judge(path: Path = JUDGE_FILE) -> Judge:
    """Read the judge.

    Raises:
        LiifBenchError: The file cannot be read, or was made for other features than this code
            computes.
    """
    try:
        content = path.read_bytes()
        held: Mapping[str, Any] = json.loads(content)
        judge = Judge(
            mean=np.array(held["mean"], dtype=np.float64),
            spread=np.array(held["spread"], dtype=np.float64),
            weights=np.array(held["weights"], dtype=np.float64),
            bias=float(held["bias"]),
            trained_on=frozenset(held["training"]["images"]),
            sha256=hashlib.sha256(content).hexdigest(),
        )
        made_for = held["features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LiifBenchError(f"'{path}' holds no judge of photographs: {error}") from error
    if made_for != definition():
        raise LiifBenchError(
            f"'{path}' was trained on other features than these: train it anew with"
            " benchmarks/train_photograph.py"
        )
    return judge


@dataclass(frozen=True)
class Judged:
    """Patches as the judge sees them.

    Attributes:
        places: Top and left of each.
        features: `(N, F)` standardised.
        probabilities: `(N,)` of "photograph".
    """

    places: list[tuple[int, int]]
    features: Array
    probabilities: Array


@dataclass(frozen=True)
class Photograph:
    """Mean probability, over the patches of SR, that they are of a photograph.

    Attributes:
        device: Where the encoder runs.
    """

    device: str

    name = "photograph"
    higher_is_better = True
    table = PATCHES

    def variant(self, protocol: Protocol) -> str:
        """Name the patches, the features and the judge."""
        rounded = ", uint8" if protocol.rounding == "uint8" else ""
        return f"{PATCH}-pixel patches, {ENCODER}, judge {load_judge().sha256[:8]}{rounded}"

    def needs(self, protocol: Protocol) -> tuple[str, ...]:
        """Return the registry id of the encoder's weights."""
        del protocol
        return (WEIGHTS,)

    def score(self, case: Case, output: Output) -> float:
        """Measure.

        Raises:
            NotApplicableError: The judge was trained on this image, or no patch fits.
        """
        return float(self._judged(case, output).probabilities.mean())

    def details(self, case: Case, output: Output) -> list[dict[str, Any]]:
        """Return one row per patch; see `Detailed`.

        Columns: top and left in pixels; probability of "photograph"; standardised features. Empty
        where the metric has no meaning.
        """
        try:
            judged = self._judged(case, output)
        except NotApplicableError:
            return []
        return [
            {
                "top": top,
                "left": left,
                "probability": float(probability),
                "features": np.round(row, _DECIMALS).tolist(),
            }
            for (top, left), row, probability in zip(
                judged.places, judged.features, judged.probabilities, strict=True
            )
        ]

    def _judged(self, case: Case, output: Output) -> Judged:
        judge = load_judge()
        if case.item in judge.trained_on:
            raise NotApplicableError("the judge of photographs was trained on this image")

        def look() -> Judged:
            made = judge.standardised(features(patches(output.sr), self.device))
            return Judged(places(case.size), made, judge.probabilities(made))

        return output.memo.once("photograph", look)
