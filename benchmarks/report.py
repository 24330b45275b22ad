"""How long the HTML report of many records takes, and how much memory.

    python benchmarks/report.py [--records 100000]

Makes up a run of five data sets, five models, five metrics and eight scales, writes its report in
a process of its own, and prints its seconds, peak resident memory and size.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from liif_bench.records import COLUMNS, MANIFEST, RECORDS, SCHEMA_VERSION, to_frame

SETS, MODELS, METRICS = 5, 5, 5
SCALES = (2, 3, 4, 6, 8, 12, 18, 30)


def write_big_run(folder: Path, records: int) -> int:
    """Write a run of about so many made-up records; return how many there are."""
    items = max(1, records // (SETS * MODELS * METRICS * len(SCALES)))
    grid = pd.MultiIndex.from_product(
        [
            [f"set{n}" for n in range(SETS)],
            [f"image{n:04}" for n in range(items)],
            [float(scale) for scale in SCALES],
            ["bicubic", "liif-edsr", *(f"model{n}" for n in range(MODELS - 2))],
            ["psnr", "ssim", "lpips", *(f"metric{n}" for n in range(METRICS - 3))],
        ],
        names=["dataset", "item", "scale", "upsampler", "metric"],
    )
    frame = grid.to_frame(index=False)
    rng = np.random.default_rng(0)
    frame["value"] = rng.normal(30, 3, len(frame)) + (frame["upsampler"] == "liif-edsr")
    failed = rng.random(len(frame)) < 0.01
    frame.loc[failed, "value"] = np.nan
    frame["error"] = None
    frame.loc[failed, "error"] = "it ran out of memory"
    frame["higher_is_better"] = frame["metric"] != "lpips"
    trained = frame["upsampler"] != "bicubic"
    frame["regime"] = np.where(frame["scale"] <= 4, "in", "out")
    frame.loc[~trained, "regime"] = None
    common = {
        "run": "big", "suite": "big", "suite_version": 1, "protocol": "liif-div2k",
        "protocol_hash": "0" * 12, "lr_source": "pil-bicubic-uint8", "lr_h": 100, "lr_w": 100,
        "hr_h": 200, "hr_w": 200, "weights_sha256": None, "variant": "v", "seconds": 1.0,
    }  # fmt: skip
    frame = frame.assign(**common)[list(COLUMNS)].astype(to_frame([]).dtypes.to_dict())
    folder.mkdir(parents=True)
    frame.to_parquet(folder / RECORDS)
    models = list(dict.fromkeys(frame["upsampler"]))
    datasets = list(dict.fromkeys(frame["dataset"]))
    manifest = {
        "schema_version": SCHEMA_VERSION, "run": "big", "created": "2026-01-01",
        "finished": "2026-01-01", "protocol": {}, "command": [],
        "plan": {
            "suite": "big", "suite_version": 1, "protocol": "liif-div2k",
            "protocol_hash": "0" * 12, "limit": None, "models": dict.fromkeys(models),
            "datasets": dict.fromkeys(datasets), "scales": SCALES, "model_settings": {},
        },
        "request": {"datasets": datasets, "models": models, "data_root": None},
    }  # fmt: skip
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return len(frame)


def measure(folder: Path) -> tuple[float, float, int, int]:
    """Write the report of a run in a process of its own.

    Returns:
        Seconds of wall and of CPU time, most bytes resident, bytes of the page.
    """
    command = [sys.executable, "-m", "liif_bench", "report", str(folder)]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    seconds = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    peak = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return seconds, used.ru_utime + used.ru_stime, peak, (folder / "report.html").stat().st_size


def main() -> None:
    """Print what the report costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "big"
        count = write_big_run(folder, wanted.records)
        seconds, cpu, peak, size = measure(folder)
    print(
        f"{count} records: {seconds:.1f} s ({cpu:.1f} s of CPU time), {peak / 2**20:.0f} MiB at"
        f" most, page of {size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
