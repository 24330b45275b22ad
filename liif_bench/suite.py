"""Suites: versioned files that say what a run measures, and the plan that a command makes of one.

Nothing here imports torch, so that a wrong word on the command line is refused at once.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from liif_bench.datasets import DATASETS
from liif_bench.downstream import CLASSIFIERS
from liif_bench.errors import LiifBenchError, unknown_name
from liif_bench.metrics import METRICS
from liif_bench.protocol import Precision, Protocol, load_protocol
from liif_bench.shipped import read_toml, suites_folder, validate_file
from liif_bench.upsamplers import UPSAMPLERS

LEAST_MEMORY = 64 << 20


class Suite(BaseModel):
    """What a run measures.

    Attributes:
        name: As in records.
        version: Raised whenever the suite measures something else.
        description: One line for people.
        protocol: Name of the protocol.
        datasets: Data sets, ``name`` or ``name:argument``.
        scales: Real numbers >= 1.
        models: Upsamplers, in the order of the table's rows.
        metrics: In the order of the table's sections.
        optional: Those of `models` that are left out, with a warning, where what they need is not
            installed.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$")
    version: int = Field(ge=1)
    description: str
    protocol: str
    datasets: tuple[str, ...] = Field(min_length=1)
    scales: tuple[float, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(min_length=1)
    metrics: tuple[str, ...] = Field(min_length=1)
    optional: tuple[str, ...] = ()

    @field_validator("scales")
    @classmethod
    def _scales(cls, scales: tuple[float, ...]) -> tuple[float, ...]:
        try:
            return tuple(check_scale(scale) for scale in scales)
        except LiifBenchError as error:
            raise ValueError(str(error)) from error  # so that the message names the file

    @model_validator(mode="after")
    def _optional_ones_are_models(self) -> Suite:
        for model in self.optional:
            if model not in self.models:
                raise ValueError(f"optional: '{model}' is not among the models")
        return self


class Plan(BaseModel):
    """A suite with the command line's wishes applied: everything that decides a run's numbers.

    Attributes:
        suite: Name of the suite.
        suite_version: Its version.
        protocol: The whole protocol.
        datasets: Data sets.
        scales: Scales.
        models: Upsamplers.
        metrics: Metrics.
        limit: Use only this many items of each data set; None for all.
        device: "cpu", "cuda", ...; "auto" until the run starts.
        seed: For whatever draws random numbers.
        data_root: Folder of the named data sets; None for the default.
        memory: Bytes that an upsampler may hold beyond LR and its output; None for the default.
        left_out: Why an optional model of the suite is not among `models`, one line each.
    """

    model_config = ConfigDict(frozen=True)

    suite: str
    suite_version: int
    protocol: Protocol
    datasets: tuple[str, ...]
    scales: tuple[float, ...]
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    limit: int | None = None
    device: str = "auto"
    seed: int = 0
    data_root: Path | None = None
    memory: int | None = None
    left_out: tuple[str, ...] = ()


def suite_names() -> list[str]:
    """Return the names of the shipped suites, sorted."""
    return sorted(path.stem for path in suites_folder().glob("*.toml"))


def load_suite(name: str) -> Suite:
    """Load a suite.

    Args:
        name: One of `suite_names`, or the path of a ``.toml`` file.

    Raises:
        LiifBenchError: No such suite, or a field that is missing, unknown or wrong.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise LiifBenchError(f"suite file '{name}' does not exist")
    elif name in suite_names():
        path = suites_folder() / f"{name}.toml"
    else:
        raise unknown_name("suite", name, suite_names())
    return validate_file(Suite, path, read_toml(path), "suite file")


def make_plan(
    suite: str = "sample",
    *,
    scales: Sequence[float] | None = None,
    models: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    data: Sequence[str] | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    classifier: str | None = None,
    protocol: str | None = None,
    seed: int = 0,
    data_root: Path | None = None,
    memory: int | None = None,
) -> Plan:
    """Apply wishes to a suite and check every name and number.

    Args:
        suite: Name or path of the suite.
        scales: Instead of the suite's.
        models: Instead of the suite's.
        metrics: Instead of the suite's.
        data: Data sets instead of the suite's.
        limit: At most this many items of each data set.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: Instead of the protocol's.
        classifier: Instead of the protocol's.
        protocol: Preset or path of a ``.toml`` file instead of the suite's.
        seed: For whatever draws random numbers.
        data_root: Folder of the named data sets.
        memory: Bytes that an upsampler may hold beyond LR and its output.

    Returns:
        The plan.

    Raises:
        LiifBenchError: An unknown name, an impossible number, an empty list.
    """
    base = load_suite(suite)
    scoring = load_protocol(protocol or base.protocol)
    if precision is not None:
        if precision not in get_args(Precision):
            raise unknown_name("precision", precision, get_args(Precision))
        scoring = scoring.with_precision(precision)
    if classifier is not None:
        scoring = scoring.with_classifier(classifier.strip())
    CLASSIFIERS.parse(scoring.zoom.classifier)
    if limit is not None and limit < 1:
        raise LiifBenchError(f"limit must be at least 1, got {limit}")
    chosen_scales = base.scales if scales is None else scales
    left_out: dict[str, str] = {}
    if models is None:
        UPSAMPLERS.refuse_foreign(base.models, f"suite '{base.name}'")
        left_out = _left_out(base)
        models = [model for model in base.models if model not in left_out]
    plan = Plan(
        suite=base.name,
        suite_version=base.version,
        protocol=scoring,
        datasets=_distinct("dataset", base.datasets if data is None else data),
        scales=tuple(dict.fromkeys(check_scale(scale) for scale in chosen_scales)),
        models=_distinct("model", models),
        metrics=_distinct("metric", base.metrics if metrics is None else metrics),
        limit=limit,
        device=device,
        seed=seed,
        data_root=data_root,
        memory=memory,
        left_out=tuple(left_out.values()),
    )
    if not plan.scales:
        raise LiifBenchError("the list of scales is empty: give at least one, such as --scales 2,4")
    for registry, names in (
        (DATASETS, plan.datasets),
        (UPSAMPLERS, plan.models),
        (METRICS, plan.metrics),
    ):
        for name in names:
            registry.parse(name)
    return plan


def _left_out(suite: Suite) -> dict[str, str]:
    """Return why optional models of a suite cannot be run here, by model."""
    reasons = {}
    for model in suite.optional:
        entry, _ = UPSAMPLERS.parse(model)
        if entry.missing:
            reasons[model] = f"left out of suite '{suite.name}': {UPSAMPLERS.lack(entry)}"
    return reasons


def check_scale(scale: float) -> float:
    """Return a scale that is a finite number >= 1.

    Raises:
        LiifBenchError: It is not.
    """
    if not math.isfinite(scale) or scale < 1:
        raise LiifBenchError(f"scale {scale:g} is not possible: scales are finite numbers >= 1")
    return float(scale)


def parse_scales(text: str) -> list[float]:
    """Read a list of scales such as ``2,4,8,30``.

    Raises:
        LiifBenchError: Empty, not numbers, or numbers that are no scales.
    """
    scales = []
    for part in split_names(text, "scale"):
        try:
            scales.append(check_scale(float(part)))
        except ValueError as error:
            raise LiifBenchError(
                f"scale '{part}' is not a number: write scales as 2,4,8,30"
            ) from error
    return scales


def parse_memory(text: str) -> int:
    """Read an amount of memory such as ``512MiB``, ``2GB`` or ``268435456``.

    Returns:
        Bytes.

    Raises:
        LiifBenchError: Not an amount, or less than 64 MiB, which no network can work with.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?", text.strip(), re.IGNORECASE)
    if match is None:
        raise LiifBenchError(f"memory '{text}' is not an amount: write it as 512MiB or 2GB")
    number, unit = float(match[1]), (match[2] or "").lower()
    power = "kmgt".index(unit[0]) + 1 if unit else 0
    amount = int(number * (1024 if unit.endswith("i") else 1000) ** power)
    if amount < LEAST_MEMORY:
        raise LiifBenchError(f"memory '{text}' is too little: give at least 64MiB")
    return amount


def split_names(text: str, kind: str) -> list[str]:
    """Split a comma-separated list.

    Raises:
        LiifBenchError: It holds nothing.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise LiifBenchError(f"the list of {kind}s is empty: give at least one")
    return parts


def _distinct(kind: str, names: Sequence[str]) -> tuple[str, ...]:
    if not names:
        raise LiifBenchError(f"the list of {kind}s is empty: give at least one")
    return tuple(dict.fromkeys(names))
