"""Train the judge of photographs: logistic regression on frozen features, `photograph.json`.

    python benchmarks/train_photograph.py --keep features.npz [--data imagenet-sample] [--write]

Trains on every second image of a data set, and judges nothing of it: the metric refuses them.

Photographs are four crops of each image as it is, and four of the image shrunk by 1.5 to 2.5 with a
kernel drawn for it, which takes the traces of the camera and of JPEG away and leaves crisp pixels.
Enlargements are made of the first crop of either kind: LR by bicubic, then every interpolation at
every scale, and every network at one scale drawn for it (Real-ESRGAN, the slowest, of one of the
two crops). Of all, photographs and enlargements alike, a third gets Gaussian noise of 0.5 to 4 grey
levels, and then half are compressed as JPEG of a quality between 70 and 98, so that neither grain
nor compression tells them apart. Patches are cut at a place drawn anew.

Both classes, the upsamplers and their scales weigh the same. The penalty is chosen by
cross-validation over images. Prints the AUC on images left out: over all, by upsampler and scale,
of an upsampler that was left out of training too, and of photographs against photographs that
differ only in how they were stored. `--keep` holds features from one call to the next; `--write`
puts the judge where the metric reads it.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.optimize import minimize
from scipy.stats import rankdata
from torch import Tensor

from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.degrade import make_pair
from liif_bench.downstream.encoders import load_encoder
from liif_bench.images import RgbArray, to_tensor, to_uint8
from liif_bench.metrics.realism.photograph import (
    ENCODER,
    JUDGE_FILE,
    PATCH,
    definition,
    features,
    patches,
    probe,
)
from liif_bench.protocol import load_protocol
from liif_bench.resample import resample
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Request, Upsampler, encode_case

SEED = 0
SCALES = (2.0, 3.0, 4.0, 8.0)
INTERPOLATIONS = ("bilinear", "bicubic", "lanczos")
NETWORKS = ("liif-edsr", "srmdnf", "realesrgan-x4plus")
SLOWEST = "realesrgan-x4plus"
UPSAMPLERS = (*INTERPOLATIONS, *NETWORKS)
MARGIN = 32  # pixels of a crop beyond its patches, where they may move
CROP = 2 * PATCH + MARGIN
SHRINK = (1.5, 2.5)
KERNELS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS)
NOISE = (0.5, 4.0)  # standard deviation, grey levels
QUALITY = (70, 98)
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
FOLDS = 5
TAKES = 4
KINDS = ("as it is", "shrunk")
REAL = "photograph"
_DIGITS = 6

Array = npt.NDArray[np.float64]
Rows = dict[str, npt.NDArray[Any]]


def crops(image: RgbArray, rng: np.random.Generator) -> Iterator[tuple[str, int, RgbArray]]:
    """Yield crops of a photograph, each with its kind and number, `(side, side, 3)` uint8."""
    by = rng.uniform(*SHRINK)
    kernel = KERNELS[rng.integers(len(KERNELS))]
    size = (round(image.shape[0] / by), round(image.shape[1] / by))
    shrunk = np.array(resample(Image.fromarray(image), size, kernel))
    for kind, source in zip(KINDS, (image, shrunk), strict=True):
        height, width = (min(side, CROP) for side in source.shape[:2])
        for take in range(TAKES if min(height, width) >= PATCH + MARGIN else 0):
            top = rng.integers(source.shape[0] - height + 1)
            left = rng.integers(source.shape[1] - width + 1)
            yield kind, take, source[top : top + height, left : left + width]


@cache
def upsampler(name: str) -> Upsampler:
    """Return a model, loaded once."""
    return load_upsampler(name)


def enlarged(name: str, hr: RgbArray, scale: float) -> RgbArray:
    """Return SR of a crop by an upsampler, `(side, side, 3)` uint8."""
    lr, cropped = make_pair(hr, scale, load_protocol("liif-div2k").lr)
    size = (cropped.shape[0], cropped.shape[1])
    image = encode_case(upsampler(name), Request("", scale, size, lr))
    return to_uint8(image.render(size).clamp(0, 1))


def stored(image: RgbArray, rng: np.random.Generator) -> tuple[bool, bool, RgbArray]:
    """Add noise to every third image, then compress every second as JPEG; say which was done."""
    grain, jpeg = bool(rng.integers(3) == 0), bool(rng.integers(2))
    sigma, quality = rng.uniform(*NOISE), int(rng.integers(QUALITY[0], QUALITY[1] + 1))
    if grain:
        image = (image + rng.normal(0, sigma, image.shape)).round().clip(0, 255).astype(np.uint8)
    return grain, jpeg, compressed(image, quality) if jpeg else image


def compressed(image: RgbArray, quality: int) -> RgbArray:
    """Return an image as JPEG of a quality shows it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


def moved(image: RgbArray, rng: np.random.Generator) -> Tensor:
    """Return the patches of an image, their grid at a place that is drawn."""
    top, left = rng.integers(0, MARGIN, 2)
    height, width = (side - MARGIN for side in image.shape[:2])
    return patches(to_tensor(image[top : top + height, left : left + width]))


def collected(items: Sequence[Item]) -> Rows:
    """Make every photograph and enlargement of the training images; return their patches' rows.

    Columns: features; item; name of the upsampler or `REAL`; scale (1 for photographs); kind of
    the photograph; whether noise was added; whether it was compressed here.
    """
    table: dict[str, list[Any]] = {
        name: [] for name in ("features", "item", "model", "scale", "kind", "grain", "jpeg")
    }
    for number, item in enumerate(items):
        rng = np.random.default_rng([SEED, number])
        slow_kind = KINDS[rng.integers(len(KINDS))]
        for kind, take, hr in crops(item.read_hr(1), rng):
            shown = [(REAL, 1.0, hr)]
            if take == 0:
                plan = [(name, scale) for name in INTERPOLATIONS for scale in SCALES]
                networks = [name for name in NETWORKS if name != SLOWEST or kind == slow_kind]
                plan += [(name, SCALES[rng.integers(len(SCALES))]) for name in networks]
                shown += [(name, scale, enlarged(name, hr, scale)) for name, scale in plan]
            for name, scale, image in shown:
                grain, jpeg, kept = stored(image, rng)
                made = features(moved(kept, rng))
                table["features"] += [*made]
                for column, value in zip(
                    ("item", "model", "scale", "kind", "grain", "jpeg"),
                    (item.name, name, scale, kind, grain, jpeg),
                    strict=True,
                ):
                    table[column] += [value] * len(made)
        print(f"{number + 1} of {len(items)}: {item.name}", file=sys.stderr, flush=True)
    return {name: np.array(values) for name, values in table.items()}


def weights_of(rows: Rows) -> Array:
    """Return how much each patch counts: the classes alike, and upsamplers and scales in theirs."""
    groups = [f"{model} {scale}" for model, scale in zip(rows["model"], rows["scale"], strict=True)]
    _, group, counts = np.unique(groups, return_inverse=True, return_counts=True)
    real = rows["model"] == REAL
    each = 1 / counts[group]
    each[real] /= 2 * each[real].sum()
    each[~real] /= 2 * each[~real].sum()
    made: Array = each
    return made


def fitted(rows: Rows, penalty: float) -> Array:
    """Return the weights and the bias, last, of raw features; L2 on the standardised weights."""
    real = rows["model"] == REAL
    mean, spread = rows["features"][real].mean(axis=0), rows["features"][real].std(axis=0)
    known = (rows["features"] - mean) / spread
    signs, share = np.where(real, 1.0, -1.0), weights_of(rows)

    def loss(weights: Array) -> tuple[float, Array]:
        margins = signs * (known @ weights[:-1] + weights[-1])
        value = (share * np.logaddexp(0, -margins)).sum() + penalty * (weights[:-1] ** 2).sum() / 2
        pull = -share * signs / (1 + np.exp(margins))
        slope = np.append(known.T @ pull + penalty * weights[:-1], pull.sum())
        return float(value), slope

    start = np.zeros(known.shape[1] + 1)
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 5000})
    if not found.success:
        raise SystemExit(f"the fit did not converge: {found.message}")
    inner = found.x[:-1] / spread
    made: Array = np.append(inner, found.x[-1] - inner @ mean)
    return made


def taken(rows: Rows, mask: npt.NDArray[np.bool_]) -> Rows:
    """Return some of the rows."""
    return {name: values[mask] for name, values in rows.items()}


def held_out(rows: Rows, penalty: float, without: str | None = None) -> Array:
    """Return the log-odds of every patch by a judge that has not seen its image.

    Args:
        rows: All patches.
        penalty: Of the fit.
        without: An upsampler that the judges have not seen either.
    """
    names, image = np.unique(rows["item"], return_inverse=True)
    fold = np.random.default_rng(SEED).permutation(len(names))[image] % FOLDS
    odds = np.empty(len(image))
    for number in range(FOLDS):
        weights = fitted(taken(rows, (fold != number) & (rows["model"] != without)), penalty)
        odds[fold == number] = rows["features"][fold == number] @ weights[:-1] + weights[-1]
    return odds


def auc(positive: Array, negative: Array) -> float:
    """Return how often a positive lies above a negative (Mann-Whitney)."""
    ranks = rankdata(np.concatenate([positive, negative]))[: len(positive)]
    wins = ranks.sum() - len(positive) * (len(positive) + 1) / 2
    return float(wins / (len(positive) * len(negative)))


def report(rows: Rows, penalty: float) -> float:
    """Print the AUC on images left out; return that of all, upsamplers and scales alike."""
    odds, real = held_out(rows, penalty), rows["model"] == REAL
    print("| left out: images | " + " | ".join(f"x{scale:g}" for scale in SCALES) + " | unseen |")
    print("|---|" + "---:|" * (len(SCALES) + 1))
    everywhere = []
    for name in UPSAMPLERS:
        mine = rows["model"] == name
        found = [auc(odds[real], odds[mine & (rows["scale"] == scale)]) for scale in SCALES]
        everywhere += found
        unseen = held_out(rows, penalty, without=name)
        values = [*found, auc(unseen[real], unseen[mine])]
        print(f"| {name} | " + " | ".join(f"{value:.3f}" for value in values) + " |")
    altered = {
        "that were shrunk": rows["kind"] == "shrunk",
        "with noise": rows["grain"],
        "that were compressed again": rows["jpeg"],
    }
    for what, mask in altered.items():
        value = auc(odds[real & ~mask], odds[real & mask])
        print(f"- photographs against photographs {what}: {value:.3f}")
    return float(np.mean(everywhere))


def judge_of(rows: Rows, penalty: float, found: float, command: str) -> dict[str, Any]:
    """Return the content of the judge's file."""
    real = rows["model"] == REAL
    mean, spread = rows["features"][real].mean(axis=0), rows["features"][real].std(axis=0)
    weights = fitted(rows, penalty)
    bias = weights[-1] + weights[:-1] @ mean
    return {
        "what": "logistic regression: photograph (1) or enlargement (0), on standardised features",
        "features": definition(),
        "encoder_sha256": load_encoder(ENCODER).sha256,
        "probe": rounded(features(probe())[0]),
        "bias": rounded([bias])[0],
        "weights": rounded(weights[:-1] * spread),
        "mean": rounded(mean),
        "spread": rounded(spread),
        "training": {
            "command": command,
            "images": sorted(set(map(str, rows["item"]))),
            "upsamplers": list(UPSAMPLERS),
            "scales": list(SCALES),
            "patches": {"photograph": int(real.sum()), "enlargement": int((~real).sum())},
            "penalty": penalty,
            "seed": SEED,
            "auc_on_images_left_out": round(found, 4),
        },
    }


def rounded(values: Sequence[float] | Array) -> list[float]:
    """Return numbers with six significant digits."""
    return [float(f"{value:.{_DIGITS}g}") for value in values]


def main() -> None:
    """Train, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="imagenet-sample")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--limit", type=int, help="Only so many training images.")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--write", action="store_true")
    wishes = parser.parse_args()
    if wishes.keep and wishes.keep.exists():
        rows: Rows = dict(np.load(wishes.keep))
    else:
        items = load_dataset(wishes.data, wishes.data_root).items[1::2][: wishes.limit]
        rows = collected(items)
        if wishes.keep:
            np.savez_compressed(wishes.keep, **rows)  # type: ignore[arg-type]
    real = rows["model"] == REAL
    print(f"{len(set(rows['item']))} images, {real.sum()} and {(~real).sum()} patches")
    scores = {}
    for penalty in PENALTIES:
        odds = held_out(rows, penalty)
        margins = np.where(real, odds, -odds)
        scores[penalty] = float((weights_of(rows) * np.logaddexp(0, -margins)).sum())
        print(f"penalty {penalty:g}: loss {scores[penalty]:.4f} on images left out")
    best = min(scores, key=lambda penalty: scores[penalty])
    found = report(rows, best)
    print(f"AUC on images left out, mean over upsamplers and scales: {found:.4f}")
    if wishes.write:
        limit = f" --limit {wishes.limit}" if wishes.limit else ""
        command = f"python benchmarks/train_photograph.py --data {wishes.data}{limit} --write"
        judge = judge_of(rows, best, found, command)
        JUDGE_FILE.write_text(json.dumps(judge, indent=1) + "\n")


if __name__ == "__main__":
    main()
