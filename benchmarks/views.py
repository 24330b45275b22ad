"""What zoomed views cost: in proportion to the crop, not to the image.

    python benchmarks/views.py [--models bicubic,liif-edsr] [--scale 4] [--sizes 224,...,1024]

For one photograph of the scikit-image wheel, degraded by a scale, prints a Markdown table by size
S of the shorter side: pixels of the whole zoomed image; pixels that the nine views show; time
of the centre view alone, of all nine, and of rendering the whole, for each model (median of three).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from torch import Tensor

from liif_bench.datasets import load_dataset
from liif_bench.downstream.views import CROP, GRID, anchors, cut, views_of_answer, zoomed_size
from liif_bench.evaluate import answer_case, make_case
from liif_bench.metrics.base import Case
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import pixel_window

SIZES = "224,256,320,384,448,512,640,768,896,1024"
REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    """Return the median time of some runs, after one that does not count."""
    work()
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return median(taken)


def pixels_shown(size: tuple[int, int]) -> int:
    """Return how many pixels of a zoomed image the nine views ask for."""
    asked = 0

    def part(top: int, left: int, height: int, width: int) -> Tensor:
        del top, left
        nonlocal asked
        asked += height * width
        return torch.zeros(3, height, width)

    cut(part, size)
    return asked


def row(name: str, case: Case, shorter: int) -> str:
    """Return the line of one model at one size."""
    output = answer_case(load_upsampler(name), case, whole=False).output
    if output is None or output.image is None:
        raise SystemExit(f"{name} has no answer")
    image = output.image
    size = zoomed_size(case.size, shorter)
    height, width = size
    middle = GRID // 2
    top, left = (max(0, anchors(length)[middle] - CROP // 2) for length in size)
    view = (min(CROP, height - top), min(CROP, width - left))
    window = pixel_window(size, top, left, *view)
    one = seconds(lambda: image.render(view, window))
    nine = seconds(lambda: list(views_of_answer(case, output, [shorter])))
    whole = seconds(lambda: image.render(size))
    shown = pixels_shown(size)
    return (
        f"| {name} | {shorter} | {height * width / 1e3:.0f} | {shown / 1e3:.0f}"
        f" | {one:.3f} | {nine:.3f} | {whole:.3f} |"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="bicubic,liif-edsr")
    parser.add_argument("--scale", type=float, default=4.0)
    parser.add_argument("--sizes", default=SIZES)
    wishes = parser.parse_args()
    item = load_dataset("sample").items[0]
    case = make_case(load_protocol("liif-div2k"), item, wishes.scale)
    print(f"{item.name}: HR {case.size[1]}x{case.size[0]}, x{wishes.scale:g}\n")
    print("| model | S | whole, kpx | nine views, kpx | one view, s | nine views, s | whole, s |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in wishes.models.split(","):
        for shorter in map(int, wishes.sizes.split(",")):
            print(row(name, case, shorter), flush=True)


if __name__ == "__main__":
    main()
