"""Engines: where the cases of a run are measured. Importing this needs no torch.

`local` measures in this process, `processes` in several on this machine, `ray` on many machines.
The numbers do not depend on it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from liif_bench.errors import LiifBenchError, unknown_name

if TYPE_CHECKING:
    from liif_bench.engines.base import Engine

ENGINES = {
    "local": "one process, a case at a time, every core on it",
    "processes": "several processes on this machine, a case each; survives lost workers",
    "ray": "workers of a Ray cluster on many machines (pip install 'liif-bench[ray]')",
}


@dataclass(frozen=True)
class EngineOptions:
    """Which engine, and how.

    Attributes:
        name: One of `ENGINES`.
        workers: Cases at work at a time; None for the engine's own choice.
        threads: Of PyTorch, per worker; the cores shared evenly where None.
        case_limit: Seconds that a case may take before it becomes an error; None for no limit.
        most_rss: Bytes that a worker may have resident after a case; it is replaced then.
        ray_address: "auto" or "HOST:PORT" of a Ray cluster; a cluster of this machine where None.
        gpus_per_worker: GPUs that each worker of Ray asks for, such as 0.5.
    """

    name: str = "local"
    workers: int | None = None
    threads: int | None = None
    case_limit: float | None = None
    most_rss: int | None = None
    ray_address: str | None = None
    gpus_per_worker: float | None = None

    def __post_init__(self) -> None:
        if self.name not in ENGINES:
            raise unknown_name("engine", self.name, ENGINES)
        for what, number in (("workers", self.workers), ("threads", self.threads)):
            if number is not None and number < 1:
                raise LiifBenchError(f"--{what} {number} is not possible: give at least 1")
        if self.case_limit is not None and not self.case_limit > 0:
            raise LiifBenchError(f"--case-limit {self.case_limit:g}: give seconds above 0")
        for what, given, engines in (
            ("workers", self.workers, ("processes", "ray")),
            ("case-limit", self.case_limit, ("processes", "ray")),
            ("recycle", self.most_rss, ("processes",)),
            ("ray-address", self.ray_address, ("ray",)),
            ("gpus-per-worker", self.gpus_per_worker, ("ray",)),
        ):
            if given is not None and self.name not in engines:
                raise LiifBenchError(
                    f"--{what} has no meaning with --engine {self.name}: use --engine"
                    f" {' or '.join(engines)}"
                )
        if self.gpus_per_worker is not None and not self.gpus_per_worker >= 0:
            raise LiifBenchError(f"--gpus-per-worker {self.gpus_per_worker:g}: give 0 or more")


def make_engine(options: EngineOptions) -> Engine:
    """Make the engine that options ask for.

    Raises:
        LiifBenchError: What it needs is not installed, or its cluster does not answer.
    """
    if options.name == "processes":
        from liif_bench.engines.processes import Processes

        workers = options.workers or cores()
        return Processes(
            workers,
            options.threads or max(1, cores() // workers),
            options.case_limit,
            options.most_rss,
        )
    if options.name == "ray":
        from liif_bench.engines.ray_cluster import make_ray

        return make_ray(options)
    from liif_bench.engines.local import Local

    return Local(options.threads)


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


__all__ = ["ENGINES", "EngineOptions", "cores", "make_engine"]
