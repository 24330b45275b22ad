"""How close ways of making LR come to the published LR files of Set5 and Set14.

    python benchmarks/imresize.py

Prints a Markdown table: for each set and scale the share of equal pixel values and the largest
difference in grey levels. The packages `bicubic-pytorch` and `resize-right` are measured too where
they are installed; liif-bench does not need them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import numpy.typing as npt
import torch

from liif_bench.datasets import load_dataset
from liif_bench.degrade import GENERATORS, fit_pair
from liif_bench.images import RgbArray, to_uint8
from liif_bench.imresize import imresize

Size = tuple[int, int]
Way = Callable[[RgbArray, Size], RgbArray]

CASES = [("set5", 2), ("set5", 3), ("set5", 4), ("set5", 8), ("set14", 2), ("set14", 4)]


def generator(make: Callable[[RgbArray, Size], torch.Tensor], hr: RgbArray, size: Size) -> RgbArray:
    """Make LR as a protocol's generator does, in grey levels."""
    return to_uint8(make(hr, size))


def levels(values: npt.NDArray[np.float64]) -> RgbArray:
    """Round to grey levels, halves up."""
    return np.floor(np.clip(values, 0, 255) + 0.5).astype(np.uint8)


def bicubic_pytorch(hr: RgbArray, size: Size) -> RgbArray:
    """The package `bicubic-pytorch` in float64."""
    image = torch.from_numpy(hr).permute(2, 0, 1)[None].double()
    small = import_module("bicubic_pytorch.core").imresize(image, sizes=size)
    return levels(small[0].permute(1, 2, 0).numpy())


def resize_right(hr: RgbArray, size: Size) -> RgbArray:
    """The package `resize-right` in float64."""
    package = import_module("resize_right")
    cubic = package.interp_methods.cubic
    return levels(package.resize(hr.astype(float), out_shape=(*size, 3), interp_method=cubic))


WAYS: dict[str, Way] = {
    "imresize, as MATLAB": imresize,
    "imresize, edges replicated": partial(imresize, edges="replicate"),
    "imresize, not rounded between passes": partial(imresize, round_between=False),
    **{name: partial(generator, make) for name, make in GENERATORS.items() if "matlab" not in name},
}
if find_spec("bicubic_pytorch"):
    WAYS["bicubic-pytorch"] = bicubic_pytorch
if find_spec("resize_right"):
    WAYS["resize-right"] = resize_right


def compare(way: Way, dataset: str, scale: int) -> str:
    """Return the share of equal values and the largest difference over a set's images."""
    equal = total = largest = 0
    for item in load_dataset(dataset).items:
        given = item.read_lr(scale)
        assert given is not None
        _, hr = fit_pair(given, item.read_hr(scale), scale)
        apart = np.abs(way(hr, given.shape[:2]).astype(int) - given)
        equal, total = equal + int((apart == 0).sum()), total + apart.size
        largest = max(largest, int(apart.max()))
    return f"{equal / total:.4f}, {largest}"


def main() -> None:
    """Measure and print."""
    print("| made by |", " | ".join(f"{name} x{scale}" for name, scale in CASES), "|")
    print("|---|" + "---:|" * len(CASES))
    for name, way in WAYS.items():
        print(f"| {name} |", " | ".join(compare(way, *case) for case in CASES), "|", flush=True)


if __name__ == "__main__":
    main()
