"""Whether a named set that lies below the data root is whole and as it was fetched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from liif_bench.datasets.base import Item, misfits
from liif_bench.datasets.benchmarks import Benchmark, locate, miscount
from liif_bench.datasets.layouts import read_layout
from liif_bench.errors import DataUnavailableError, LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.images import read_size

LISTING = ".liif-bench.json"
"""File in the folder of a fetched set: the sha256 of each of its files."""


def write_listing(folder: Path, benchmark: Benchmark, hashes: Mapping[str, str]) -> None:
    """Write down what was fetched.

    Args:
        folder: The set's folder.
        benchmark: The set.
        hashes: The sha256 of each file by its path in the folder, with `/`.
    """
    listing = {
        "version": 1,
        "set": benchmark.name,
        "archives": {archive.url: archive.hash for archive in benchmark.archives},
        "sha256": dict(sorted(hashes.items())),
    }
    (folder / LISTING).write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")


def verify(benchmark: Benchmark, root: Path) -> list[str]:
    """Check a named set: its images, its LR files, their sizes, and the hashes of what was fetched.

    Args:
        benchmark: The set.
        root: The data root.

    Returns:
        One line for each thing that is wrong; empty if all is well.

    Raises:
        DataUnavailableError: The set is not there.
        LiifBenchError: Its folder cannot be looked at.
    """
    folder = locate(benchmark, root)
    if folder is None:
        raise DataUnavailableError(
            f"data set '{benchmark.name}' is not below the data root '{root}':"
            f" run 'liif-bench data fetch {benchmark.name}'"
        )
    return [*_against_description(benchmark, folder), *_against_listing(folder)]


def _against_description(benchmark: Benchmark, folder: Path) -> list[str]:
    try:
        items = read_layout(folder)
    except LiifBenchError as error:
        return [str(error)]
    problems = [problem] if (problem := miscount(benchmark, folder, items)) else []
    given = items[0].lr_paths
    problems += [
        f"'{folder}' has no LR files at x{scale:g}, which {benchmark.title} is published with"
        for scale in benchmark.scales
        if scale not in given
    ]
    return [*problems, *_unreadable(items), *misfits(items, given)]


def _unreadable(items: tuple[Item, ...]) -> list[str]:
    problems = []
    for path in {path: None for item in items for path in item.files}:
        try:
            read_size(path)
        except LiifBenchError as error:
            problems.append(str(error))
    return problems


def _against_listing(folder: Path) -> list[str]:
    path = folder / LISTING
    if not path.is_file():
        return []
    try:
        hashes = json.loads(path.read_text(encoding="utf-8"))["sha256"]
        expected = {folder / name: str(sha256) for name, sha256 in hashes.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return [f"'{path}' is damaged: fetch the set again with --force"]
    problems = []
    for file, sha256 in expected.items():
        if not file.is_file():
            problems.append(f"'{file}' was fetched and is gone")
        elif file_sha256(file) != sha256:
            problems.append(f"'{file}' is not as it was fetched: its sha256 is not {sha256}")
    return problems
