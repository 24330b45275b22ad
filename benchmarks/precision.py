"""Where a PSNR's last digits come from: the sizes of the errors that no protocol chooses.

    python benchmarks/precision.py [DATA SET] [SCALE]

LIIF-EDSR enlarges every image of a data set (set5 at x4 by default) in ways that differ only in
the order or the format of their floating-point numbers, and its scores are averaged in several
ways. Prints a Markdown table: the largest difference of an output value where there is one, and the
largest of an image's PSNR, or of the mean.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from statistics import fmean

import torch
from torch import Tensor

from liif_bench.datasets import load_dataset
from liif_bench.evaluate import finish, make_case
from liif_bench.metrics.base import Case
from liif_bench.metrics.distortion import Psnr, scored_region
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options, Upsampler, pixel_window

PROTOCOL = load_protocol("liif-benchmark")


def whole(upsampler: Upsampler, case: Case) -> Tensor:
    """Render as a run does."""
    return upsampler.encode(case.lr).render(case.size)


def in_windows(upsampler: Upsampler, case: Case) -> Tensor:
    """Render in four windows of odd sizes."""
    image = upsampler.encode(case.lr)
    (height, width), (top, left) = case.size, (case.size[0] // 3, case.size[1] // 3)

    def part(y: int, x: int, h: int, w: int) -> Tensor:
        return image.render((h, w), pixel_window(case.size, y, x, h, w))

    upper = torch.cat([part(0, 0, top, left), part(0, left, top, width - left)], dim=2)
    rest = height - top
    lower = torch.cat([part(top, 0, rest, left), part(top, left, rest, width - left)], dim=2)
    return torch.cat([upper, lower], dim=1)


def with_threads(count: int) -> Callable[[Upsampler, Case], Tensor]:
    """Render with another number of threads."""

    def render(upsampler: Upsampler, case: Case) -> Tensor:
        before = torch.get_num_threads()
        torch.set_num_threads(count)
        try:
            return whole(upsampler, case)
        finally:
            torch.set_num_threads(before)

    return render


def mse(sr: Tensor, case: Case, dtype: torch.dtype) -> float:
    """Mean squared error on what PSNR sees, summed up in a number format."""
    seen, truth = (scored_region(x, PROTOCOL.psnr, case.scale).to(dtype) for x in (sr, case.hr))
    return float((seen - truth).square().mean())


def main(dataset: str = "set5", scale: str = "4") -> None:
    """Measure and print."""
    cases = [make_case(PROTOCOL, item, float(scale)) for item in load_dataset(dataset).items]
    float32 = load_upsampler("liif-edsr", Options())
    bfloat16 = load_upsampler("liif-edsr", Options(precision="bfloat16"))
    base = [whole(float32, case) for case in cases]
    scores = [Psnr().score(c, finish(sr, PROTOCOL)) for c, sr in zip(cases, base, strict=True)]
    other = 1 if torch.get_num_threads() > 1 else 2
    ways: dict[str, tuple[Upsampler, Callable[[Upsampler, Case], Tensor]]] = {
        "the same again": (float32, whole),
        f"{other} thread(s) instead of {torch.get_num_threads()}": (float32, with_threads(other)),
        "in windows instead of whole": (float32, in_windows),
        "network in bfloat16 instead of float32": (bfloat16, whole),
    }
    print(f"LIIF-EDSR on {dataset} at x{scale}, protocol {PROTOCOL.name}\n")
    print("| what differs | output, largest | PSNR, largest (dB) |\n|---|---:|---:|")
    for name, (upsampler, render) in ways.items():
        srs = [render(upsampler, case) for case in cases]
        moved = [
            abs(Psnr().score(case, finish(sr, PROTOCOL)) - score)
            for case, sr, score in zip(cases, srs, scores, strict=True)
        ]
        largest = max(float((sr - was).abs().max()) for sr, was in zip(srs, base, strict=True))
        print(f"| {name} | {largest:.1e} | {max(moved):.1e} |")
    errors = [mse(sr, case, torch.float64) for sr, case in zip(base, cases, strict=True)]
    exact = [-10 * math.log10(error) for error in errors]
    in_float32 = [
        -10 * math.log10(mse(sr, case, torch.float32)) for sr, case in zip(base, cases, strict=True)
    ]
    shifts = {
        "PSNR through torchmetrics, whose ln 10 is a float32": (scores, exact),
        "errors summed in float32 instead of float64": (in_float32, exact),
    }
    for name, (values, truth) in shifts.items():
        largest = max(abs(a - b) for a, b in zip(values, truth, strict=True))
        print(f"| {name} | | {largest:.1e} |")
    pooled = -10 * math.log10(fmean(errors)) - fmean(exact)
    print(f"| one PSNR of the pooled error instead of the mean of PSNRs | | {abs(pooled):.2f} |")


if __name__ == "__main__":
    main(*sys.argv[1:])
