"""How a worker of any engine measures one task."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace

import torch

from liif_bench.bench import Bench, load_bench
from liif_bench.devices import forbid_tf32
from liif_bench.engines.base import Outcome, Setup, Step, Task
from liif_bench.evaluate import Prepared, measure_case, prepare
from liif_bench.examples import Cutter
from liif_bench.profile import ELSE, WAITING, Stopwatch

THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""What numerical libraries take their number of threads from when they are first loaded."""


def timed(bench: Bench) -> Bench:
    """Return a bench with a stopwatch of its own, for one task."""
    return replace(bench, stopwatch=Stopwatch(bench.stopwatch.device))


def measure(
    bench: Bench,
    task: Task,
    prepared: Prepared | None = None,
    *,
    on_step: Step = lambda _: None,
    waited: float = 0.0,
) -> Outcome:
    """Measure a task.

    Args:
        bench: With a stopwatch of the task's own; see `timed`.
        task: What is measured.
        prepared: Its case, if that has been made already.
        on_step: Told what is begun.
        waited: Wall seconds for which the case was waited for.
    """
    cutter = Cutter() if task.keep else None
    start = time.perf_counter()
    if prepared is None:
        prepared = prepare(bench, task.item, task.scale)
        waited = time.perf_counter() - start
        start += waited
    rows = measure_case(
        bench,
        task.dataset,
        task.item,
        task.scale,
        lambda name: on_step(f"{task.label} · {name}"),
        prepared,
        cutter.keep if cutter else None,
    )
    seconds = time.perf_counter() - start + waited
    bench.stopwatch.add(WAITING, waited)
    bench.stopwatch.add(ELSE, seconds - bench.stopwatch.foreground)
    return Outcome(
        task,
        rows,
        tuple(cutter.pictures) if cutter else (),
        bench.stopwatch.seconds,
        seconds,
        peak_rss(),
    )


def failed(bench: Bench, task: Task, reason: str) -> Outcome:
    """Return the outcome of a task that no worker could measure: an error in every record."""
    rows = measure_case(bench, task.dataset, task.item, task.scale, prepared=Prepared(None, reason))
    return Outcome(task, rows)


def ready_bench(setup: Setup) -> Bench:
    """Make a worker's bench, in a process of its own.

    Args:
        setup: What the run measures with.

    Raises:
        LiifBenchError: A part cannot be loaded.
    """
    forbid_tf32()
    if setup.threads is not None:
        torch.set_num_threads(setup.threads)
    return load_bench(setup.run, setup.plan, broken=setup.broken)


def leaner(bench: Bench, share: int) -> Bench:
    """Return a bench whose upsamplers hold a share of the memory, as far as they can.

    Args:
        bench: As it was made.
        share: 1 for all of the memory, 2 for half, 4 for a quarter.
    """
    while share > 1:
        upsamplers = tuple(
            bench.with_less_memory(place, bench.memory) or upsampler
            for place, upsampler in enumerate(bench.upsamplers)
        )
        bench = replace(bench, upsamplers=upsamplers, memory=bench.memory // 2)
        share //= 2
    return bench


def peak_rss() -> int:
    """Return the most memory that this process has had resident, in bytes; 0 if unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def resident() -> int:
    """Return the memory that this process has resident now, in bytes; its peak if unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - no path of ours
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return peak_rss()
