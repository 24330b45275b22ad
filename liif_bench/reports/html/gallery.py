"""What the zoom viewer shows: the crops of runs, within a bound on their size."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from liif_bench.crops import HR, LR, Crop, CropFolder, crops_by_case
from liif_bench.records import CaseKey, Run
from liif_bench.reports.tables import style_of

_SHOWN_METRICS = 3  # under a picture


@dataclass(frozen=True)
class Shot:
    """One picture of a case.

    Attributes:
        name: Model, `HR` or `LR`.
        image: PNG.
        values: Metrics of the whole image as they are shown.
    """

    name: str
    image: bytes
    values: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same for pictures that are the same."""
        return hashlib.sha256(self.image).hexdigest()[:16]


@dataclass(frozen=True)
class View:
    """One window of one image at one scale, as every model renders it.

    Attributes:
        crop: Of HR; says where the window lies.
        shots: LR, the models, HR.
    """

    crop: Crop
    shots: tuple[Shot, ...]


@dataclass(frozen=True)
class Gallery:
    """What is shown of the crops of runs.

    Attributes:
        views: Those that fit.
        dropped: How many did not.
        size: Characters that the pictures take in the page.
    """

    views: tuple[View, ...]
    dropped: int
    size: int

    def payload(self, leaders: Sequence[str] = ()) -> dict[str, Any]:
        """Return what the viewer reads: pictures by id, and views that name them.

        Args:
            leaders: Models to show first, the best first.
        """
        shots = [shot for view in self.views for shot in view.shots]
        return {
            "leaders": list(leaders),
            "images": {shot.id: base64.b64encode(shot.image).decode() for shot in shots},
            "views": [
                {
                    "dataset": view.crop.dataset,
                    "item": view.crop.item,
                    "scale": view.crop.scale,
                    "width": view.crop.width,
                    "height": view.crop.height,
                    "where": f"rows {view.crop.top} to {view.crop.top + view.crop.height}, columns"
                    f" {view.crop.left} to {view.crop.left + view.crop.width} of"
                    f" {view.crop.hr_h} x {view.crop.hr_w}",
                    "shots": [
                        {"name": shot.name, "image": shot.id, "values": shot.values}
                        for shot in view.shots
                    ],
                }
                for view in self.views
            ],
        }


def gather(
    runs: Sequence[Run],
    records: pd.DataFrame,
    names: Sequence[Mapping[str, str]],
    max_bytes: int,
) -> Gallery:
    """Collect the crops of runs as far as they fit.

    Runs that show the same window of the same HR stand side by side. Where not all fits, the first
    image of every data set comes first, at all scales, then the second, and so on.

    Args:
        runs: The runs.
        records: Of all of them, for the values under the pictures.
        names: For each run, what its models are called in `records`.
        max_bytes: Characters that the pictures may take in the page.

    Raises:
        LiifBenchError: An index or a file cannot be read.
    """
    views = _views(runs, names)
    ranks: dict[tuple[str, str], int] = {}
    for crop, _ in views:
        items = sum(1 for dataset, _ in ranks if dataset == crop.dataset)
        ranks.setdefault((crop.dataset, crop.item), items)
    ordered = sorted(views, key=lambda each: (ranks[each[0].dataset, each[0].item], each[0].scale))
    values = _values(records, {crop.case for crop, _ in views})
    kept: list[View] = []
    seen: set[str] = set()
    size = 0
    for crop, pictures in ordered:
        shots = tuple(
            Shot(name, image, values.get((*crop.case, name), ())) for name, image in pictures
        )
        new = {shot.id: shot for shot in shots if shot.id not in seen}
        more = sum(4 * math.ceil(len(shot.image) / 3) for shot in new.values())
        if size + more > max_bytes:
            break
        size += more
        seen |= set(new)
        kept.append(View(crop, shots))
    places = {id(crop): place for place, (crop, _) in enumerate(views)}
    kept.sort(key=lambda view: places[id(view.crop)])
    return Gallery(tuple(kept), len(views) - len(kept), size)


def _views(
    runs: Sequence[Run], names: Sequence[Mapping[str, str]]
) -> list[tuple[Crop, list[tuple[str, bytes]]]]:
    """Return every window with its pictures: LR, the models of all runs, HR."""
    found: dict[tuple[Any, ...], tuple[Crop, dict[str, bytes]]] = {}
    for run, called in zip(runs, names, strict=True):
        folder = CropFolder(run.path)
        for case, crops in crops_by_case(folder.crops).items():
            if HR not in crops or LR not in crops:
                continue
            images = {name: folder.content(crop) for name, crop in crops.items()}
            key = (*case, images[HR], images[LR])
            _, pictures = found.setdefault(key, (crops[HR], {}))
            pictures |= {called.get(name, name): image for name, image in images.items()}
    return [
        (
            crop,
            [(LR, pictures[LR])]
            + [(name, image) for name, image in pictures.items() if name not in (HR, LR)]
            + [(HR, pictures[HR])],
        )
        for crop, pictures in found.values()
    ]


def _values(
    records: pd.DataFrame, cases: Iterable[CaseKey]
) -> dict[tuple[str, str, float, str], tuple[str, ...]]:
    """Return the first metrics of every case and model as they are shown."""
    shown = list(dict.fromkeys(records["metric"]))[:_SHOWN_METRICS]
    items = {(dataset, item) for dataset, item, _ in cases}
    wanted = records[records["metric"].isin(shown) & records["value"].notna()]
    wanted = wanted[wanted["item"].isin({item for _, item in items})]
    columns = ["dataset", "item", "scale", "upsampler", "metric", "value"]
    found: dict[tuple[str, str, float, str], tuple[str, ...]] = {}
    for dataset, item, scale, model, metric, value in wanted[columns].itertuples(index=False):
        style = style_of(metric)
        key = (dataset, item, float(scale), model)
        found[key] = (*found.get(key, ()), f"{style.title} {value:.{style.decimals}f}")
    return found
