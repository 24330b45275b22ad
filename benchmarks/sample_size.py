"""How many images AUC, KID and FID need: bias and intervals on fewer images than a run has.

    python benchmarks/sample_size.py RUN [--models bicubic,liif-edsr] [--scale 4] [--draws 40]

Draws images of a run of the metric `photograph` without replacement and estimates each distance
from HR on them alone. Prints, by how many were drawn: the mean over draws as a share of the value
on all images (1 where there is no bias), the spread of the draws as a share of it, and how many of
the 95 % intervals hold the value on all images (95 % where they are as wide as they should be; more
where the draws are a large part of all images).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from liif_bench.analysis.distribution import DISTANCES, Compared, PatchResults, patch_results
from liif_bench.records import load_run

SIZES = (4, 6, 10, 15, 20, 30, 40, 60, 80, 120)
SEED = 0


def some(results: PatchResults, items: Sequence[str]) -> PatchResults:
    """Return the patches of some images."""
    return replace(results, rows=results.rows[results.rows["item"].isin(items)])


def lines(results: PatchResults, model: str, scale: float, draws: int) -> list[str]:
    """Return the table's lines of one model."""
    items = results.items(model, scale)
    whole = results.compared(model, scale)
    samples: dict[int, list[Compared]] = {}
    for size in (each for each in SIZES if each <= len(items) // 2):
        rng = np.random.default_rng([SEED, size])
        drawn = [rng.choice(len(items), size, replace=False) for _ in range(draws)]
        samples[size] = [
            some(results, [items[number] for number in numbers]).compared(model, scale)
            for numbers in drawn
        ]
    found = []
    for distance in DISTANCES:
        target = distance.measure(whole).mean
        for size, sets in samples.items():
            estimates = [distance.measure(each) for each in sets]
            means = np.array([each.mean for each in estimates])
            held = np.mean([each.low <= target <= each.high for each in estimates])
            found.append(
                f"| {model} x{scale:g} | {distance.name} | {size} | {means.mean() / target:.2f}"
                f" | {means.std() / abs(target):.2f} | {held:.2f} |"
            )
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--models", default="bicubic,liif-edsr")
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--draws", type=int, default=40)
    wishes = parser.parse_args()
    for results in patch_results(load_run(wishes.run)):
        print(f"{results.dataset}: {results.images} images\n")
        print("| against HR | distance | images | mean / whole | spread / whole | held |")
        print("|---|---|---:|---:|---:|---:|")
        for model in wishes.models.split(","):
            for line in lines(results, model, wishes.scale, wishes.draws):
                print(line, flush=True)


if __name__ == "__main__":
    main()
