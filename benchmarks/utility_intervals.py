"""How often the intervals of ``liif-bench utility`` hold the truth, on planted data.

    python benchmarks/utility_intervals.py [--samples 60] [--seeds 40] [--resamples 40]

Many samples of 48 images of 4 kinds are drawn from one population (tests/crops_runs.py), and each
is measured. The truth is the mean over all samples. Prints, for each arm, the spread of the
estimates beside the standard error that the intervals take, and the share of the intervals that
hold the truth: 95 % would be right, more is careful.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from crops_runs import made_up_crops, run_of_crops

from liif_bench.analysis.utility import measure_utility, pools

CASES = {
    "bad crops do harm, the score knows them": {},
    "bad crops do harm, the score is drawn": {"ranked": False},
    "no crop does harm": {"harm": False},
}


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    for name, default in (("samples", 60), ("seeds", 40), ("resamples", 40)):
        options.add_argument(f"--{name}", type=int, default=default)
    chosen = options.parse_args()
    print("| planted | added | truth | spread | standard error | held |")
    print("|---|---|---:|---:|---:|---:|")
    for case, planted in CASES.items():
        found = []
        for number in range(chosen.samples):
            with tempfile.TemporaryDirectory() as folder:
                tables = made_up_crops(np.random.default_rng(1000 + number), **planted)
                pool = pools(run_of_crops(Path(folder), *tables))[0]
            measured = measure_utility(pool, seeds=chosen.seeds, resamples=chosen.resamples)
            found.append(measured.differences)
        for arm in found[0]:
            means = np.array([each[arm].mean for each in found])
            reach = np.array([each[arm].high - each[arm].mean for each in found])
            held = (abs(means - means.mean()) <= reach).mean()
            error = np.sqrt((reach**2).mean()) / 1.96
            print(
                f"| {case} | {arm} | {means.mean():+.3f} | {means.std(ddof=1):.3f} |"
                f" {error:.3f} | {held:.0%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
