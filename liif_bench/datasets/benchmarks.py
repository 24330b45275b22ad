"""The named data sets of `benchmarks.toml`: ``set5``, ``set14``, ``b100`` ...

A named set is whole or refused: a mean over a part of its images is not that set's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.datasets.layouts import read_layout
from liif_bench.datasets.root import exists
from liif_bench.errors import DataUnavailableError, LiifBenchError, unknown_name
from liif_bench.shipped import read_toml

BENCHMARKS_FILE = Path(__file__).with_name("benchmarks.toml")


@dataclass(frozen=True)
class Archive:
    """A file to download.

    Attributes:
        url: Its official address.
        hash: Algorithm and hex digits, as in ``sha256:20dd...``.
        size: Bytes, perhaps rounded.
    """

    url: str
    hash: str
    size: int

    @property
    def filename(self) -> str:
        """Its name on disk: the last part of the address."""
        return self.url.rpartition("/")[2]


@dataclass(frozen=True)
class Benchmark:
    """One published set; `benchmarks.toml` explains the fields.

    Attributes:
        name: What users type.
        title: As papers call it.
        images: Number of HR images.
        scales: Those with published LR files.
        folders: Where it is looked for below the data root; a download is stored in the first.
        archives: What to download.
        members: Regular expression of its files in the archives.
        example: Where files lie once unpacked below the data root.
        citation: Where the set comes from.
        licence: On what terms, as far as they are stated.
        contains: A folder that must be in the set's, or "".
    """

    name: str
    title: str
    images: int
    scales: tuple[float, ...]
    folders: tuple[str, ...]
    archives: tuple[Archive, ...]
    members: str
    example: str
    citation: str
    licence: str
    contains: str = ""


def read_benchmarks(path: Path = BENCHMARKS_FILE) -> dict[str, Benchmark]:
    """Read a description of named sets.

    Args:
        path: A file like `benchmarks.toml`.

    Returns:
        The sets by name, in the order of the file.

    Raises:
        LiifBenchError: The file cannot be read or is not TOML.
    """
    tables = read_toml(path)
    archives = {name: Archive(**table) for name, table in tables["archives"].items()}
    described = {}
    for table in tables["set"]:
        lists = {
            "scales": tuple(float(scale) for scale in table["scales"]),
            "folders": tuple(table["folders"]),
            "archives": tuple(archives[name] for name in table["archives"]),
        }
        described[table["name"]] = Benchmark(**{**table, **lists})
    return described


def lookup(name: str, known: Mapping[str, Benchmark] | None = None) -> Benchmark:
    """Return the named set of that name.

    Args:
        name: What the user wrote.
        known: The sets to choose from; None for those of `benchmarks.toml`.

    Raises:
        LiifBenchError: No set has this name; the message names the nearest.
    """
    sets = read_benchmarks() if known is None else known
    if name not in sets:
        raise unknown_name("named data set", name, sets)
    return sets[name]


def locate(benchmark: Benchmark, root: Path) -> Path | None:
    """Return the folder of a named set below the data root.

    Args:
        benchmark: The set.
        root: The data root.

    Returns:
        The first of the set's folders that is there; None if none is.

    Raises:
        LiifBenchError: A folder cannot be looked at.
    """
    places = (root / folder for folder in benchmark.folders)
    return next((place for place in places if exists(place / benchmark.contains)), None)


def read_benchmark(benchmark: Benchmark, root: Path) -> tuple[Item, ...]:
    """Collect the images of a named set.

    Args:
        benchmark: The set.
        root: The data root.

    Returns:
        One item per HR image, sorted by name.

    Raises:
        DataUnavailableError: The set is not there; the message says how to get it.
        LiifBenchError: It is there, but is not the whole set or has no known layout.
    """
    folder = locate(benchmark, root)
    if folder is None:
        remedy = f"liif-bench data fetch {benchmark.name}"
        raise DataUnavailableError(
            f"data set '{benchmark.name}' is not below the data root '{root}' (looked for"
            f" {looked_for(benchmark)}): run '{remedy}', or set LIIF_BENCH_DATA to the folder that"
            " holds it",
            remedy,
        )
    items = read_layout(folder)
    if problem := miscount(benchmark, folder, items):
        raise LiifBenchError(
            f"{problem}: complete the set, or measure what is there as 'paired:{folder}'"
        )
    return items


def miscount(benchmark: Benchmark, folder: Path, items: tuple[Item, ...]) -> str | None:
    """Say in one line that a folder has another number of images than the set; None if not."""
    if len(items) == benchmark.images:
        return None
    return f"'{folder}' holds {len(items)} HR images, but {benchmark.title} has {benchmark.images}"


def looked_for(benchmark: Benchmark) -> str:
    """Where a named set is looked for below the data root, for messages."""
    return ", ".join((Path(folder) / benchmark.contains).as_posix() for folder in benchmark.folders)


def _named(name: str, root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the images of a set of `benchmarks.toml`; the factory of the registry's entries."""
    del argument
    return read_benchmark(lookup(name), root)


set5 = partial(_named, "set5")
set14 = partial(_named, "set14")
b100 = partial(_named, "b100")
urban100 = partial(_named, "urban100")
div2k_valid = partial(_named, "div2k-valid")
