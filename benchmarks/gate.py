"""How often the gate is wrong: false alarms and misses on differences as they occur.

    python benchmarks/gate.py RUN --candidate MODEL --baseline MODEL [--trials 1000]

RUN holds PSNR, SSIM and LPIPS of two versions of a model on many images. The differences between
the versions are drawn again (with replacement, the three metrics of an image together) and put on
top of the baseline's values, so that a trial is a gate on a set of n images:

- "nothing changed": differences of 0, and noise of 1e-4 dB (and 1e-6 for SSIM and LPIPS);
- "images move": the real differences less their mean, each image's with a random sign, so that
  nothing is better or worse on average but every image moves as much as it really does;
- "lost": the same, and PSNR worse by a stated amount on average.

Prints Markdown: the share of trials by what the gate says, at each number of images. The gate's
default rules, its three cells corrected together. `--shrink 0.25` takes a quarter of the
differences.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from liif_bench.analysis.baseline import Cell, Snapshot, load_snapshot
from liif_bench.analysis.gate import FAILING, Outcome, gate, read_rules
from liif_bench.errors import LiifBenchError

Floats = npt.NDArray[np.float64]

METRICS = ("psnr", "ssim", "lpips")
NOISE = {"psnr": 1e-4, "ssim": 1e-6, "lpips": 1e-6}
DROPS = (0.03, 0.05, 0.1)  # dB; SSIM and LPIPS stay as they are
IMAGES = (5, 14, 25, 50, 100)


def differences(run: Snapshot, candidate: str, baseline: str) -> tuple[Floats, Floats]:
    """Return the baseline's values and the candidate's gains, `(images, metrics)` each."""
    cells = {(cell.upsampler, cell.metric, cell.scale): cell for cell in run.cells}
    scales = sorted({cell.scale for cell in run.cells})
    values, gains = [], []
    for scale in scales:
        ours = [cells.get((candidate, metric, scale)) for metric in METRICS]
        theirs = [cells.get((baseline, metric, scale)) for metric in METRICS]
        if None in (*ours, *theirs):
            raise LiifBenchError(f"the run lacks psnr, ssim or lpips of {candidate} or {baseline}")
        for item in theirs[0].values:
            before = [cell.values[item] for cell in theirs]
            after = [cell.values[item] for cell in ours]
            values.append(before)
            gains.append(
                [
                    a - b if m != "lpips" else b - a
                    for m, a, b in zip(METRICS, after, before, strict=True)
                ]
            )
    return np.array(values), np.array(gains)


def trial(run: Snapshot, before: Floats, gains: Floats) -> Mapping[Outcome, int]:
    """Return what the gate says of a candidate that gained so much, image by image."""
    sign = np.array([-1 if metric == "lpips" else 1 for metric in METRICS])
    sides = (before + gains * sign, before)
    ours, theirs = (run.model_copy(update={"cells": _cells(values)}) for values in sides)
    return gate(ours, theirs, read_rules()).counts


def _cells(values: Floats) -> tuple[Cell, ...]:
    return tuple(
        Cell(
            dataset="drawn", scale=4.0, upsampler="drawn", metric=metric, variant="",
            higher_is_better=metric != "lpips",
            values={str(number): float(value) for number, value in enumerate(column)},
        )
        for metric, column in zip(METRICS, values.T, strict=True)
    )  # fmt: skip


def main() -> None:
    """Draw trials and print how often the gate is right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--candidate", default="liif-edsr (ensemble off)")
    parser.add_argument("--baseline", default="liif-edsr")
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument(
        "--shrink", type=float, default=1.0, help="factor on the differences, for calmer changes"
    )
    arguments = parser.parse_args()
    run = load_snapshot(arguments.run)
    values, gains = differences(run, arguments.candidate, arguments.baseline)
    gains = gains * arguments.shrink
    centred = gains - gains.mean(axis=0)
    spread = ", ".join(
        f"{metric} {each:.4f}" for metric, each in zip(METRICS, gains.std(axis=0), strict=True)
    )
    shrunk = "" if arguments.shrink == 1 else f", times {arguments.shrink:g}"
    print(f"{len(values)} differences of {arguments.candidate} and {arguments.baseline};")
    print(f"their standard deviation{shrunk}: {spread}; {arguments.trials} trials each\n")
    head = " | ".join(f"{n} images" for n in IMAGES)
    print(f"| the truth | says | {head} |\n|---|---|{'---:|' * len(IMAGES)}")
    rng = np.random.default_rng(0)
    noise = np.array([NOISE[metric] for metric in METRICS])

    def nothing(n: int) -> Floats:
        return np.zeros((n, len(METRICS)))

    def noisy(n: int) -> Floats:
        return rng.normal(0, noise, (n, len(METRICS)))

    def moved(n: int, drop: float = 0.0) -> Floats:
        drawn = centred[rng.integers(0, len(centred), n)] * rng.choice([-1, 1], (n, 1))
        return drawn - [drop, 0, 0]

    truths = {
        "nothing changed, to the last digit": nothing,
        "nothing changed, noise of 1e-4 dB": noisy,
        "images move, none better on average": moved,
        **{f"{drop:g} dB lost on average": partial(moved, drop=drop) for drop in DROPS},
    }
    for truth, draw in track(truths.items(), description="trials"):
        counts = {n: Counter() for n in IMAGES}
        for n in IMAGES:
            for _ in range(arguments.trials):
                before = values[rng.integers(0, len(values), n)]
                said = trial(run, before, draw(n))
                failed = any(outcome in FAILING for outcome in said)
                word = "fails" if failed else "warns" if Outcome.unsure in said else "passes"
                counts[n][word] += 1
        for word in ("fails", "warns"):
            shares = " | ".join(f"{counts[n][word] / arguments.trials:.3f}" for n in IMAGES)
            print(f"| {truth} | {word} | {shares} |")


if __name__ == "__main__":
    main()
