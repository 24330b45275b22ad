"""What is installed, where things run and lie, and which parts are ready. Nothing is fetched."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from packaging.requirements import Requirement

import liif_bench
from liif_bench.datasets import DATASETS, load_dataset
from liif_bench.datasets.root import default_data_root
from liif_bench.errors import DataUnavailableError, LiifBenchError, one_line
from liif_bench.metrics import METRICS
from liif_bench.paths import cache_root
from liif_bench.registry import Entry, Registry
from liif_bench.suite import Suite, load_suite
from liif_bench.upsamplers import UPSAMPLERS
from liif_bench.versions import HEART, installed
from liif_bench.weights.fetch import status
from liif_bench.weights.registry import lookup

State = Literal["ready", "to fetch", "missing", "broken"]
"""Usable; usable once weights have been fetched; not here; here, but no good."""

DEFAULT_SUITE = "sample"

_TOOLS = frozenset({"test", "lint"})  # extras that no part needs


@dataclass(frozen=True)
class Machine:
    """Where networks run.

    Attributes:
        system: Operating system and processor.
        python: Version.
        device: What ``--device auto`` takes; "" if torch cannot be asked.
        gpus: Names of the CUDA devices.
        precisions: What the networks can be run in on that device.
        cores: Processor cores that this process may use.
        threads: Threads that torch uses; None if it cannot be asked.
        threading: Environment variables that steer threads.
        memory: Bytes of memory that this process may use; None if unknown.
        memory_free: How much of it nobody uses.
    """

    system: str
    python: str
    device: str
    gpus: tuple[str, ...]
    precisions: tuple[str, ...]
    cores: int
    threads: int | None
    threading: Mapping[str, str]
    memory: int | None
    memory_free: int | None


@dataclass(frozen=True)
class Place:
    """A folder.

    Attributes:
        path: Where it is, or would be.
        exists: Whether it is there.
        writable: Whether files can be put there.
        size: Bytes of the files in it; None if they were not counted.
        disk_free: Free bytes on its disk.
    """

    path: str
    exists: bool
    writable: bool
    size: int | None
    disk_free: int


@dataclass(frozen=True)
class Part:
    """A model, a metric or a data set.

    Attributes:
        kind: "model", "metric" or "dataset".
        name: What users type.
        usage: The same with its argument.
        state: Whether it can be used.
        remark: Why not, or what there is to know; "" for nothing.
        remedy: The command that makes it ready; "" where there is none.
    """

    kind: str
    name: str
    usage: str
    state: State
    remark: str = ""
    remedy: str = ""

    @property
    def usable(self) -> bool:
        """Whether a run can use it, if need be after fetching weights."""
        return self.state in ("ready", "to fetch")


@dataclass(frozen=True)
class Diagnosis:
    """Everything that was found.

    Attributes:
        version: Of liif-bench.
        packages: Versions of what it stands on.
        machine: Where networks run.
        cache: The folder for what is fetched.
        data_root: The folder of the named data sets.
        parts: Every model, metric and data set.
        remarks: What is not as it should be, but keeps nothing from running.
        problems: Why the default run cannot be made whole; empty if it can.
    """

    version: str
    packages: Mapping[str, str]
    machine: Machine
    cache: Place
    data_root: Place
    parts: tuple[Part, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]


def diagnose(data_root: Path | None = None) -> Diagnosis:
    """Look around: packages, device, memory, folders, and every registered part.

    Imports torch and the modules of plug-ins; fetches and writes nothing.

    Args:
        data_root: Folder of the named data sets; the default one where None.

    Raises:
        LiifBenchError: A variable names the home of a user who does not exist.
    """
    root = default_data_root() if data_root is None else data_root.absolute()
    problems = []
    try:
        torch = importlib.import_module("torch")
    except Exception as error:  # a broken installation raises almost anything
        torch = None
        problems.append(f"torch cannot be imported: {one_line(error)}: install it again")
    missing, outdated = _requirements()
    parts = tuple(_parts(root))
    cached = _place(cache_root(), count=True)
    problems += missing
    problems += lacking(load_suite(DEFAULT_SUITE), parts)
    if not cached.writable and any(part.state == "to fetch" for part in parts):
        problems.append(
            f"the cache '{cached.path}' cannot be written to: set LIIF_BENCH_CACHE to a folder"
            " that can, or weights cannot be fetched"
        )
    return Diagnosis(
        version=liif_bench.__version__,
        packages=_versions(torch),
        machine=_machine(torch),
        cache=cached,
        data_root=_place(root, count=False),
        parts=parts,
        remarks=tuple(outdated),
        problems=tuple(problems),
    )


def lacking(suite: Suite, parts: Iterable[Part]) -> list[str]:
    """Say why a suite cannot be run whole.

    Args:
        suite: What would be run. The models that it calls optional do not count.
        parts: As `diagnose` finds them.

    Returns:
        One line for each part that cannot be used, with the remedy; none if it can be run.
    """
    found = {(part.kind, part.name): part for part in parts}
    lines = []
    for kind, registry, specs in (
        ("model", UPSAMPLERS, [each for each in suite.models if each not in suite.optional]),
        ("metric", METRICS, suite.metrics),
        ("dataset", DATASETS, suite.datasets),
    ):
        for spec in specs:
            try:
                part = found[kind, registry.parse(spec)[0].name]
            except LiifBenchError as error:
                lines.append(str(error))
                continue
            if not part.usable:
                remedy = f": {part.remedy}" if part.remedy else ""
                lines.append(f"{kind} '{part.name}': {part.remark}{remedy}")
    return lines


def _requirements() -> tuple[list[str], list[str]]:
    """Return what liif-bench requires and is not installed, and what is too old, one line each."""
    missing, outdated = [], []
    for requirement in _declared():
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        wanted = f"{requirement.name}{requirement.specifier}"
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            missing.append(f"{requirement.name} is not installed: pip install '{wanted}'")
            continue
        if not requirement.specifier.contains(version, prereleases=True):
            outdated.append(
                f"{requirement.name} is {version}, liif-bench asks for {requirement.specifier}:"
                f" pip install '{wanted}'"
            )
    return missing, outdated


def _declared() -> list[Requirement]:
    """Return what the installed package requires, extras included; nothing from a bare checkout."""
    try:
        return [Requirement(text) for text in metadata.requires("liif-bench") or ()]
    except metadata.PackageNotFoundError:
        return []


def _versions(torch: Any) -> dict[str, str]:
    """Return the versions of the packages at the heart, and of what installed extras brought."""
    found = installed((*HEART, *(each.name for each in _declared() if _of_an_extra(each))))
    if torch is not None:
        found["torch"] = torch.__version__  # with its build tag, which the package's version lacks
    return found


def _of_an_extra(requirement: Requirement) -> bool:
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return False
    return not any(marker.evaluate({"extra": tool}) for tool in _TOOLS)


def _machine(torch: Any) -> Machine:
    gpus: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    device, threads = "", None
    if torch is not None:
        from liif_bench.devices import resolve_device

        device, threads = resolve_device("auto"), torch.get_num_threads()
        gpus = tuple(map(torch.cuda.get_device_name, range(torch.cuda.device_count())))
        precisions = _precisions(torch, device)
    total, free = _memory()
    return Machine(
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        device=device,
        gpus=gpus,
        precisions=precisions,
        cores=_cores(),
        threads=threads,
        threading={
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith("OMP_") or name == "MKL_NUM_THREADS"
        },
        memory=total,
        memory_free=free,
    )


def _precisions(torch: Any, device: str) -> tuple[str, ...]:
    """Return the number formats of `protocol.Precision` that a device can be asked for."""
    if device == "cpu":
        return ("float32", "bfloat16")
    brain = ("bfloat16",) if torch.cuda.is_bf16_supported() else ()
    return ("float32", *brain, "float16")


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory() -> tuple[int | None, int | None]:
    """Return bytes of memory, all and free, of the machine or of the container's limit."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None, None
    free = None
    for line in _text(Path("/proc/meminfo")).splitlines():
        if line.startswith("MemAvailable:"):
            free = int(line.split()[1]) * 1024
    limit, used = (_text(Path("/sys/fs/cgroup") / f"memory.{name}") for name in ("max", "current"))
    if limit.isdecimal() and int(limit) < total:
        total = int(limit)
        if free is not None and used.isdecimal():
            free = min(free, max(0, total - int(used)))
    return total, free


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _place(path: Path, *, count: bool) -> Place:
    nearest = next(each for each in (path, *path.parents) if each.exists())
    return Place(
        path=str(path),
        exists=nearest == path,
        writable=nearest.is_dir() and os.access(nearest, os.W_OK),
        size=sum(_sizes(path)) if count else None,
        disk_free=shutil.disk_usage(nearest).free,
    )


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            if path.is_file():
                yield path.stat().st_size
        except OSError:
            continue


def _parts(root: Path) -> Iterator[Part]:
    """Yield every registered part in the state that it is in."""
    known = cache(status)  # the same file may serve several parts
    for registry in (UPSAMPLERS, METRICS, DATASETS):
        for entry in registry.entries().values():
            try:
                yield _part(registry, entry, root, known)
            except Exception as error:  # whatever is wrong with one part, the next is looked at
                yield Part(registry.kind, entry.name, entry.usage, "broken", one_line(error))


def _part(registry: Registry, entry: Entry, root: Path, known: Callable[[str], str]) -> Part:
    def part(state: State, remark: str = "", remedy: str = "") -> Part:
        return Part(registry.kind, entry.name, entry.usage, state, remark, remedy)

    if entry.missing:
        needs = f"needs {' and '.join(entry.missing)}"
        return part("missing", needs, entry.remedy)
    if entry.package:
        registry.factory(entry.name)
        return part("ready", f"plug-in of {entry.package}")
    damaged = [each for each in entry.weights if known(each) == "mismatch"]
    if damaged:
        files = f"weights {', '.join(damaged)} in the cache are not as registered"
        return part("broken", files, f"liif-bench weights fetch {' '.join(damaged)}")
    wanted = [each for each in entry.weights if known(each) == "missing"]
    if wanted:
        archives = {lookup(each).distribution for each in wanted}
        size = sum(archive.size for archive in archives) / 1e6
        remark = f"first use fetches {size:.0f} MB"
        return part("to fetch", remark, f"liif-bench weights fetch {' '.join(wanted)}")
    if registry is DATASETS and not entry.argument_required:
        try:
            count = len(load_dataset(entry.name, root).items)
        except DataUnavailableError as error:
            return part("missing", "not there" if error.remedy else str(error), error.remedy)
        return part("ready", f"{count} images")
    return part("ready")
