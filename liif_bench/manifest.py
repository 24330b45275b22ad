"""The manifest of a run: what was asked for, with which weights, versions and machine."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import torch

import liif_bench
from liif_bench.bench import Bench, network_stages, registered_weights
from liif_bench.datasets.base import Dataset
from liif_bench.engines.base import Engine
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.protocol import Difference, Protocol, differences, stored_protocol
from liif_bench.records import SCHEMA_VERSION, read_manifest
from liif_bench.shards import Shard
from liif_bench.suite import Plan
from liif_bench.upsamplers.base import Described
from liif_bench.versions import HEART, installed

_LONGEST_VALUE = 60  # characters of a plan's field in a message
_OPTIONAL = ("model_settings", "metric_weights", "shard")  # fields that only some plans have


def open_manifest(
    folder: Path,
    plan: Plan,
    datasets: Sequence[Dataset],
    bench: Bench,
    foreign: Mapping[str, str],
    engine: Engine,
    shard: Shard | None = None,
    command: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the manifest to go on with: the folder's own if its plan is the same, else a new one.

    Args:
        folder: Of the run.
        plan: What is measured.
        datasets: Its data sets.
        bench: What it is measured with.
        foreign: The SHA-256 of what its metrics read beyond the registry, by name.
        engine: Where it is measured; another one may go on.
        shard: The part of the plan that is measured; all of it where None.
        command: The command line.

    Raises:
        LiifBenchError: The folder belongs to another plan; the message names what differs.
    """
    manifest = _same_or_new(folder, plan, datasets, bench, foreign, shard, command)
    manifest["weights"] = registered_weights(bench) | dict(foreign)
    manifest["network_stages"] = network_stages(bench)
    manifest["networks"] = {
        u.name: dict(u.structure) for u in bench.upsamplers if isinstance(u, Described)
    }
    manifest["engine"] = {
        "name": engine.name, "workers": engine.workers, "threads": engine.threads
    }  # fmt: skip
    return manifest


def _same_or_new(
    folder: Path,
    plan: Plan,
    datasets: Sequence[Dataset],
    bench: Bench,
    foreign: Mapping[str, str],
    shard: Shard | None,
    command: Sequence[str],
) -> dict[str, Any]:
    upsamplers = bench.upsamplers
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
    if shard is not None:
        identity["shard"] = str(shard)
    found = read_manifest(folder)
    if found is not None:
        theirs = found.get("plan", {})
        differing = [
            Difference(key, theirs.get(key), identity.get(key))
            for key in dict.fromkeys([*identity, *(theirs.keys() & _OPTIONAL)])
            if theirs.get(key) != identity.get(key) and key != "protocol_hash"
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
        "created": now(),
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


def now() -> str:
    """Return the time of day (UTC), as manifests write it."""
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
