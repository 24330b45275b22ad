"""The audit: the same outputs scored under many protocols, so that each choice shows its size.

An output is rendered once for each way of making LR and of running the network; everything else
that a protocol chooses is scored from that one render.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from torch import Tensor

from liif_bench.analysis.offsets import (
    RENDERING,
    Audit,
    needed_protocols,
    single_steps,
)
from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.datasets.folder import image_files
from liif_bench.datasets.root import find_folder
from liif_bench.devices import forbid_tf32, resolve_device
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import encode, finish, make_case, render_encoded, score_case
from liif_bench.images import read_rgb, to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Metric
from liif_bench.progress import Progress, silent
from liif_bench.protocol import NetworkRules, Precision, Protocol
from liif_bench.records import GIVEN_LR, Run
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler
from liif_bench.upsamplers.base import ContinuousImage, Options, Retunable, Upsampler

Row = dict[str, Any]


@dataclass(frozen=True)
class _Scorer:
    """Scores one output under many protocols.

    Attributes:
        metrics: Ready to score.
        where: Columns that every row of this output has.
    """

    metrics: tuple[Metric, ...]
    where: Row

    def score(self, case: Case, sr: Tensor, protocols: Iterable[Protocol]) -> list[Row]:
        """Return one row per protocol and metric; equal scorings are computed once."""
        rows = []
        for _, alike in _grouped(protocols, lambda protocol: protocol.rounding):
            output = finish(sr, alike[0])
            for protocol in alike:
                scored = replace(case, protocol=protocol)
                for metric in self.metrics:
                    rules = getattr(protocol, metric.name)
                    compute = partial(score_case, metric, scored, output)
                    value, error = output.memo.once((metric.name, rules), compute)
                    rows.append(self._row(metric, protocol, value, error))
        return rows

    def fail(self, reason: str, protocols: Iterable[Protocol]) -> list[Row]:
        """Return one row per protocol and metric that says why there is no score."""
        return [
            self._row(metric, protocol, None, reason)
            for protocol in protocols
            for metric in self.metrics
        ]

    def _row(
        self, metric: Metric, protocol: Protocol, value: float | None, error: str | None
    ) -> Row:
        return {
            **self.where,
            "metric": metric.name,
            "protocol_hash": protocol.hash,
            "value": value,
            "error": error,
        }


def audit_run(
    run: Run,
    base: Protocol,
    presets: Sequence[Protocol],
    *,
    metrics: Sequence[str] = ("psnr", "ssim"),
    scales: Sequence[float] | None = None,
    models: Sequence[str] | None = None,
    data_root: Path | None = None,
    device: str = "auto",
    progress: Progress = silent,
) -> Audit:
    """Render a run's cases again and score them under many protocols.

    Args:
        run: Says which data sets, models and scales.
        base: What the others are held against.
        presets: Protocols to hold against it.
        metrics: Some of "psnr", "ssim", "lpips".
        scales: Instead of all of the run's.
        models: Instead of all of the run's.
        data_root: Instead of the run's.
        device: "auto", "cpu", "cuda" or "cuda:N".
        progress: Shown what goes on.

    Returns:
        The audit.

    Raises:
        LiifBenchError: The run does not say what it measured, its data cannot be opened or have
            changed, a model cannot be loaded.
    """
    request = run.manifest.get("request")
    if request is None:
        raise LiifBenchError(
            f"'{run.path}' does not say which data it measured (an older liif-bench wrote it):"
            " run it again"
        )
    root = data_root or (None if request["data_root"] is None else Path(request["data_root"]))
    limit = run.manifest["plan"]["limit"]
    datasets = []
    for spec in request["datasets"]:
        dataset = load_dataset(spec, root).limited(limit)
        if dataset.fingerprint() != run.manifest["plan"]["datasets"][spec]["sha256"]:
            raise LiifBenchError(f"the files of '{spec}' are not those that '{run.path}' measured")
        datasets.append(dataset)
    if models is None:
        UPSAMPLERS.refuse_foreign(request["models"], f"the run '{run.path}'")
    chosen = tuple(_chosen("model", request["models"], models))
    at = [float(scale) for scale in _chosen("scale", run.manifest["plan"]["scales"], scales)]
    steps = single_steps(base, metrics)
    protocols = needed_protocols(base, presets, steps)
    forbid_tf32()
    where = resolve_device(device)
    ready = tuple(load_metric(metric, where) for metric in metrics)
    upsamplers = _Upsamplers(chosen, where, protocols.values(), progress.warn)
    rows: list[Row] = []
    tasks = [(d.name, item, scale) for d in datasets for item in d.items for scale in at]
    with progress.cases(len(tasks), len(tasks), len(tasks)) as advance:
        for name, item, scale in tasks:
            label = f"{item.name} x{scale:g}"
            advance(label, 0)
            rows += _audit_case(name, item, scale, upsamplers, ready, protocols)
            advance(label, 1)
    return Audit(base, tuple(presets), tuple(steps), tuple(metrics), pd.DataFrame(rows))


def _chosen(kind: str, available: Sequence[Any], wanted: Sequence[Any] | None) -> Sequence[Any]:
    if wanted is None:
        return available
    for each in wanted:
        if each not in available:
            shown = ", ".join(f"{one:g}" if kind == "scale" else one for one in available)
            raise LiifBenchError(f"{kind} {each} is not part of the run: it has {shown}")
    return wanted


class _Upsamplers:
    """Every model under every way of running networks that is asked for, loaded once."""

    def __init__(
        self,
        models: Sequence[str],
        device: str,
        protocols: Iterable[Protocol],
        notice: Callable[[str], None],
    ) -> None:
        self._loaded: dict[tuple[str, NetworkRules], Upsampler] = {}
        self.models = models
        for protocol in protocols:
            for model in models:
                if (model, protocol.network) not in self._loaded:
                    options = Options.under(protocol.network, device)
                    self._loaded[model, protocol.network] = load_upsampler(model, options, notice)

    def get(self, model: str, rules: NetworkRules) -> Upsampler:
        """Return a model that runs as these rules say."""
        return self._loaded[model, rules]


class _Encoded:
    """One LR as a model encoded it: once for all rules that change its rendering alone."""

    def __init__(self) -> None:
        self._latest: tuple[Precision, ContinuousImage] | None = None

    def under(self, rules: NetworkRules, upsampler: Upsampler, case: Case) -> ContinuousImage:
        """Return the image under some rules, encoded anew only where that is needed."""
        if self._latest is not None:
            precision, image = self._latest
            if precision == rules.precision and isinstance(image, Retunable):
                return image.under(local_ensemble=rules.local_ensemble, cell_rule=rules.cell_rule)
            self._latest = None  # dropped before the next is made
        image = encode(upsampler, case)
        self._latest = (rules.precision, image)
        return image


def _audit_case(
    dataset: str,
    item: Item,
    scale: float,
    upsamplers: _Upsamplers,
    metrics: tuple[Metric, ...],
    protocols: Mapping[str, Protocol],
) -> list[Row]:
    def lr(protocol: Protocol) -> str:
        if protocol.lr.given and scale in item.lr_paths:
            return GIVEN_LR
        return f"{protocol.lr.generator} {protocol.lr.hr_multiple}"

    def network(protocol: Protocol) -> str:
        return protocol.network.model_dump_json()

    rows: list[Row] = []
    for _, same_lr in _grouped(protocols.values(), lr):
        case, problem = None, ""
        try:
            case = make_case(same_lr[0], item, scale)
        except LiifBenchError as error:
            problem = str(error)
        for model in upsamplers.models:
            encoded = _Encoded()
            for _, alike in _grouped(same_lr, network):
                upsampler = upsamplers.get(model, alike[0].network)
                where = {"dataset": dataset, "item": item.name, "scale": scale}
                scorer = _Scorer(metrics, {**where, "upsampler": upsampler.name})
                if case is None:
                    rows += scorer.fail(problem, alike)
                    continue
                try:
                    image = encoded.under(alike[0].network, upsampler, case)
                    sr = render_encoded(upsampler, image, case)
                except LiifBenchError as error:
                    rows += scorer.fail(str(error), alike)
                    continue
                rows += scorer.score(case, sr, alike)
    return rows


def _grouped(
    protocols: Iterable[Protocol], key: Callable[[Protocol], str]
) -> list[tuple[str, list[Protocol]]]:
    """Group protocols in the order in which they come, so that the base's LR is made first."""
    groups: dict[str, list[Protocol]] = {}
    for protocol in protocols:
        groups.setdefault(key(protocol), []).append(protocol)
    return list(groups.items())


def audit_images(
    sr_folder: Path,
    hr_folder: Path,
    scale: float,
    base: Protocol,
    presets: Sequence[Protocol],
    *,
    metrics: Sequence[str] = ("psnr", "ssim"),
    device: str = "auto",
    progress: Progress = silent,
) -> Audit:
    """Score finished images under many protocols.

    How LR was made and how the network ran cannot be seen in finished images: of the protocols only
    what they say about scoring counts.

    Args:
        sr_folder: SR images, named like their HR or with ``x4``, ``_x4`` behind the name.
        hr_folder: HR images.
        scale: HR size / LR size.
        base: What the others are held against.
        presets: Protocols to hold against it.
        metrics: Some of "psnr", "ssim", "lpips".
        device: Where networks of metrics run.
        progress: Shown what goes on.

    Returns:
        The audit; its upsampler is named after `sr_folder`.

    Raises:
        LiifBenchError: An SR image without HR or the reverse, or sizes that do not fit; the message
            names the file.
    """
    pairs = _pairs(sr_folder, hr_folder, scale)
    presets = [_scoring_only(base, preset) for preset in presets]
    steps = [step for step in single_steps(base, metrics) if step.choice not in RENDERING]
    protocols = needed_protocols(base, presets, steps)
    ready = tuple(load_metric(metric, resolve_device(device)) for metric in metrics)
    rows: list[Row] = []
    with progress.cases(len(pairs), len(pairs), len(pairs)) as advance:
        for name, sr_path, hr_path in pairs:
            advance(name, 0)
            sr = to_tensor(read_rgb(sr_path))
            hr = _answered(to_tensor(read_rgb(hr_path)), sr, scale, (sr_path, hr_path))
            case = Case(base, scale, sr[:, :0, :0], hr, "unknown")
            where = {"dataset": hr_folder.name, "item": name, "scale": scale}
            scorer = _Scorer(ready, {**where, "upsampler": sr_folder.name})
            rows += scorer.score(case, sr, protocols.values())
            advance(name, 1)
    return Audit(base, tuple(presets), tuple(steps), tuple(metrics), pd.DataFrame(rows))


def _scoring_only(base: Protocol, preset: Protocol) -> Protocol:
    """Return a preset that makes LR and runs networks as another does."""
    kept = ("lr.", "network.")
    return preset.changed({key: v for key, v in base.fields.items() if key.startswith(kept)})


def _pairs(sr_folder: Path, hr_folder: Path, scale: float) -> list[tuple[str, Path, Path]]:
    hr = _by_name(hr_folder, "")
    sr = _by_name(sr_folder, rf"_?x{re.escape(f'{scale:g}')}")
    for name, path_ in sr.items():
        if name not in hr:
            raise LiifBenchError(f"'{path_}' has no HR image '{name}' in '{hr_folder}'")
    for name, path_ in hr.items():
        if name not in sr:
            raise LiifBenchError(f"'{path_}' has no SR image '{name}' in '{sr_folder}'")
    return [(name, sr[name], hr[name]) for name in sorted(sr)]


def _by_name(folder: Path, suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in image_files(find_folder(str(folder), Path())):
        name = re.sub(f"{suffix}$", "", file.stem) if suffix else file.stem
        if name in found:
            raise LiifBenchError(f"'{found[name]}' and '{file}' have one name: keep one")
        found[name] = file
    return found


def _answered(hr: Tensor, sr: Tensor, scale: float, files: tuple[Path, Path]) -> Tensor:
    """Return the part of HR that SR answers to: all but less than an LR pixel at the end."""
    surplus = [high - low for low, high in zip(sr.shape[1:], hr.shape[1:], strict=True)]
    if not all(0 <= each < scale for each in surplus):
        raise LiifBenchError(
            f"'{files[0]}' has {sr.shape[2]}x{sr.shape[1]} pixels, its HR '{files[1]}'"
            f" {hr.shape[2]}x{hr.shape[1]}: they do not belong together at x{scale:g}"
        )
    return hr[:, : sr.shape[1], : sr.shape[2]]
