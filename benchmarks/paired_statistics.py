"""How often intervals hold the mean, and how often the test finds what is there, on made-up sets.

Differences of images are drawn from distributions whose mean is known, sets of them are compared
as `liif-bench compare` does it, and what it says is counted:

    python benchmarks/paired_statistics.py [--sets 2000]

Prints a Markdown table: the share of intervals that hold the mean; the share of sets without a
difference of means in which the test alone sees one at 5 %, and in which the interval leaves out 0
as well, which is what is marked; the share of sets that are marked where the difference is as
large as `detectable` says.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import numpy as np

from liif_bench.analysis.stats import LEVEL, Floats, detectable_difference, paired

IMAGES = (5, 8, 14, 25, 100)
SHAPES: dict[str, Callable[[np.random.Generator, int], Floats]] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "heavy tails (t, 3 degrees)": lambda rng, n: rng.standard_t(3, size=n),
    "skewed (exponential)": lambda rng, n: rng.exponential(size=n) - 1,
}
DEVIATIONS = {"heavy tails (t, 3 degrees)": 3**0.5}


def main() -> None:
    """Draw, compare, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="of each shape and size")
    sets = parser.parse_args().sets
    heads = ("interval holds the mean", "test alone, no difference", "marked, no difference")
    print(f"| differences | images | {' | '.join(heads)} | marked at detectable |")
    print("|---|---:|---:|---:|---:|---:|")
    for shape, draw in SHAPES.items():
        for n in IMAGES:
            rng = np.random.default_rng(n)
            least = detectable_difference(DEVIATIONS.get(shape, 1.0), n)
            held = alarms = marked = found = 0
            for _ in range(sets):
                values = draw(rng, n)
                result = paired(values, np.zeros(n))
                held += not result.clear
                alarms += result.p <= LEVEL
                marked += result.clear and result.p <= LEVEL
                moved = paired(values + least, np.zeros(n)) if np.isfinite(least) else result
                found += moved.clear and moved.p <= LEVEL
            shares = [f"{100 * count / sets:.1f} %" for count in (held, alarms, marked, found)]
            if not np.isfinite(least):
                shares[3] = "nothing can be"
            print(f"| {shape} | {n} | {' | '.join(shares)} |")


if __name__ == "__main__":
    main()
