"""The LIIF decoder against the paper's equations and against this machine's matrix products.

    python benchmarks/decoder.py [--sizes 128x128,512x512,2040x1356] [--scales 2,4,8,30]
                                 [--figure FILE.svg]

Measures, side by side in one process and on the same features of the official weights:

- the textbook decoder: the paper's equations as they stand (tests/oracles/textbook_liif.py, in
  float32, 30,000 queries at a time as the authors' code does);
- ours in float32 and bfloat16 (and float16 on a GPU);
- the best rate of 256x256 matrix products, each thread with products of its own.

Prints a Markdown table with ratios to the textbook, the share of the matrix products' rate, and the
largest difference from the textbook's output in [0, 1]. `--figure` draws the time of ours against
the number of output pixels (needs matplotlib).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch
from torch import Tensor

from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.liif import Liif, LiifImage
from liif_bench.upsamplers.liif.checkpoint import read_checkpoint
from liif_bench.weights.fetch import ensure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles.textbook_liif import decode

HIDDEN = 256
QUERIES = 30_000
FLOP_PER_PIXEL = 4 * 3 * 2 * HIDDEN * HIDDEN  # four codes through three square layers
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

Size = tuple[int, int]


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the best of several wall times, after one run to warm up where there are several."""
    times = []
    for _ in range(repeats + (repeats > 1)):
        start = time.perf_counter()
        work()
        if DEVICE == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    return min(times)


def product_rate(dtype: torch.dtype) -> float:
    """Return the best rate of 256x256 products over their number of rows, in FLOP/s."""
    threads = torch.get_num_threads() if DEVICE == "cpu" else 1
    best = 0.0
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for rows in (512, 1024, 2048, 4096, 8192, 16384):
            count = max(8, 200_000 // rows)
            operands = [
                [torch.randn(n, HIDDEN, device=DEVICE).to(dtype) for n in (rows, HIDDEN, rows)]
                for _ in range(threads)
            ]

            def multiply(parts: list[Tensor], count: int = count) -> None:
                vectors, weight, out = parts
                for _ in range(count):
                    torch.mm(vectors, weight, out=out)

            def everywhere(
                work: Callable[[list[Tensor]], None] = multiply,
                operands: list[list[Tensor]] = operands,
            ) -> None:
                list(pool.map(work, operands))

            taken = seconds(everywhere, 3)
            best = max(best, threads * count * 2 * rows * HIDDEN**2 / taken)
    return best


def textbook(features: Tensor, layers: list[tuple[Tensor, Tensor]], size: Size) -> Tensor:
    """Render by the paper's equations in float32, some rows at a time."""
    rows = max(1, QUERIES // size[1])
    parts = []
    with torch.no_grad():
        for top in range(0, size[0], rows):
            bottom = min(top + rows, size[0])
            window = (top / size[0], 0.0, bottom / size[0], 1.0)
            part = (bottom - top, size[1])
            parts.append(decode(features, layers, part, window=window, dtype=torch.float32))
    return torch.cat(parts, dim=1)


def encoded(upsampler: Liif, lr_size: Size) -> LiifImage:
    """Encode a made-up LR image."""
    generator = torch.Generator().manual_seed(0)
    return upsampler.encode(torch.rand(3, *lr_size, generator=generator))


def parse(text: str) -> list[Size]:
    """Read sizes such as ``128x128,2040x1356`` (width x height)."""
    pairs = [part.split("x") for part in text.split(",")]
    return [(int(height), int(width)) for width, height in pairs]


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--sizes", type=parse, default="128x128,512x512,2040x1356")
    options.add_argument("--scales", default="2,4,8,30")
    options.add_argument("--figure", type=Path)
    chosen = options.parse_args()
    layers = read_checkpoint(ensure("liif-edsr")).layers
    formats = ["float32", "bfloat16"] + (["float16"] if DEVICE == "cuda" else [])
    models = {name: load(name) for name in formats}
    peaks = {name: product_rate(getattr(torch, name)) for name in formats}
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}; 256x256 matrix")
    print("products: " + ", ".join(f"{n} {rate / 1e9:.0f} GFLOP/s" for n, rate in peaks.items()))
    print("\n| output | scale | textbook, kpx/s |", end="")
    print("".join(f" {n}, kpx/s | ratio | share | difference |" for n in formats))
    print("|---|---|---:|" + "---:|" * 4 * len(formats))
    costs: list[tuple[str, float, int, float]] = []
    for size in chosen.sizes:
        for scale in map(float, chosen.scales.split(",")):
            lr_size = (max(1, round(size[0] / scale)), max(1, round(size[1] / scale)))
            pixels = size[0] * size[1]
            repeats = 3 if pixels < 1e6 else 1
            whole = encoded(models["float32"], lr_size).features
            features = whole.part(slice(0, lr_size[0]), slice(0, lr_size[1])).float().cpu().clone()
            expected = textbook(features, layers, size).mul(0.5).add(0.5).clamp(0, 1)
            plain = pixels / seconds(lambda f=features, s=size: textbook(f, layers, s), repeats)
            row = [f"{size[1]}x{size[0]}", f"x{scale:g}", f"{plain / 1e3:.1f}"]
            for name, model in models.items():
                image = encoded(model, lr_size)
                difference = (image.render(size) - expected).abs().max()
                taken = seconds(lambda i=image, s=size: i.render(s), repeats)
                rate = pixels / taken
                share = rate * FLOP_PER_PIXEL / peaks[name]
                row += [f"{rate / 1e3:.1f}", f"{rate / plain:.1f}", f"{share:.0%}"]
                row.append(f"{float(difference):.1e}")
                costs.append((name, scale, pixels, taken))
            print(f"| {' | '.join(row)} |", flush=True)
    if chosen.figure:
        draw(costs, chosen.figure)


def load(precision: str) -> Liif:
    """Load the official weights in a number format."""
    model = load_upsampler("liif-edsr", Options(device=DEVICE, precision=precision))  # type: ignore[arg-type]
    assert isinstance(model, Liif)
    return model


def draw(costs: list[tuple[str, float, int, float]], path: Path) -> None:
    """Draw time against output pixels, one line per number format and scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    for name, scale in dict.fromkeys((name, scale) for name, scale, _, _ in costs):
        points = sorted((p / 1e6, t) for n, s, p, t in costs if (n, s) == (name, scale))
        style = "-" if name == "float32" else "--"
        axes.plot(*zip(*points, strict=True), style, marker="o", label=f"{name}, x{scale:g}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("output (megapixels)")
    axes.set_ylabel("time to decode (s)")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path)


if __name__ == "__main__":
    main()
