"""What the parts of a run cost: fitted to the seconds that finished cases spent in every stage.

    liif-bench run sample --threads 1 --out costs
    python benchmarks/fit_costs.py costs [RUN ...] -o liif_bench/costs.toml

For each model and metric of the runs: seconds per case, per megapixel of LR and per megapixel of
HR, none below 0, by least squares of the relative error over all cases. A metric's seconds are
those of one model's output; where metrics share work, the first of them in the suite pays for it.
The time to start is that of a fresh process until it has loaded the first run's models and metrics.
It prints how well the runs' own cases are predicted, as Markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from liif_bench.estimate import Coefficients, Costs
from liif_bench.profile import ELSE, MAKING_LR, READING, encode_stage, render_stage
from liif_bench.records import JOURNAL, Journal, Run, load_run

STAGES_OF_A_CASE = (READING, MAKING_LR, ELSE)


class Sample(NamedTuple):
    """Seconds that a part took in a case of so many megapixels of LR and HR."""

    lr: float
    hr: float
    seconds: float


def samples_of(run: Run) -> dict[tuple[str, str], list[Sample]]:
    """Return what each part took in each case: by kind ("case", "model", "metric") and name."""
    specs = dict(
        zip(run.manifest["plan"]["models"], run.manifest["request"]["models"], strict=True)
    )
    found: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for rows in Journal(run.path / JOURNAL).read_cases().values():
        first = rows.records[0]
        if None in (first.lr_h, first.hr_h) or not rows.stages:
            continue
        lr, hr = first.lr_h * first.lr_w / 1e6, first.hr_h * first.hr_w / 1e6
        spent = defaultdict(float, rows.stages)
        parts = {("case", ""): sum(spent[name] for name in STAGES_OF_A_CASE)}
        for name, spec in specs.items():
            parts["model", spec] = spent[encode_stage(name)] + spent[render_stage(name)]
        for metric in {record.metric for record in rows.records}:
            parts["metric", metric] = spent[metric] / len(specs)
        for part, seconds in parts.items():
            found[part].append(Sample(lr, hr, seconds))
    return found


def fitted(samples: list[Sample]) -> Coefficients:
    """Return seconds per case, per megapixel of LR and of HR, by the relative error."""
    sizes = np.array([(1.0, each.lr, each.hr) for each in samples])
    seconds = np.array([each.seconds for each in samples])
    weight = 1 / np.maximum(seconds, max(1e-4, 0.01 * seconds.max()))
    found, _ = nnls(sizes * weight[:, None], seconds * weight)
    per_case, per_lr, per_hr = (float(f"{value:.3g}") for value in found)
    return (per_case, per_lr, per_hr)


def seconds_to_start(run: Run) -> float:
    """Return how long a fresh process takes until it has loaded what a run measures with."""
    plan = run.manifest["request"], run.manifest["plan"]
    code = (
        "from liif_bench.bench import load_bench; from liif_bench.suite import make_plan;"
        f"load_bench('x', make_plan({plan[1]['suite']!r}, models={plan[0]['models']!r},"
        f" metrics={plan[1]['metrics']!r}, device='cpu'))"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return round(time.perf_counter() - start, 1)


def toml(costs: Costs) -> str:
    """Write costs as the file that travels with the package."""
    lines = [
        f'machine = "{costs.machine}"',
        f"threads = {costs.threads}",
        f"start = {costs.start}",
        f"between = {costs.between}",
        f"case = {list(costs.case)}",
    ]
    for name, table in (("models", costs.models), ("metrics", costs.metrics)):
        lines += ["", f"[{name}]"]
        lines += [f'"{part}" = {list(values)}' for part, values in sorted(table.items())]
    head = "# Made by benchmarks/fit_costs.py. Seconds per case, per megapixel of LR, of HR."
    return "\n".join([head, *lines, ""])


def main() -> None:
    """Fit, and write or compare."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument(
        "--machine", default="one core of a 2-core x86-64 server, PyTorch on the CPU"
    )
    parser.add_argument("--between", type=float, default=0.0, help="seconds; benchmarks/engines.py")
    given = parser.parse_args()
    runs = [load_run(path) for path in given.runs]
    threads = {run.manifest["engine"]["threads"] for run in runs}
    if len(threads) > 1:
        sys.exit("the runs used different numbers of threads: measure them alike")
    together: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for run in runs:
        for part, samples in samples_of(run).items():
            together[part] += samples
    found = {part: fitted(samples) for part, samples in together.items()}
    costs = Costs(
        machine=given.machine,
        threads=threads.pop(),
        start=seconds_to_start(runs[0]),
        between=given.between,
        case=found["case", ""],
        models={name: each for (kind, name), each in found.items() if kind == "model"},
        metrics={name: each for (kind, name), each in found.items() if kind == "metric"},
    )
    if given.output is not None:
        given.output.write_text(toml(costs), encoding="utf-8")
    print("| run | cases | measured | predicted |\n|---|---:|---:|---:|")
    for run in runs:
        parts = samples_of(run)
        count = len(run.manifest["plan"]["models"])
        measured = predicted = 0.0
        for part, samples in parts.items():
            times = count if part[0] == "metric" else 1
            per_case, per_lr, per_hr = found[part]
            measured += times * sum(each.seconds for each in samples)
            predicted += times * sum(
                per_case + per_lr * each.lr + per_hr * each.hr for each in samples
            )
        cases = len(parts["case", ""])
        print(f"| {run.path.name} | {cases} | {measured:.1f} s | {predicted:.1f} s |")


if __name__ == "__main__":
    main()
