"""What the judge of photographs can be fooled by: photographs and enlargements, altered.

    python benchmarks/photograph_limits.py [--data sample] [--data-root FOLDER] [--scale 4]

Prints, for the images of a data set that it was not trained on, the mean probability of
"photograph" over their patches, of HR and of bicubic SR, each as it is and altered.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from liif_bench.datasets import load_dataset
from liif_bench.degrade import make_pair
from liif_bench.images import RgbArray, to_tensor, to_uint8
from liif_bench.metrics.realism.photograph import features, load_judge, patches, places
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler

SEED = 0


def noisy(image: RgbArray, sigma: float) -> RgbArray:
    """Add Gaussian noise, of a standard deviation in grey levels."""
    noise = np.random.default_rng(SEED).normal(0, sigma, image.shape)
    rounded: npt.NDArray[np.uint8] = (image + noise).round().clip(0, 255).astype(np.uint8)
    return rounded


def blurred(image: RgbArray, sigma: float) -> RgbArray:
    """Blur by a Gaussian, of a standard deviation in pixels."""
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def sharpened(image: RgbArray, percent: int) -> RgbArray:
    """Sharpen by unsharp masking, radius 2."""
    mask = ImageFilter.UnsharpMask(radius=2, percent=percent, threshold=0)
    return np.array(Image.fromarray(image).filter(mask))


def compressed(image: RgbArray, quality: int) -> RgbArray:
    """Return an image as JPEG of a quality shows it."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.array(Image.open(file))


ALTERED: dict[str, Callable[[RgbArray], RgbArray]] = {
    "as it is": lambda image: image,
    "JPEG, quality 80": lambda image: compressed(image, 80),
    "JPEG, quality 40": lambda image: compressed(image, 40),
    "noise, sigma 2": lambda image: noisy(image, 2),
    "noise, sigma 8": lambda image: noisy(image, 8),
    "blurred, sigma 0.7": lambda image: blurred(image, 0.7),
    "blurred, sigma 1.5": lambda image: blurred(image, 1.5),
    "sharpened by 150 %": lambda image: sharpened(image, 150),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="sample")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--scale", type=float, default=4.0)
    wishes = parser.parse_args()
    judge, rules = load_judge(), load_protocol("liif-div2k").lr
    bicubic = load_upsampler("bicubic")
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in ALTERED}
    for item in load_dataset(wishes.data, wishes.data_root).items:
        lr, hr = make_pair(item.read_hr(wishes.scale), wishes.scale, rules)
        size = (hr.shape[0], hr.shape[1])
        if item.name in judge.trained_on or not places(size):
            continue
        sr = to_uint8(bicubic.encode(lr).render(size))
        for name, alter in ALTERED.items():
            real, made = (
                judge.probabilities(
                    judge.standardised(features(patches(to_tensor(alter(image)))))
                ).mean()
                for image in (hr, sr)
            )
            found[name].append((float(real), float(made)))
    print(f"{wishes.data}: {len(found['as it is'])} images\n")
    print(f"| | HR | bicubic x{wishes.scale:g} |")
    print("|---|---:|---:|")
    for name, values in found.items():
        real, made = np.mean(values, axis=0)
        print(f"| {name} | {real:.3f} | {made:.3f} |")


if __name__ == "__main__":
    main()
