"""The registered weights: every fact about them is data in `registry.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from liif_bench.errors import unknown_name
from liif_bench.shipped import read_toml

REGISTRY_FILE = Path(__file__).with_name("registry.toml")


@dataclass(frozen=True)
class Distribution:
    """One file of one release on a package index.

    Attributes:
        name: Project name on the index.
        version: Release.
        filename: Exact file name of the wheel or source archive.
        sha256: Hash of that file.
        size: Its length in bytes.
    """

    name: str
    version: str
    filename: str
    sha256: str
    size: int


@dataclass(frozen=True)
class WeightsFile:
    """One file of pre-trained weights, a member of a distribution.

    Attributes:
        id: The name that users and code call it by.
        description: What it is, in a line.
        licence: Licence that the distribution states.
        distribution: The archive that carries it.
        member: Exact path inside the archive.
        sha256: Hash of the member.
        size: Length of the member in bytes.
        reader: How it is read: `torch`, `numpy-pickle` or `ncnn`.
        file: Its name in the cache folder.
        source: The project that trained or published it.
        paper: The paper that it belongs to.
    """

    id: str
    description: str
    licence: str
    distribution: Distribution
    member: str
    sha256: str
    size: int
    reader: str
    file: str
    source: str
    paper: str


def registry() -> dict[str, WeightsFile]:
    """All registered weights by id, in the order of the data file."""
    return dict(_parse(REGISTRY_FILE))


def lookup(weights_id: str) -> WeightsFile:
    """The registered weights of that id.

    Raises:
        LiifBenchError: No weights have this id; the message names the nearest ids.
    """
    known = _parse(REGISTRY_FILE)
    if weights_id not in known:
        raise unknown_name("weights", weights_id, known)
    return known[weights_id]


@cache
def _parse(path: Path) -> dict[str, WeightsFile]:
    entries: dict[str, WeightsFile] = {}
    for table in read_toml(path)["distribution"]:
        members: list[dict[str, Any]] = table.pop("member")
        distribution = Distribution(**table)
        for member in members:
            path_inside = member.pop("path")
            weights = WeightsFile(distribution=distribution, member=path_inside, **member)
            entries[weights.id] = weights
    return entries
