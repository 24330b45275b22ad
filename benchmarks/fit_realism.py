"""Fits the composites of realism on graded degradations, and reports them on other images.

    python benchmarks/fit_realism.py            # what the shipped composites reach
    python benchmarks/fit_realism.py --write    # fits them anew, writes composite.toml

Fitted on sixteen photographs of `imagenet-sample`, spread over its classes; reported on the six
sample photographs, which no fit has seen. Of each a square of 256 pixels is damaged in every way
at every strength (`liif_bench.distort`), so that the order of its versions is known. LR is made of
the undamaged square at x4, as the protocol `liif-div2k` does.

The fit, stated: a metric's `half` is its median distance at strength 3. The weights of a dimension
are the non-negative least squares of its losses against strength / 5 over the kinds of damage that
concern it, shared half and half with equal weights, so that no metric is left alone with the
answer; the weights of the dimensions are found likewise over all kinds.

Prints Spearman's rho between strength and score in Markdown: within an image and kind (mean over
them), over all kinds of an image (mean over images), and over everything; for the composites, their
metrics, and LPIPS-Alex.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.progress import track
from scipy.optimize import nnls
from scipy.stats import spearmanr
from torch import Tensor

from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.degrade import make_pair
from liif_bench.distort import KINDS, STRENGTHS, distort
from liif_bench.images import RgbArray, to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.composite import (
    FILE,
    Composites,
    Distance,
    Part,
    shipped_composites,
)
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
SCALE = 4.0
SIDE = 256
FITTED = 16
MIDDLE = 3  # the strength at which a loss is a half

DISTANCES: Mapping[str, Mapping[str, Distance]] = {
    "faithfulness": {"lr-psnr": "from dB", "lr-excess": "itself", "hallucination": "itself"},
    "attributes": {"dists": "itself", "lpips-vgg": "itself", "edge-f1": "below one"},
    "relationships": {"self-similarity": "below one", "flow": "itself"},
    "style": {
        "gram": "itself",
        "spectrum-error": "itself",
        "gradient-kurtosis": "itself",
        "grain": "itself",
    },
}

CONCERNS: Mapping[str, tuple[str, ...]] = {
    "faithfulness": ("blur", "noise", "jpeg", "ringing", "quantisation"),
    "attributes": ("blur", "noise", "jpeg", "ringing", "wrong-texture"),
    "relationships": ("blur", "jpeg", "ringing", "wrong-texture"),
    "style": ("blur", "noise", "jpeg", "ringing", "quantisation"),
}
"""Which damage a dimension is asked about. LR says nothing of detail finer than its pixels, which
is all that wrong texture moves; noise and few levels leave parts where they are; wrong texture has
the right spectrum."""


def squares(items: Sequence[Item]) -> Iterator[tuple[str, RgbArray]]:
    """Yield the middle square of each image, by name."""
    for item in items:
        hr = item.read_hr(SCALE)
        top, left = ((side - SIDE) // 2 for side in hr.shape[:2])
        yield item.name, hr[top : top + SIDE, left : left + SIDE]


def fitted_items() -> list[Item]:
    """Return the photographs to fit on: those large enough, evenly spread over the data set."""
    items = load_dataset("imagenet-sample").items
    large = [item for item in items if min(item.read_hr(SCALE).shape[:2]) >= SIDE]
    places = np.linspace(0, len(large) - 1, FITTED).round().astype(int)
    return [large[place] for place in places]


def measure(items: Sequence[Item], metrics: Sequence[str], label: str) -> pd.DataFrame:
    """Return a value per image, kind, strength and metric, `(rows, image kind strength ...)`."""
    loaded = {name: load_metric(name) for name in metrics}
    rows = []
    for name, pixels in track([*squares(items)], description=label):
        lr, cropped = make_pair(pixels, SCALE, PROTOCOL.lr)
        hr: Tensor = to_tensor(cropped)
        case = Case(PROTOCOL, SCALE, lr, hr, PROTOCOL.lr.generator, item=name)
        for kind in KINDS:
            for strength in STRENGTHS:
                output = Output(distort(hr, kind, strength))
                values = {each: metric.score(case, output) for each, metric in loaded.items()}
                rows.append({"image": name, "kind": kind, "strength": strength, **values})
    return pd.DataFrame(rows)


def fit(table: pd.DataFrame) -> Composites:
    """Fit composites on a table of `measure`."""
    middle = table[table["strength"] == MIDDLE]
    target = table["strength"] / max(STRENGTHS)
    dimensions = {}
    losses = {}
    for dimension, distances in DISTANCES.items():
        halves = {name: _half(middle[name], how) for name, how in distances.items()}
        drafts = {
            name: Part(distance=how, half=halves[name], weight=0) for name, how in distances.items()
        }
        x = np.column_stack([table[name].map(part.loss) for name, part in drafts.items()])
        asked = table["kind"].isin(CONCERNS[dimension]).to_numpy()
        weights = _weights(x[asked], target[asked].to_numpy())
        losses[dimension] = x @ weights
        dimensions[dimension] = {
            name: part.model_copy(update={"weight": float(weight)})
            for (name, part), weight in zip(drafts.items(), weights, strict=True)
        }
    overall = _weights(np.column_stack([*losses.values()]), target.to_numpy())
    return Composites(
        dimensions=dimensions,
        overall=dict(zip(dimensions, map(float, overall), strict=True)),
    )


def _half(values: pd.Series, how: Distance) -> float:
    """Return the median distance, to three digits."""
    unit = Part(distance=how, half=1, weight=0)
    losses = values.map(unit.loss)  # x = d / (d + 1)
    return float(f"{(losses / (1 - losses)).median():.3g}")


def _weights(x: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Return weights that add up to 1, of three decimals."""
    found, _ = nnls(x, target)
    shared = (found / found.sum() + 1 / len(found)) / 2
    rounded = shared.round(3)
    rounded[rounded.argmax()] += 1 - rounded.sum()
    return rounded.round(3)


def to_toml(composites: Composites) -> str:
    """Return composites as the text of `composite.toml`."""
    lines = [
        "# Fitted by `python benchmarks/fit_realism.py --write` on graded degradations; not to be",
        "# edited by hand. x = distance / (distance + half); dimension = 1 - sum(weight * x).",
        "",
        "[overall]",
        *(f"{name} = {weight:g}" for name, weight in composites.overall.items()),
    ]
    for dimension, parts in composites.dimensions.items():
        lines += ["", f"[dimensions.{dimension}]"]
        lines += [
            f'{name} = {{ distance = "{part.distance}", half = {part.half:g},'
            f" weight = {part.weight:g} }}"
            for name, part in parts.items()
        ]
    return "\n".join(lines) + "\n"


def scored(table: pd.DataFrame, composites: Composites) -> pd.DataFrame:
    """Return the table with a column for every composite."""
    result = table.copy()
    for dimension, parts in composites.dimensions.items():
        losses = (part.weight * table[name].map(part.loss) for name, part in parts.items())
        result[f"realism-{dimension}"] = 1 - sum(losses)
    result["realism"] = sum(
        weight * result[f"realism-{name}"] for name, weight in composites.overall.items()
    )
    return result


def rhos(table: pd.DataFrame, name: str) -> tuple[float, float, float]:
    """Return |rho| of a column with strength: within image and kind, within image, over all."""

    def rho(rows: pd.DataFrame) -> float:
        if rows[name].nunique() == 1:  # what says the same of all orders nothing
            return 0.0
        return abs(float(spearmanr(rows["strength"], rows[name]).statistic))

    within = [rho(rows) for _, rows in table.groupby(["image", "kind"])]
    images = [rho(rows) for _, rows in table.groupby("image")]
    return float(np.mean(within)), float(np.mean(images)), rho(table)


def report(table: pd.DataFrame, composites: Composites) -> str:
    """Return Markdown: every number's |rho| with strength."""
    head = ("score", "of", "within image and kind", "within image", "all")
    lines = [f"| {' | '.join(head)} |", "|---|---|---:|---:|---:|"]

    def add(name: str, rows: pd.DataFrame, of: str) -> None:
        numbers = " | ".join(f"{value:.3f}" for value in rhos(rows, name))
        lines.append(f"| {name} | {of} | {numbers} |")

    add("realism", table, "all kinds")
    add("lpips", table, "all kinds")
    for dimension, parts in composites.dimensions.items():
        asked = table[table["kind"].isin(CONCERNS[dimension])]
        for name in (f"realism-{dimension}", *parts):
            add(name, asked, ", ".join(CONCERNS[dimension]))
    for kind in KINDS:
        add("realism", table[table["kind"] == kind], kind)
    return "\n".join(lines)


def main() -> None:
    """Fit, if that is asked for, and report on images that no fit has seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="fit anew, write composite.toml")
    parser.add_argument("--keep", type=Path, help="folder for the measured tables, as CSV")
    arguments = parser.parse_args()
    names = [name for distances in DISTANCES.values() for name in distances] + ["lpips"]
    if arguments.write:
        table = measure(fitted_items(), names, "fitting")
        if arguments.keep:
            table.to_csv(arguments.keep / "fitted.csv", index=False)
        FILE.write_text(to_toml(fit(table)), encoding="utf-8")
        shipped_composites.cache_clear()
    composites = shipped_composites()
    table = measure(load_dataset("sample").items, names, "reporting")
    if arguments.keep:
        table.to_csv(arguments.keep / "reported.csv", index=False)
    print(f"fit {composites.hash}\n")
    print(report(scored(table, composites), composites))


if __name__ == "__main__":
    main()
