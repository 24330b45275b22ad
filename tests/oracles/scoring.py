"""PSNR, SSIM and LPIPS as each preset's source computes them, a second time and apart.

Numpy in float64 and the `lpips` package, nothing of `liif_bench` but the reading of a weights file.
What a preset asks for is written here in formulas, not read from its file, so that neither can be
wrong alone. `python tests/oracles/scoring.py` writes the table `tests/calibration.json`.
"""

import json
import math
import warnings
from functools import cache, partial
from pathlib import Path

import lpips
import numpy as np
import torch

from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import lpips_trunk

TABLE = Path(__file__).parents[1] / "calibration.json"
SCALES = (2.0, 3.7)

# Images, made of whole numbers alone, so that every machine makes the same ones


def scrambled(height, width, seed):
    """Noise of 0 to 65535: a multiplicative hash of each position and channel."""
    index = np.arange(height * width * 3, dtype=np.uint64) + np.uint64(1_000_003 * seed)
    mixed = (index * np.uint64(2_654_435_761)) % np.uint64(2**32)
    mixed = ((mixed ^ (mixed >> np.uint64(15))) * np.uint64(2_246_822_519)) % np.uint64(2**32)
    return (mixed >> np.uint64(16)).astype(np.int64).reshape(height, width, 3)


def picture(height, width, seed):
    """Slanted ramps that turn round at black and white, an edge, and a little grain: uint8."""
    y, x, c = np.ogrid[:height, :width, :3]
    ramp = (x * (9 + 2 * c) + y * (5 + 3 * c) + 60 * c + 37 * seed) % 510
    smooth = np.minimum(ramp, 509 - ramp)
    smooth = np.where(2 * x + y > width + seed % 7, smooth, (smooth + 90) // 2)
    grain = scrambled(height, width, seed) % 13 - 6
    return np.clip(smooth + grain, 0, 255).astype(np.uint8)


def eight_bit_pair():
    """SR on grey levels, and in range: rounding and clamping have nothing to do."""
    hr = picture(40, 48, 1)
    sr = np.clip(hr.astype(np.int64) + scrambled(40, 48, 2) % 25 - 12, 0, 255)
    return sr / 255, hr


def between_levels_pair():
    """SR between grey levels, which rounding moves; never half way, where ways of rounding part."""
    hr = picture(48, 56, 3)
    steps = hr.astype(np.int64) * 1021 // 255 + scrambled(48, 56, 4) % 61 - 30
    return np.clip(steps, 0, 1021) / 1021, hr


def out_of_range_pair():
    """SR that a network left below 0 and above 1."""
    hr = picture(56, 64, 5)
    steps = hr.astype(np.int64) * 1021 // 255 + scrambled(56, 64, 6) % 201 - 100
    return steps / 1021, hr


PAIRS = {
    "8-bit": eight_bit_pair,
    "between levels": between_levels_pair,
    "out of range": out_of_range_pair,
}


@cache
def pair(name):
    """SR as a network renders it, `(H, W, 3)` float32, and HR, `(H, W, 3)` uint8."""
    sr, hr = PAIRS[name]()
    return sr.astype(np.float32), hr


# What is seen of an image: of SR clamped to [0, 1], and of HR


def clamped(sr):
    return np.clip(sr.astype(np.float64), 0, 1)


def eight_bit(sr):
    """Whole grey levels, as in a PNG file."""
    return np.rint(clamped(sr) * 255).astype(np.uint8)


def whole(image):
    return image


def without_border(width):
    """A function that leaves out `width(scale)` pixels, the last one whole."""

    def cut(image, scale):
        border = math.ceil(width(scale))
        return image[border:-border, border:-border] if border else image

    return cut


SHAVE_S = without_border(lambda scale: scale)
SHAVE_S6 = without_border(lambda scale: scale + 6)
SHAVE_3 = without_border(lambda scale: 3)
UNSHAVED = without_border(lambda scale: 0)


# Channels, `(H, W, C)` with peak 1, of an image in [0, 1] or of uint8


def rgb(image):
    """All three."""
    return image / 255 if image.dtype == np.uint8 else image


def blue(image):
    """The first channel of BGR."""
    return rgb(image)[..., 2:]


def liif_luma(image):
    """Without its offset, which the difference of two images does not have."""
    red, green, blue = np.moveaxis(rgb(image), 2, 0)
    return (65.738 * red + 129.057 * green + 25.064 * blue)[..., None] / 256


def liif_luma_shown(image):
    """The same with MATLAB's offset, for what does not depend on differences alone."""
    return liif_luma(image) + 16 / 255


def basicsr_luma(image):
    """BasicSR's `bgr2ycbcr(y_only=True)` of a floating-point image."""
    return (rgb(image)[..., ::-1] @ np.array([24.966, 128.553, 65.481]) + 16.0)[..., None] / 255


def matlab_luma(image):
    """MATLAB's `rgb2ycbcr` of uint8: the sum of each pixel in thousandths, rounded."""
    assert image.dtype == np.uint8
    sums = image.astype(np.int64) @ np.array([65481, 128553, 24966])
    return (16 + (2 * sums + 255_000) // 510_000)[..., None] / 255


def full_luma(image):
    """JPEG's and YIQ's."""
    return (rgb(image) @ np.array([0.299, 0.587, 0.114]))[..., None]


# Metrics


def psnr(sr, hr):
    return -10 * math.log10(np.mean((sr - hr) ** 2))


def gauss():
    offset = np.arange(-5.0, 6.0)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    return window / window.sum()


def ssim(sr, hr, border):
    """Wang et al. 2004: moments under an 11x11 Gaussian window at every place that it is put.

    Args:
        sr: `(H, W, C)`, peak 1.
        hr: The same shape.
        border: What lies beyond the image, as `np.pad` calls it; None where windows stay inside.
    """

    def moment(image):
        if border:
            image = np.pad(image, ((5, 5), (5, 5), (0, 0)), mode=border)
        windows = np.lib.stride_tricks.sliding_window_view(image, (11, 11), axis=(0, 1))
        return np.einsum("hwcij,ij->hwc", windows, gauss())

    mean_x, mean_y = moment(sr), moment(hr)
    var_x, var_y = moment(sr * sr) - mean_x**2, moment(hr * hr) - mean_y**2
    covariance = moment(sr * hr) - mean_x * mean_y
    c1, c2 = 0.01**2, 0.03**2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return np.mean(luminance * (2 * covariance + c2) / (var_x + var_y + c2))


VALID = partial(ssim, border=None)
FULL = partial(ssim, border="reflect")
ZERO = partial(ssim, border="constant")


@cache
def lpips_model(net):
    """The authors' package with the trunk from the weights file, told to be silent."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        model = lpips.LPIPS(net=net, version="0.1", pnet_rand=True, verbose=False).eval()
    trunk = list(lpips_trunk(ensure(f"lpips-{net}")).values())
    layers = model.net.state_dict()
    assert len(layers) == len(trunk)
    model.net.load_state_dict(dict(zip(layers, trunk, strict=True)))
    return model


@torch.inference_mode()
def lpips_of(sr, hr, net, low):
    """LPIPS of images whose black is `low` and whose white is 1."""
    inputs = (
        torch.from_numpy(np.moveaxis(rgb(image) * (1 - low) + low, 2, 0).copy()).float()[None]
        for image in (sr, hr)
    )
    return float(lpips_model(net)(*inputs))


ALEX = partial(lpips_of, net="alex", low=-1)
VGG = partial(lpips_of, net="vgg", low=-1)
ALEX_FROM_0 = partial(lpips_of, net="alex", low=0)


# Presets: what is done to SR, then for each metric its border, its channels and its formula

LIIF_SSIM = (SHAVE_S, liif_luma_shown, VALID)
WHOLE_ALEX = (UNSHAVED, whole, ALEX)

LIIF_BENCHMARK = {
    "output": clamped,
    "psnr": (SHAVE_S, liif_luma, psnr),
    "ssim": LIIF_SSIM,
    "lpips": WHOLE_ALEX,
}
LIIF_DIV2K = {
    "output": clamped,
    "psnr": (SHAVE_S6, rgb, psnr),
    "ssim": (SHAVE_S6, rgb, VALID),
    "lpips": WHOLE_ALEX,
}
PRESETS = {
    "liif-benchmark": LIIF_BENCHMARK,
    "liif-div2k": LIIF_DIV2K,
    "lte": LIIF_BENCHMARK,
    "lte-div2k": LIIF_DIV2K,
    "zoom-paper": LIIF_DIV2K,
    "mmagic": {
        "output": eight_bit,
        "psnr": (SHAVE_S, rgb, psnr),
        "ssim": (SHAVE_S, blue, VALID),
        "lpips": WHOLE_ALEX,
    },
    "clit-ssim": LIIF_DIV2K | {"ssim": (UNSHAVED, rgb, ZERO)},
    "linf-lpips": LIIF_DIV2K | {"ssim": (UNSHAVED, rgb, VALID)},
    "basicsr-y": {
        "output": eight_bit,
        "psnr": (SHAVE_S, basicsr_luma, psnr),
        "ssim": (SHAVE_S, basicsr_luma, VALID),
        "lpips": WHOLE_ALEX,
    },
    "matlab-y": {
        "output": eight_bit,
        "psnr": (SHAVE_S, matlab_luma, psnr),
        "ssim": (SHAVE_S, matlab_luma, VALID),
        "lpips": WHOLE_ALEX,
    },
}

# What no preset asks for: fields of a protocol that differ from liif-div2k, the one metric that
# they belong to, and how it is worked out. 8-bit luma of unrounded SR has no source to be true to.
FIELDS = [
    ({"psnr.colour": "y-full"}, "psnr", (SHAVE_S6, full_luma, psnr)),
    ({"psnr.colour": "blue"}, "psnr", (SHAVE_S6, blue, psnr)),
    ({"psnr.shave_scale": 0.0, "psnr.shave_extra": 3}, "psnr", (SHAVE_3, rgb, psnr)),
    ({"psnr.shave_scale": 0.0, "psnr.shave_extra": 0}, "psnr", (UNSHAVED, rgb, psnr)),
    ({"ssim.colour": "y-full"}, "ssim", (SHAVE_S6, full_luma, VALID)),
    ({"ssim.window": "full"}, "ssim", (SHAVE_S6, rgb, FULL)),
    ({"ssim.window": "full", "ssim.colour": "y"}, "ssim", (SHAVE_S6, basicsr_luma, FULL)),
    ({"ssim.window": "zero", "ssim.colour": "y"}, "ssim", (SHAVE_S6, basicsr_luma, ZERO)),
    ({"lpips.net": "vgg"}, "lpips", (UNSHAVED, whole, VGG)),
    ({"lpips.range": "0..1"}, "lpips", (UNSHAVED, whole, ALEX_FROM_0)),
    ({"lpips.shave_scale": 1.0}, "lpips", (SHAVE_S, whole, ALEX)),
    ({"lpips.shave_extra": 3}, "lpips", (SHAVE_3, whole, ALEX)),
]


def measured(output, how, name, scale):
    """One number: border, channels and formula of a pair whose SR `output` has finished."""
    border, channels, formula = how
    sr, hr = pair(name)
    return formula(*(channels(border(image, scale)) for image in (output(sr), hr)))


def of_all_pairs(value):
    """`value(name, scale)` of every pair at every scale, to the digits that are worth keeping."""
    return {
        name: {f"{scale:g}": round(float(value(name, scale)), 7) for scale in SCALES}
        for name in PAIRS
    }


def table():
    """Every number: preset, metric, pair, scale; and those of the single fields."""
    presets = {
        preset: {
            metric: of_all_pairs(partial(measured, choices["output"], choices[metric]))
            for metric in ("psnr", "ssim", "lpips")
        }
        for preset, choices in PRESETS.items()
    }
    fields = [
        {
            "changed": changed,
            "metric": metric,
            "values": of_all_pairs(partial(measured, clamped, how)),
        }
        for changed, metric, how in FIELDS
    ]
    return {
        "about": "Written by tests/oracles/scoring.py, never by hand.",
        "presets": presets,
        "fields": fields,
    }


if __name__ == "__main__":
    TABLE.write_text(json.dumps(table(), indent=1) + "\n", encoding="utf-8")
