"""The LIIF decoder against the paper's equations and against this machine's matrix products.

    python benchmarks/decoder.py [--sizes 128x128,512x512,2040x1356] [--scales 2,4,8,30]
                                 [--large 3840x2160] [--figure FILE.svg]

Measures, side by side in one process and on the same features (a photograph of the scikit-image
wheel, official weights):

- the textbook decoder: the paper's equations as they stand (tests/oracles/textbook_liif.py, in
  float32, 30,000 queries at a time as the authors' code does);
- ours in float32 and bfloat16 (on a GPU also float32 with TF32, and float16);
- the best rate of 256x256 matrix products, by torch's own product and by the one that the decoder
  uses, each thread with products of its own.

Prints a Markdown table: pixels per second, the ratio to the textbook, the share of the matrix
products' rate, the largest difference from the textbook's output in [0, 1], and the change of the
PSNR. Then what each decoder takes at its peak for the last of the sizes, at the smallest and the
largest scale, its output included, each measured in a process of its own (on the CPU, under Linux).
`--large` measures ours alone, where the textbook would take minutes; `--figure` draws the time of
ours against the number of output pixels (needs matplotlib).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from skimage import data
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from liif_bench.images import to_tensor
from liif_bench.metrics.distortion import psnr
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.liif import Liif
from liif_bench.upsamplers.liif.checkpoint import read_checkpoint
from liif_bench.upsamplers.liif.hidden import hidden_layers
from liif_bench.weights.fetch import ensure

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from oracles.textbook_liif import decode

HIDDEN = 256
QUERIES = 30_000
FLOP_PER_PIXEL = 4 * 3 * 2 * HIDDEN * HIDDEN  # four codes through three square layers
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
FORMATS = ["float32", "bfloat16"] + (["tf32", "float16"] if DEVICE == "cuda" else [])

Size = tuple[int, int]


@dataclass(frozen=True)
class Measured:
    """One decoder at one output size and scale; seconds are the best of the repeats."""

    what: str
    width: int
    height: int
    scale: float
    seconds: float

    @property
    def pixels(self) -> int:
        """Output pixels."""
        return self.width * self.height


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
    """Return the best rate of 256x256 products over ways and numbers of rows, in FLOP/s."""
    threads = torch.get_num_threads() if DEVICE == "cpu" else 1
    best = 0.0
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for rows in (512, 1024, 2048, 4096, 8192, 16384):
            count = max(8, 200_000 // rows)
            weight = torch.randn(HIDDEN, HIDDEN, device=DEVICE).to(dtype)
            bias = torch.zeros(HIDDEN, device=DEVICE, dtype=dtype)
            layer = hidden_layers([(weight, bias)], rows)
            operands = [
                tuple(torch.randn(rows, HIDDEN, device=DEVICE).to(dtype) for _ in range(2))
                for _ in range(threads)
            ]

            def product(
                vectors: Tensor, out: Tensor, weight: Tensor = weight, count: int = count
            ) -> None:
                for _ in range(count):
                    torch.mm(vectors, weight, out=out)

            @torch.inference_mode()
            def ours(
                vectors: Tensor,
                _: Tensor,
                layer: Callable[[Tensor], Tensor] = layer,
                count: int = count,
            ) -> None:
                for _ in range(count):
                    layer(vectors)

            for way in (product, ours):

                def everywhere(
                    way: Callable[[Tensor, Tensor], None] = way,
                    operands: list[tuple[Tensor, ...]] = operands,
                ) -> None:
                    list(pool.map(lambda pair: way(*pair), operands))

                taken = seconds(everywhere, 3)
                best = max(best, threads * count * 2 * rows * HIDDEN**2 / taken)
    return best


def textbook(features: Tensor, layers: list[tuple[Tensor, Tensor]], size: Size) -> Tensor:
    """Render by the paper's equations in float32, some rows at a time; `(3, H, W)` in [0, 1]."""
    rows = max(1, QUERIES // size[1])
    parts = []
    with torch.no_grad():
        for top in range(0, size[0], rows):
            bottom = min(top + rows, size[0])
            window = (top / size[0], 0.0, bottom / size[0], 1.0)
            part = (bottom - top, size[1])
            parts.append(decode(features, layers, part, window=window, dtype=torch.float32))
    return torch.cat(parts, dim=1).mul(0.5).add(0.5).clamp(0, 1)


def photograph(size: Size) -> Tensor:
    """Return a photograph at a size, `(3, H, W)` in [0, 1]; mirrored where it is too small."""
    image = data.astronaut()
    height, width = (max(wanted, own) for wanted, own in zip(size, image.shape, strict=False))
    margins = ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))
    return to_tensor(np.pad(image, margins, "symmetric")[: size[0], : size[1]])


def reduced(size: Size, scale: float) -> Tensor:
    """Return the photograph's LR for an output size and a scale."""
    lr_size = [max(1, round(side / scale)) for side in size]
    return resize(photograph(size), lr_size, InterpolationMode.BICUBIC, antialias=True).clamp(0, 1)


def parse(text: str) -> list[Size]:
    """Read sizes such as ``128x128,2040x1356`` (width x height)."""
    pairs = [part.split("x") for part in text.split(",") if part]
    return [(int(height), int(width)) for width, height in pairs]


def load(what: str) -> Liif:
    """Load the official weights in a number format."""
    precision = "float32" if what == "tf32" else what
    model = load_upsampler("liif-edsr", Options(device=DEVICE, precision=precision))  # type: ignore[arg-type]
    assert isinstance(model, Liif)
    return model


def allow_tf32(what: str) -> None:
    """Let CUDA's float32 products round their inputs, or forbid it."""
    torch.backends.cuda.matmul.allow_tf32 = what == "tf32"
    torch.backends.cudnn.allow_tf32 = what == "tf32"


def features_of(model: Liif, lr: Tensor) -> Tensor:
    """Return the feature map of an LR image, on the device, in float32."""
    whole = model.encode(lr).features
    return whole.part(slice(0, lr.shape[1]), slice(0, lr.shape[2])).float().clone()


def measure(size: Size, scale: float, models: dict[str, Liif], peaks: dict[str, float]) -> str:
    """Measure everything at a size and a scale; return a row of the table."""
    layers = [
        (weight.to(DEVICE), bias.to(DEVICE))
        for weight, bias in read_checkpoint(ensure("liif-edsr")).layers
    ]
    hr, lr = photograph(size), reduced(size, scale)
    repeats = 3 if size[0] * size[1] < 1e6 else 1
    allow_tf32("float32")
    features = features_of(models["float32"], lr)
    if DEVICE == "cpu":
        start = time.perf_counter()
        expected = textbook(features, layers, size)
        plain = time.perf_counter() - start
        if repeats > 1:
            plain = seconds(lambda: textbook(features, layers, size), repeats)
    else:  # its positions are made on the CPU: compare values, not times
        expected = textbook(features.cpu(), [(w.cpu(), b.cpu()) for w, b in layers], size)
        plain = float("nan")
    row = [f"{size[1]}x{size[0]}", f"x{scale:g}", f"{size[0] * size[1] / plain / 1e3:.0f}"]
    for what, model in models.items():
        allow_tf32(what)
        image = model.encode(lr)
        got = image.render(size)
        rate = size[0] * size[1] / seconds(lambda image=image: image.render(size), repeats)
        row += [
            f"{rate / 1e3:.0f}",
            f"{rate * plain / (size[0] * size[1]):.1f}",
            f"{rate * FLOP_PER_PIXEL / peaks[what]:.0%}",
            f"{float((got - expected).abs().max()):.0e}",
            f"{psnr(got, hr) - psnr(expected, hr):+.4f}",
        ]
    return f"| {' | '.join(row)} |"


def cost(size: Size, scale: float, models: dict[str, Liif]) -> list[Measured]:
    """Measure ours alone."""
    lr = reduced(size, scale)
    found = []
    for what, model in models.items():
        allow_tf32(what)
        image = model.encode(lr)
        taken = seconds(lambda image=image: image.render(size), 2 if size[0] * size[1] < 1e6 else 1)
        found.append(Measured(what, size[1], size[0], scale, taken))
    return found


def resident() -> int:
    """Return the bytes that this process has resident (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def peak_memory(what: str, size: Size, scale: float) -> int:
    """Return the bytes that a decoder takes at its peak beyond LR and features, output included."""
    layers = read_checkpoint(ensure("liif-edsr")).layers
    model = load("float32" if what == "textbook" else what)
    lr = reduced(size, scale)
    features, image = features_of(model, lr), model.encode(lr)
    finished = threading.Event()
    seen = [before := resident()]

    def watch() -> None:
        while not finished.wait(0.002):
            seen.append(resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        if what == "textbook":
            textbook(features, layers, size)
        else:
            image.render(size)
    finally:
        finished.set()
        watcher.join()
    return max(seen) - before


def print_memory(size: Size, scales: list[float]) -> None:
    """Print what each decoder takes at its peak, each in a process of its own."""
    names = ["textbook", *FORMATS]
    print("\n| output | scale | " + " | ".join(f"{name}, MiB" for name in names) + " |")
    print("|---|---|" + "---:|" * len(names))
    for scale in scales:
        found = []
        for name in names:
            command = [sys.executable, __file__, "--peak-of", name]
            command += ["--sizes", f"{size[1]}x{size[0]}", "--scales", str(scale)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found.append(f"{int(done.stdout) / 2**20:.0f}")
        print(f"| {size[1]}x{size[0]} | x{scale:g} | {' | '.join(found)} |", flush=True)


def draw(costs: list[Measured], path: Path) -> None:
    """Draw time against output pixels, one line per number format and scale."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    colours = {what: f"C{number}" for number, what in enumerate(FORMATS)}
    scales = sorted({one.scale for one in costs})
    for what in FORMATS:
        for scale, marker in zip(scales, "osD^v*", strict=False):
            mine = sorted(
                (one.pixels / 1e6, one.seconds)
                for one in costs
                if (one.what, one.scale) == (what, scale)
            )
            label = f"{what}, x{scale:g}"
            axes.plot(
                *zip(*mine, strict=True), marker=marker, lw=1, color=colours[what], label=label
            )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("output (megapixels)")
    axes.set_ylabel("time to decode (s)")
    axes.set_title("LIIF decoder: time against output size")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(fontsize=8, ncols=2)
    figure.savefig(path)


def main() -> None:
    """Measure and print."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    options.add_argument("--sizes", type=parse, default="128x128,512x512,2040x1356")
    options.add_argument("--large", type=parse, default="", help="sizes at which only ours runs")
    options.add_argument("--scales", default="2,4,8,30")
    options.add_argument("--figure", type=Path)
    options.add_argument("--peak-of", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    scales = [float(scale) for scale in chosen.scales.split(",")]
    if chosen.peak_of:
        print(peak_memory(chosen.peak_of, chosen.sizes[0], scales[0]))
        return
    models = {name: load(name) for name in FORMATS}
    peaks = {}
    for name in FORMATS:
        allow_tf32(name)
        peaks[name] = product_rate(torch.float32 if name == "tf32" else getattr(torch, name))
    device = torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU"
    print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}; 256x256 matrix")
    print("products: " + ", ".join(f"{n} {rate / 1e9:.0f} GFLOP/s" for n, rate in peaks.items()))
    print("\n| output | scale | textbook, kpx/s |", end="")
    print("".join(f" {n}, kpx/s | ratio | share | difference | PSNR, dB |" for n in FORMATS))
    print("|---|---|---:|" + "---:|" * 5 * len(FORMATS))
    for size in chosen.sizes:
        for scale in scales:
            print(measure(size, scale, models, peaks), flush=True)
    if DEVICE == "cpu":
        print_memory(chosen.sizes[-1], sorted({scales[0], scales[-1]}))
    if chosen.figure or chosen.large:
        sizes = [*chosen.sizes, *chosen.large]
        costs = [one for size in sizes for scale in scales for one in cost(size, scale, models)]
        print("\n" + "\n".join(json.dumps(asdict(one)) for one in costs))
        if chosen.figure:
            draw(costs, chosen.figure)


if __name__ == "__main__":
    main()
