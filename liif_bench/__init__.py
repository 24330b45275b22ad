"""Evaluation and realism benchmarks for arbitrary-scale super-resolution.

>>> import liif_bench
>>> run = liif_bench.run(suite="sample", scales=[2, 4, 8, 30])  # doctest: +SKIP
>>> run.records.groupby(["metric", "upsampler"])["value"].mean()  # doctest: +SKIP
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from liif_bench.crops import DEFAULT_CROPS
from liif_bench.errors import LiifBenchError
from liif_bench.records import Run, load_run

if TYPE_CHECKING:
    from liif_bench.protocol import Precision
    from liif_bench.upsamplers.base import Upsampler

__version__ = "0.1.0"

__all__ = ["LiifBenchError", "Run", "load_run", "load_upsampler", "run"]


def run(
    suite: str = "sample",
    *,
    scales: Sequence[float] | None = None,
    models: Sequence[str] | None = None,
    metrics: Sequence[str] | None = None,
    data: Sequence[str] | None = None,
    data_root: str | Path | None = None,
    memory: int | None = None,
    limit: int | None = None,
    device: str = "auto",
    precision: Precision | None = None,
    classifier: str | None = None,
    protocol: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
    retry_errors: bool = False,
    crops: int = DEFAULT_CROPS,
    engine: str = "local",
    workers: int | None = None,
    threads: int | None = None,
    case_limit: float | None = None,
    most_rss: int | None = None,
    ray_address: str | None = None,
    gpus_per_worker: float | None = None,
    shard: str | None = None,
    progress: bool = True,
) -> Run:
    """Run a suite, or continue the run in `out`.

    Args:
        suite: Name of a shipped suite or path of a ``.toml`` file.
        scales: Instead of the suite's.
        models: Upsamplers instead of the suite's.
        metrics: Instead of the suite's.
        data: Data sets instead of the suite's, such as ``["set5", "folder:photos"]``.
        data_root: Folder of the named data sets; LIIF_BENCH_DATA or a folder of the cache where
            None.
        memory: Bytes that an upsampler may hold beyond LR and its output; 512 MiB where None.
        limit: At most this many items of each data set.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: "float32", "bfloat16" or "float16" instead of the protocol's.
        classifier: Of the zoom metrics instead of the protocol's, such as "timm:resnet50".
        protocol: Preset or path of a ``.toml`` file instead of the suite's.
        out: Folder of the run; a new one under ``reports/`` where None.
        seed: For whatever draws random numbers.
        retry_errors: Measure again the finished cases that hold an error.
        crops: Images of each data set that small example crops are kept of; 0 for none.
        engine: Where cases are measured, "local", "processes" or "ray"; it changes no number.
        workers: Cases at work at a time; one per core where None.
        threads: Of PyTorch, per worker; the cores shared evenly where None.
        case_limit: Seconds after which a case is an error and its worker is replaced.
        most_rss: Bytes that a worker may have resident after a case before it is replaced.
        ray_address: "auto" or "HOST:PORT" of a Ray cluster; one of this machine where None.
        gpus_per_worker: GPUs that each worker of Ray asks for, such as 0.5.
        shard: Part of the plan to measure, such as "2/3"; see ``liif-bench merge``.
        progress: Show a bar on standard error.

    Returns:
        The run; its `records` are a pandas DataFrame.

    Raises:
        LiifBenchError: Wrong names or numbers, data that cannot be opened, a model that cannot be
            loaded, an `out` that belongs to another run, a folder that cannot be written.
    """
    from rich.console import Console

    from liif_bench.engines import EngineOptions, make_engine
    from liif_bench.harness import run_plan
    from liif_bench.progress import Bars, silent
    from liif_bench.shards import parse_shard
    from liif_bench.suite import make_plan

    options = EngineOptions(
        engine, workers, threads, case_limit, most_rss, ray_address, gpus_per_worker
    )
    part = None if shard is None else parse_shard(shard)
    plan = make_plan(
        suite,
        scales=scales,
        models=models,
        metrics=metrics,
        data=data,
        data_root=None if data_root is None else Path(data_root),
        memory=memory,
        limit=limit,
        device=device,
        precision=precision,
        classifier=classifier,
        protocol=protocol,
        seed=seed,
    )
    return run_plan(
        plan,
        None if out is None else Path(out),
        engine=make_engine(options),
        shard=part,
        retry_errors=retry_errors,
        crops=crops,
        command=["liif_bench.run"],
        progress=Bars(Console(stderr=True)) if progress else silent,
    )


def load_upsampler(name: str, device: str = "auto", precision: Precision = "float32") -> Upsampler:
    """Load an upsampler with its weights.

    Args:
        name: Such as "bicubic", "liif-edsr" or "liif-edsr:my-checkpoint.pth".
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: Number format of its network.

    Returns:
        The upsampler: ``encode(lr).render((H, W))`` with `lr` a `(3, h, w)` tensor in [0, 1].

    Raises:
        LiifBenchError: Unknown name or device; weights missing or of another architecture.
    """
    from liif_bench.devices import resolve_device
    from liif_bench.upsamplers import load_upsampler as load
    from liif_bench.upsamplers.base import Options

    return load(name, Options(device=resolve_device(device), precision=precision))
