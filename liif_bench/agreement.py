"""Metrics held against what people said, or against damage of known order: the measuring part.

Every rated image is scored against its reference as a run would score it. What comes out is a
table, one row per image and metric, that `liif_bench.analysis.agreement` reads without torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from liif_bench.analysis.agreement import AGREEMENT, GRADED
from liif_bench.datasets.base import Dataset, Item
from liif_bench.degrade import fit_pair, make_pair
from liif_bench.devices import forbid_tf32, resolve_device
from liif_bench.distort import KINDS, STRENGTHS, distort
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import finish, score_case
from liif_bench.images import RgbArray, read_rgb, to_tensor
from liif_bench.metrics import METRICS, load_metric
from liif_bench.metrics.base import Case, Metric
from liif_bench.progress import Progress, silent
from liif_bench.protocol import Protocol
from liif_bench.ratings.base import Rating, Scope
from liif_bench.records import GIVEN_LR, write_table

CROP = 256
"""Side of the central crops that graded degradations are made of, in pixels."""

ASSUMED_SCALE = 4.0
"""Scale at which LR is made where a rating names none, and for graded degradations."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Rated:
    """An image that is to be scored, with what is known of it.

    Attributes:
        about: Columns of its rows: dataset, content_id, item, method, scale, score, ...
        case_key: Images of one key share HR and LR.
        scale: For making LR, and for the borders that a protocol cuts off.
        read_hr: Reads HR, `(H, W, 3)` uint8.
        read_lr: Reads LR, `(h, w, 3)` uint8; None where there is none.
        read_sr: Makes the image of HR as tensor, `(3, H, W)` in [0, 1].
    """

    about: Row
    case_key: tuple[object, ...]
    scale: float
    read_hr: Callable[[], RgbArray]
    read_lr: Callable[[], RgbArray] | None
    read_sr: Callable[[Tensor], Tensor]


def default_metrics() -> list[str]:
    """Return the metrics that look at pictures alone: all but those of the downstream tasks.

    Those that need something else besides, an argument or a scene, are left out or found to have
    no meaning.
    """
    return [
        name
        for name, entry in METRICS.entries().items()
        if entry.target.startswith("liif_bench.metrics.") and not entry.argument_required
    ]


def graded_images(dataset: Dataset, *, crop: int = CROP, seed: int = 0) -> tuple[Rated, ...]:
    """Damage the middle of every image of a data set in every kind at every strength.

    The score is the strength, and a lower one is better. Scores may be compared within one kind on
    one image: how a strength of one kind compares with one of another is not known.

    Args:
        dataset: Holds the images.
        crop: Side of the central crop in pixels; what is smaller is taken whole.
        seed: For the kinds that draw.
    """
    return tuple(
        _graded(dataset, item, kind, strength, crop, seed)
        for item in dataset.items
        for kind in KINDS
        for strength in STRENGTHS
    )


def _graded(dataset: Dataset, item: Item, kind: str, strength: int, crop: int, seed: int) -> Rated:
    def damaged(hr: Tensor) -> Tensor:
        return distort(hr, kind, strength, seed)

    scope: Scope = "method"
    about = {
        "dataset": GRADED,
        "content_id": item.name,
        "item": f"{item.name} {kind} {strength}",
        "method": kind,
        "scale": None,
        "score": float(strength),
        "score_std": None,
        "n_raters": None,
        "score_higher_is_better": False,
        "score_scope": scope,
        "split": "",
    }
    read_hr = partial(_central, item, crop)
    return Rated(about, (dataset.name, item.name), ASSUMED_SCALE, read_hr, None, damaged)


def _central(item: Item, side: int) -> RgbArray:
    image = item.read_hr(ASSUMED_SCALE)
    top, left = (max(0, (length - side) // 2) for length in image.shape[:2])
    return np.ascontiguousarray(image[top : top + side, left : left + side])


def rated_images(ratings: Sequence[Rating]) -> tuple[Rated, ...]:
    """Return the images of ratings, those of one content together."""
    ordered = sorted(ratings, key=lambda each: (each.dataset, each.content_id))
    return tuple(map(_rated, ordered))


def first_contents(images: Sequence[Rated], limit: int | None) -> tuple[Rated, ...]:
    """Return the images of the first contents, all of them where there is no limit."""
    contents = dict.fromkeys(
        (image.about["dataset"], image.about["content_id"]) for image in images
    )
    wanted = {*list(contents)[:limit]}
    return tuple(
        image for image in images if (image.about["dataset"], image.about["content_id"]) in wanted
    )


def _rated(rating: Rating) -> Rated:
    about = {
        "dataset": rating.dataset,
        "content_id": rating.content_id,
        "item": rating.sr_path.name,
        "method": rating.method,
        "scale": rating.scale,
        "score": rating.score,
        "score_std": rating.score_std,
        "n_raters": rating.n_raters,
        "score_higher_is_better": rating.higher_is_better,
        "score_scope": rating.score_scope,
        "split": rating.split,
    }
    lr = rating.lr_path
    return Rated(
        about,
        (rating.ref_path, lr, rating.scale),
        rating.scale or ASSUMED_SCALE,
        partial(read_rgb, rating.ref_path),
        None if lr is None else partial(read_rgb, lr),
        partial(_fitting, rating),
    )


def _fitting(rating: Rating, hr: Tensor) -> Tensor:
    """Read a rated image, cut to HR, which is what LR answers to.

    Raises:
        LiifBenchError: It cannot be read, or is smaller than HR or larger by an LR pixel.
    """
    sr = to_tensor(read_rgb(rating.sr_path))
    surplus = [ours - theirs for ours, theirs in zip(sr.shape[1:], hr.shape[1:], strict=True)]
    if not all(0 <= each < (rating.scale or ASSUMED_SCALE) for each in surplus):
        raise LiifBenchError(
            f"'{rating.sr_path}' has {sr.shape[2]}x{sr.shape[1]} pixels, its reference"
            f" '{rating.ref_path}' {hr.shape[2]}x{hr.shape[1]}: they do not belong together"
        )
    return sr[:, : hr.shape[1], : hr.shape[2]]


def measure_agreement(
    images: Sequence[Rated],
    metrics: Sequence[str],
    protocol: Protocol,
    *,
    device: str = "auto",
    progress: Progress = silent,
) -> pd.DataFrame:
    """Score rated images.

    Args:
        images: Those that share a case stand together.
        metrics: Names as in ``liif-bench list metrics``.
        protocol: How they are scored, and how LR is made where there is none.
        device: "auto", "cpu", "cuda" or "cuda:N".
        progress: Shown what goes on.

    Returns:
        One row per image and metric. What could not be scored has an error and no value.

    Raises:
        LiifBenchError: There is no such metric.
    """
    forbid_tf32()
    where = resolve_device(device)
    ready = tuple(load_metric(metric, where) for metric in metrics)
    rows: list[Row] = []
    cases = _Cases(protocol)
    with progress.cases(len(images), len(images), len(images)) as advance:
        for image in images:
            advance(image.about["item"], 0)
            rows += _scored(image, cases, ready, protocol)
            advance(image.about["item"], 1)
    return pd.DataFrame(rows)


class _Cases:
    """The case of the latest image, which the next may share."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._latest: tuple[tuple[object, ...], Case] | None = None

    def of(self, image: Rated) -> Case:
        """Return the case of an image, read and made anew only where it has to be.

        Raises:
            LiifBenchError: A file cannot be read, or LR and HR do not fit each other.
        """
        if self._latest is None or self._latest[0] != image.case_key:
            self._latest = None  # dropped before the next is made
            self._latest = (image.case_key, self._make(image))
        return self._latest[1]

    def _make(self, image: Rated) -> Case:
        hr = image.read_hr()
        if image.read_lr is None:
            lr, cropped = make_pair(hr, image.scale, self._protocol.lr)
            source: str = self._protocol.lr.generator
        else:
            kept, cropped = fit_pair(image.read_lr(), hr, image.scale)
            lr, source = to_tensor(kept), GIVEN_LR
        name = str(image.about["content_id"])
        return Case(self._protocol, image.scale, lr, to_tensor(cropped), source, item=name)


def _scored(
    image: Rated, cases: _Cases, metrics: Sequence[Metric], protocol: Protocol
) -> Iterator[Row]:
    try:
        case = cases.of(image)
        output = finish(image.read_sr(case.hr), protocol)
    except LiifBenchError as error:
        outcomes: list[tuple[float | None, str | None]] = [(None, str(error))] * len(metrics)
    else:
        outcomes = [score_case(metric, case, output) for metric in metrics]
    for metric, (value, reason) in zip(metrics, outcomes, strict=True):
        yield {
            **image.about,
            "metric": metric.name,
            "variant": metric.variant(protocol),
            "higher_is_better": metric.higher_is_better,
            "protocol": protocol.name,
            "protocol_hash": protocol.hash,
            "value": value,
            "error": reason,
        }


def keep_agreement(table: pd.DataFrame, folder: Path) -> Path:
    """Write the table into a folder, whole or not at all, and return its path.

    Raises:
        LiifBenchError: It cannot be written.
    """
    path = folder / f"{AGREEMENT}.parquet"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_table(path, table)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path}': {error.strerror}") from error
    return path
