"""Where a plan stops getting faster: its time on 1 to many workers, from the shipped costs.

    python benchmarks/scale.py liif-table1 --size 100x1356x2040 [--faster 30]

The plan's cases need not be there: `--size` stands for so many HR images of that height and width.
`--faster` divides what models and metrics cost, for a worker that is so many times as fast as the
one that the costs were measured on (a GPU, say); reading, starting and the journal stay. Prints
Markdown.
"""

from __future__ import annotations

import argparse

from liif_bench.estimate import Costs, case_seconds, makespan, shipped_costs
from liif_bench.progress import duration
from liif_bench.suite import load_suite

WORKERS = (1, 2, 8, 64, 256, 1024)


def faster(costs: Costs, factor: float) -> Costs:
    """Return costs of a worker on which networks and metrics take less time by a factor."""

    def less(parts):
        return {name: tuple(value / factor for value in each) for name, each in parts.items()}

    return costs.model_copy(update={"models": less(costs.models), "metrics": less(costs.metrics)})


def main() -> None:
    """Predict and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("suite")
    parser.add_argument("--size", default="100x1356x2040", help="images x height x width")
    parser.add_argument("--faster", type=float, default=1.0)
    given = parser.parse_args()
    suite = load_suite(given.suite)
    count, height, width = map(int, given.size.split("x"))
    costs = faster(shipped_costs(), given.faster)
    hr = height * width / 1e6
    seconds = [
        case_seconds(costs, suite.models, suite.metrics, hr / scale**2, hr)
        for _ in range(count)
        for scale in suite.scales
    ]
    alone = makespan(seconds, 1, costs)
    print(f"{len(seconds)} cases, {duration(sum(seconds))} of work on {costs.machine}\n")
    print("| workers | time | times as fast as one | what decides |\n|---:|---:|---:|---|")
    for workers in WORKERS:
        wall = makespan(seconds, workers, costs)
        parts = {
            "the work": sum(seconds) / workers,
            "the longest case": max(seconds),
            "the start": costs.start,
            "the driver's journal": costs.between * len(seconds),
        }
        decides = max(parts, key=lambda part: parts[part])
        print(f"| {workers} | {duration(wall)} | {alone / wall:.1f} | {decides} |")


if __name__ == "__main__":
    main()
