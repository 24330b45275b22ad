"""What waiting threads cost: a small run alone and beside an equal one, spinning and sleeping.

    python benchmarks/busy_machine.py

By default OpenMP's threads spin while they wait for each other; with OMP_WAIT_POLICY=PASSIVE,
which the command line sets, they sleep. Each setting runs once alone and twice at the same time;
the order of the settings alternates. Two processes that share a machine fairly take twice as long
as one.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 2
SETTINGS = {"spinning": {}, "sleeping": {"OMP_WAIT_POLICY": "PASSIVE"}}
RUN = (
    "import sys, liif_bench;"
    "liif_bench.run(scales=[2, 8], limit=1, models=['bicubic', 'liif-edsr'], device='cpu',"
    " out=sys.argv[1], progress=False)"
)


def measure(environment: dict[str, str], together: int) -> float:
    """Run `together` processes at once; return the seconds until the last one is done."""
    base = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", RUN, str(Path(scratch) / str(number))],
                env=base | environment,
            )
            for number in range(together)
        ]
        if any(process.wait() for process in processes):
            sys.exit("a run failed")
        return time.perf_counter() - start


def main() -> None:
    """Measure and print."""
    seconds: dict[tuple[str, int], list[float]] = {}
    for number in range(ROUNDS):
        order = list(SETTINGS) if number % 2 == 0 else list(SETTINGS)[::-1]
        for together in (1, 2):
            for name in order:
                seconds.setdefault((name, together), []).append(measure(SETTINGS[name], together))
    print(f"{'':10}{'alone':>8}{'two at once':>13}{'ratio':>7}")
    for name in SETTINGS:
        alone = statistics.median(seconds[name, 1])
        both = statistics.median(seconds[name, 2])
        print(f"{name:10}{alone:7.1f}s{both:12.1f}s{both / alone:7.1f}")


if __name__ == "__main__":
    main()
