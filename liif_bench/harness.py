"""The harness: suite -> cases -> records, in a folder that survives being killed."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

import liif_bench
from liif_bench.crops import DEFAULT_CROPS
from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Dataset, Item, check_pairs
from liif_bench.devices import forbid_tf32, resolve_device
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.evaluate import Bench, Prepared, measure_case, prepare
from liif_bench.examples import Examples
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Identified, Metric
from liif_bench.profile import ELSE, WAITING, Stopwatch, encode_stage, render_stage
from liif_bench.progress import Progress, silent
from liif_bench.protocol import Difference, Protocol, differences, stored_protocol
from liif_bench.records import (
    JOURNAL,
    MANIFEST,
    SCHEMA_VERSION,
    CaseKey,
    CaseRows,
    Journal,
    Run,
    load_run,
    read_manifest,
    write_details,
    write_manifest,
    write_records,
)
from liif_bench.suite import Plan
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import DEFAULT_MEMORY, Described, Options, Upsampler
from liif_bench.versions import HEART, installed
from liif_bench.weights.fetch import ensure
from liif_bench.weights.registry import lookup

_LONGEST_VALUE = 60  # characters of a plan's field in a message


@dataclass(frozen=True)
class Task:
    """A case to be measured: where it stands in the plan, and what it costs."""

    dataset: str
    item: Item
    scale: float

    @property
    def key(self) -> CaseKey:
        """What the journal calls it."""
        return (self.dataset, self.item.name, self.scale)

    @property
    def cost(self) -> float:
        """Megapixels of HR; something small where the file cannot be read."""
        try:
            return self.item.pixels / 1e6
        except LiifBenchError:
            return 0.01


def run_plan(
    plan: Plan,
    out: Path | None = None,
    *,
    retry_errors: bool = False,
    crops: int = DEFAULT_CROPS,
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Run:
    """Measure everything that a plan asks for.

    Args:
        plan: What to measure.
        out: Folder of the run, made or continued; ``reports/<suite>-<time>`` where None.
        retry_errors: Measure again the finished cases that hold an error.
        crops: Images of each data set that example crops are kept of, the first ones; see
            `liif_bench.crops`. They change no number, and finished cases get none.
        command: The command line, for the manifest.
        progress: Shown what goes on.

    Returns:
        The finished run.

    Raises:
        LiifBenchError: The data cannot be opened, a model cannot be loaded, or `out` belongs to
            another plan or process. Nothing has been written then.
    """
    forbid_tf32()
    device = resolve_device(plan.device)
    plan = plan.model_copy(update={"device": device})
    datasets = [load_dataset(spec, plan.data_root).limited(plan.limit) for spec in plan.datasets]
    if plan.protocol.lr.given:
        for dataset in datasets:
            check_pairs(dataset.items, plan.scales)
    for reason in plan.left_out:
        progress.warn(reason)
    upsamplers = _load_upsamplers(plan, progress)
    folder = out or fresh_folder(plan.suite)
    bench = _bench(folder.name, plan, upsamplers, progress)
    foreign = _foreign_weights(bench)
    with _claimed(folder):
        manifest = _open_manifest(folder, plan, datasets, upsamplers, foreign, command)
        manifest["weights"] = _weights(upsamplers, bench, plan.protocol) | foreign
        manifest["network_stages"] = _network_stages(bench)
        manifest["networks"] = {
            u.name: dict(u.structure) for u in upsamplers if isinstance(u, Described)
        }
        write_manifest(folder, manifest)
        tasks = [
            Task(dataset.name, item, scale)
            for dataset in datasets
            for item in dataset.items
            for scale in plan.scales
        ]
        examples = Examples(folder, datasets, crops)
        cases = _measure(folder, bench, tasks, manifest, retry_errors, examples, progress)
        records = list(chain.from_iterable(rows.records for rows in cases))
        write_details(folder, cases)
        write_records(folder, records)
        manifest["finished"] = _now()
        manifest["cases"] = len(tasks)
        manifest["peak_rss_bytes"] = max(peak_rss(), manifest.get("peak_rss_bytes", 0))
        manifest["errors"] = sum(record.is_failure for record in records)
        write_manifest(folder, manifest)
    return load_run(folder)


def peak_rss() -> int:
    """Return the most memory that this process has had resident, in bytes; 0 if unknown."""
    if sys.platform == "win32":
        return 0
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _measure(
    folder: Path,
    bench: Bench,
    tasks: Sequence[Task],
    manifest: dict[str, Any],
    retry_errors: bool,
    examples: Examples,
    progress: Progress,
) -> list[CaseRows]:
    """Measure the cases that the journal lacks; return the rows of all in the plan's order."""
    journal = Journal(folder / JOURNAL)
    journal.drop_cut_line()
    done = journal.read_cases()
    if retry_errors:
        failed = {key for key, rows in done.items() if any(row.is_failure for row in rows.records)}
        done = {key: rows for key, rows in done.items() if key not in failed}
    waiting = [task for task in tasks if task.key not in done]
    costs = [task.cost for task in waiting]
    wall = 0.0
    coming = _prepared(bench, waiting)
    with (
        progress.cases(len(tasks), len(waiting), sum(costs)) as advance,
        closing(coming),
    ):
        for task, cost in zip(waiting, costs, strict=True):
            start = time.perf_counter()
            label = f"{task.item.name} x{task.scale:g}"
            on_step = _stepper(label, advance)
            keep = examples.of(task.key)
            rows = measure_case(
                bench, task.dataset, task.item, task.scale, on_step, next(coming), keep
            )
            examples.write()
            journal.append(task.key, rows.records, rows.details)
            done[task.key] = rows
            wall += time.perf_counter() - start
            advance(label, cost)
    manifest["wall_seconds"] += wall
    bench.stopwatch.add(ELSE, wall - bench.stopwatch.foreground)
    manifest["stages"] = _sums(manifest.get("stages", {}), bench.stopwatch.seconds)
    return [done[task.key] for task in tasks]


def _prepared(bench: Bench, tasks: Sequence[Task]) -> Generator[Prepared, None, None]:
    """Yield each task's case; while it is at work, a thread makes the next one, and no more."""
    worker = ThreadPoolExecutor(1)

    def begin(task: Task) -> Future[Prepared]:
        return worker.submit(prepare, bench, task.item, task.scale)

    futures = map(begin, tasks)
    try:
        coming = next(futures, None)
        while coming is not None:
            with bench.stopwatch.stage(WAITING):
                prepared = coming.result()
            coming = next(futures, None)
            yield prepared
    finally:
        worker.shutdown(wait=False, cancel_futures=True)


def _sums(before: dict[str, float], now: dict[str, float]) -> dict[str, float]:
    return {name: before.get(name, 0.0) + now.get(name, 0.0) for name in before | now}


def _stepper(label: str, advance: Callable[[str, float], None]) -> Callable[[str], None]:
    return lambda step: advance(f"{label} · {step}", 0)


def _load_upsamplers(plan: Plan, progress: Progress) -> tuple[Upsampler, ...]:
    memory = DEFAULT_MEMORY if plan.memory is None else plan.memory
    options = Options.under(plan.protocol.network, plan.device, memory)
    upsamplers = tuple(load_upsampler(model, options, progress.warn) for model in plan.models)
    _check_distinct("models", upsamplers, ": rename a checkpoint file, or add ?name=")
    return upsamplers


def _check_distinct(kind: str, parts: Sequence[Upsampler | Metric], remedy: str = "") -> None:
    """Refuse parts whose rows could not be told apart."""
    name, count = Counter(part.name for part in parts).most_common(1)[0]
    if count > 1:
        raise LiifBenchError(f"two {kind} would be called '{name}'{remedy}")


def _bench(name: str, plan: Plan, upsamplers: tuple[Upsampler, ...], progress: Progress) -> Bench:
    """Make the metrics; one whose weights cannot be had is broken, not fatal."""
    metrics = tuple(load_metric(metric, plan.device) for metric in plan.metrics)
    _check_distinct("metrics", metrics)
    needed = {metric.name: metric.needs(plan.protocol) for metric in metrics}
    unavailable: dict[str, str] = {}
    for weights_id in dict.fromkeys(chain.from_iterable(needed.values())):
        try:
            ensure(weights_id)
        except LiifBenchError as error:
            unavailable[weights_id] = str(error)
            progress.warn(str(error))
    broken = {
        metric: next(unavailable[each] for each in ids if each in unavailable)
        for metric, ids in needed.items()
        if unavailable.keys() & set(ids)
    }
    return Bench(
        run=name,
        suite=plan.suite,
        suite_version=plan.suite_version,
        protocol=plan.protocol,
        upsamplers=upsamplers,
        metrics=metrics,
        broken=broken,
        seed=plan.seed,
        stopwatch=Stopwatch(plan.device),
    )


def _network_stages(bench: Bench) -> list[str]:
    """Return the stages that a network works in: its encoder, decoder or a metric's own."""
    upsamplers = [upsampler.name for upsampler in bench.upsamplers if upsampler.weights]
    metrics = [
        metric.name
        for metric in bench.metrics
        if metric.needs(bench.protocol) or _identified(metric, bench)
    ]
    return [stage(name) for name in upsamplers for stage in (encode_stage, render_stage)] + metrics


def _weights(upsamplers: Sequence[Upsampler], bench: Bench, protocol: Protocol) -> dict[str, str]:
    """Return the SHA-256 of everything pre-trained that the run reads, by id."""
    of_models = {u.weights.id: u.weights.sha256 for u in upsamplers if u.weights}
    of_metrics = {
        weights_id: lookup(weights_id).sha256
        for metric in bench.metrics
        if metric.name not in bench.broken
        for weights_id in metric.needs(protocol)
    }
    return of_models | of_metrics


def _foreign_weights(bench: Bench) -> dict[str, str]:
    """Return the SHA-256 of what metrics read beyond the registry, by name.

    Raises:
        LiifBenchError: Something of it cannot be read.
    """
    pairs = [_identified(metric, bench).items() for metric in bench.metrics]
    return dict(chain.from_iterable(pairs))


def _identified(metric: Metric, bench: Bench) -> Mapping[str, str]:
    return metric.identify(bench.protocol) if isinstance(metric, Identified) else {}


def fresh_folder(suite: str) -> Path:
    """Return a folder that does not exist yet: ``reports/<suite>-<time>``."""
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    folder = Path("reports") / f"{suite}-{stamp}"
    number = 2
    while folder.exists():
        folder = Path("reports") / f"{suite}-{stamp}-{number}"
        number += 1
    return folder


@contextmanager
def _claimed(folder: Path) -> Iterator[None]:
    """Make the run's folder and keep other processes out of it."""
    if folder.exists() and not folder.is_dir():
        raise LiifBenchError(f"--out '{folder}' is a file: name a folder")
    if folder.is_dir() and not (folder / MANIFEST).is_file():
        strangers = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if strangers:
            raise LiifBenchError(
                f"--out '{folder}' is not a run and not empty (it holds '{strangers[0]}'):"
                " name a new folder"
            )
    lock = FileLock(folder / ".lock")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise LiifBenchError(f"another process is writing '{folder}': wait for it") from error
    except OSError as error:
        raise LiifBenchError(f"cannot write --out '{folder}': {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _open_manifest(
    folder: Path,
    plan: Plan,
    datasets: Sequence[Dataset],
    upsamplers: Sequence[Upsampler],
    foreign: Mapping[str, str],
    command: Sequence[str],
) -> dict[str, Any]:
    """Return the manifest to go on with: the folder's own if its plan is the same, else a new one.

    Raises:
        LiifBenchError: The folder belongs to another plan; the message names what differs.
    """
    identity: dict[str, Any] = {
        "suite": plan.suite,
        "suite_version": plan.suite_version,
        "protocol": plan.protocol.name,
        "protocol_hash": plan.protocol.hash,
        "datasets": {
            dataset.name: {"items": len(dataset.items), "sha256": dataset.fingerprint()}
            for dataset in datasets
        },
        "scales": list(plan.scales),
        "models": {u.name: u.weights.sha256 if u.weights else None for u in upsamplers},
        "metrics": list(plan.metrics),
        "limit": plan.limit,
        "device": plan.device,
        "seed": plan.seed,
        "liif_bench": liif_bench.__version__,
    }
    if settings := {u.name: dict(u.settings) for u in upsamplers if u.settings}:
        identity["model_settings"] = settings
    if foreign:
        identity["metric_weights"] = dict(foreign)
    found = read_manifest(folder)
    if found is not None:
        theirs = found.get("plan", {})
        differing = [
            Difference(key, theirs.get(key), identity[key])
            for key in identity
            if theirs.get(key) != identity[key] and key != "protocol_hash"
        ]
        if theirs.get("protocol_hash") != plan.protocol.hash:
            differing += _differing_fields(found, plan.protocol, folder)
        if differing:
            key, there, here = differing[0]
            raise LiifBenchError(
                f"--out '{folder}' belongs to a run with another"
                f" {', '.join(each.field for each in differing)}"
                f" ({key} there: {shorten(str(there), _LONGEST_VALUE)},"
                f" here: {shorten(str(here), _LONGEST_VALUE)}); name a new folder"
            )
        return found
    return {
        "schema_version": SCHEMA_VERSION,
        "run": folder.name,
        "created": _now(),
        "finished": None,
        "wall_seconds": 0.0,
        "command": list(command),
        "plan": identity,
        "request": {
            "datasets": list(plan.datasets),
            "models": list(plan.models),
            "left_out": list(plan.left_out),
            "data_root": None if plan.data_root is None else str(plan.data_root.absolute()),
        },
        "protocol": plan.protocol.model_dump(),
        "versions": _versions(),
        "git": _git_state(),
        "machine": _machine(plan.device),
    }


def _differing_fields(
    manifest: dict[str, Any], protocol: Protocol, folder: Path
) -> list[Difference]:
    """Return the fields in which a run's protocol is another; its hash if they cannot be told."""
    try:
        return differences(stored_protocol(manifest.get("protocol", {}), folder), protocol)
    except LiifBenchError:  # written by a liif-bench whose protocols had other fields
        theirs = manifest.get("plan", {}).get("protocol_hash")
        return [Difference("protocol_hash", theirs, protocol.hash)]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _versions() -> dict[str, str]:
    own = {"liif-bench": liif_bench.__version__, "python": platform.python_version()}
    # torch's own word has a build tag, which the package's version lacks
    return own | installed(HEART) | {"torch": torch.__version__}


def _machine(device: str) -> dict[str, Any]:
    cuda = torch.device(device).type == "cuda"
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "threads": torch.get_num_threads(),
    }


def _git_state() -> dict[str, Any] | None:
    """Return revision and dirty flag of the repository that the command was typed in, if any."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=True, timeout=10
        )
        return done.stdout.strip()

    try:
        return {"revision": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None
