import itertools
import math
from typing import get_args

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.distortion import Psnr, Ssim, psnr, scored_region, ssim
from liif_bench.protocol import Colour, SsimWindow, load_protocol

LUMA = load_protocol("liif-benchmark")
RGB = load_protocol("liif-div2k")
WHOLE = RGB.changed(
    {f"{m}.{s}": 0 for m in ("psnr", "ssim") for s in ("shave_scale", "shave_extra")}
)
METRICS = [pytest.param(metric, id=metric.name) for metric in (Psnr(), Ssim())]


def of_both(protocol, change):
    """The protocol with other fields of a region, PSNR's and SSIM's alike."""
    return protocol.changed({f"{m}.{f}": v for f, v in change.items() for m in ("psnr", "ssim")})


@pytest.fixture
def pair():
    """A smooth picture and a disturbed one, float32 in [0, 1]."""
    generator = torch.Generator().manual_seed(9)
    coarse = torch.rand(1, 3, 6, 8, generator=generator)
    hr = torch.nn.functional.interpolate(coarse, (44, 57), mode="bicubic").clamp(0, 1)[0]
    return (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def case_of(protocol, scale, hr):
    return Case(protocol, scale, hr[:, :1, :1], hr, "given")


def score(metric, protocol, scale, sr, hr):
    return metric.score(case_of(protocol, scale, hr), Output(sr))


# PSNR

# torchmetrics holds ln(10) in float32, which moves every PSNR by 5e-8 of itself
PSNR_PRECISION = 1e-7


@pytest.mark.parametrize("channels", [1, 3])
def test_psnr_is_the_definition(channels, pair):
    sr, hr = (image[:channels] for image in pair)
    error = np.mean((sr.double().numpy() - hr.double().numpy()) ** 2)
    assert psnr(sr, hr) == pytest.approx(10 * math.log10(1 / error), rel=PSNR_PRECISION)


@pytest.mark.parametrize("difference", [0.1, 0.5, 1 / 255, 1.0])
def test_psnr_of_a_constant_difference(difference):
    hr = torch.zeros(3, 4, 5, dtype=torch.float64)
    expected = -20 * math.log10(difference)
    assert psnr(hr + difference, hr) == pytest.approx(expected, rel=PSNR_PRECISION, abs=1e-12)


def test_one_pixel_of_many_counts():
    hr = torch.full((3, 500, 600), 0.5)
    sr = hr.clone()
    sr[1, 250, 300] += 1 / 256
    expected = -10 * math.log10((1 / 256) ** 2 / hr.numel())
    assert psnr(sr, hr) == pytest.approx(expected, rel=PSNR_PRECISION)


@pytest.mark.parametrize("protocol", [LUMA, RGB], ids=["y", "rgb"])
def test_identical_images_give_infinity(protocol, pair):
    assert psnr(pair[1], pair[1]) == math.inf
    assert score(Psnr(), protocol, 2.0, pair[1].clone(), pair[1]) == math.inf


@pytest.mark.parametrize(("scale", "shave"), [(1.0, 1), (2.0, 2), (2.5, 3), (4.0, 4), (11.3, 12)])
def test_y_is_that_of_the_difference_as_the_authors_compute_it(scale, shave, pair):
    sr, hr = (image.double().numpy() for image in pair)
    weights = np.array([65.738, 129.057, 25.064]) / 256
    difference = np.einsum("c,chw->hw", weights, sr - hr)[shave:-shave, shave:-shave]
    expected = -10 * math.log10(np.mean(difference**2))
    assert score(Psnr(), LUMA, scale, *pair) == pytest.approx(expected, rel=PSNR_PRECISION)


@pytest.mark.parametrize(("scale", "shave"), [(1.0, 7), (3.7, 10), (11.3, 18)])
def test_rgb_pools_the_channels(scale, shave, pair):
    sr, hr = (image.double().numpy()[:, shave:-shave, shave:-shave] for image in pair)
    expected = -10 * math.log10(np.mean((sr - hr) ** 2))
    assert score(Psnr(), RGB, scale, *pair) == pytest.approx(expected, rel=PSNR_PRECISION)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("protocol", [LUMA, RGB], ids=["y", "rgb"])
def test_the_border_is_left_out_and_nothing_else(protocol, metric, pair):
    sr, hr = pair
    scale = 2.5
    shave = protocol.psnr.shave(scale)
    before = score(metric, protocol, scale, sr, hr)
    height, width = hr.shape[1:]
    for row, column in [
        (shave - 1, width // 2),
        (height - shave, width // 2),
        (height // 2, shave - 1),
        (height // 2, width - shave),
    ]:
        outside = sr.clone()
        outside[:, row, column] = 1 - outside[:, row, column].round()
        assert score(metric, protocol, scale, outside, hr) == before
    for row, column in [
        (shave, shave),
        (shave, width - shave - 1),
        (height - shave - 1, shave),
        (height - shave - 1, width - shave - 1),
    ]:
        inside = sr.clone()
        inside[:, row, column] = 1 - hr[:, row, column].round()
        assert score(metric, protocol, scale, inside, hr) < before


@pytest.mark.parametrize("metric", METRICS)
def test_measuring_changes_neither_image(metric, pair):
    copies = [image.clone() for image in pair]
    score(metric, LUMA, 2.0, *pair)
    assert all(torch.equal(*both) for both in zip(copies, pair, strict=True))


def test_no_shave_scores_the_whole_image(pair):
    assert torch.equal(scored_region(pair[0], WHOLE.psnr, 4.0), pair[0].double())
    assert score(Psnr(), WHOLE, 4.0, *pair) == psnr(*pair)


def test_the_region_of_hr_is_made_once_for_all_outputs_and_metrics(pair, monkeypatch):
    sr, hr = pair
    case = case_of(LUMA, 2.0, hr)
    seen = []

    def counted(image, rules, scale):
        seen.append(image)
        return scored_region(image, rules, scale)

    monkeypatch.setattr("liif_bench.metrics.distortion.scored_region", counted)
    for output in (Output(sr), Output(hr.flip(1))):
        for metric in (Psnr(), Ssim()):
            metric.score(case, output)
    assert sum(image is hr for image in seen) == 1
    assert len(seen) == 3


# SSIM


def wang_map(x, y, filtered):
    """Wang, Bovik, Sheikh, Simoncelli 2004, equation 13, on one channel in [0, 1]."""
    c1, c2 = 0.01**2, 0.03**2
    mean_x, mean_y = filtered(x), filtered(y)
    variance_x = filtered(x * x) - mean_x**2
    variance_y = filtered(y * y) - mean_y**2
    covariance = filtered(x * y) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance * (2 * covariance + c2) / (variance_x + variance_y + c2)


def gauss_window():
    offset = np.arange(-5, 6)
    window = np.exp(-(offset[:, None] ** 2 + offset**2) / (2 * 1.5**2))
    return window / window.sum()


def valid(image):
    return scipy.signal.convolve2d(image, gauss_window(), mode="valid")


def reflected(image):
    return scipy.ndimage.convolve(image, gauss_window(), mode="mirror")


def wang(sr, hr, filtered):
    channels = zip(sr.double().numpy(), hr.double().numpy(), strict=True)
    return np.mean([wang_map(x, y, filtered).mean() for x, y in channels])


def blackened(image):
    return scipy.signal.convolve2d(image, gauss_window(), mode="same", boundary="fill")


FILTERED = {"valid": valid, "full": reflected, "zero": blackened}


def test_every_window_is_tested():
    assert set(FILTERED) == set(get_args(SsimWindow))


@pytest.mark.parametrize(("window", "filtered"), FILTERED.items())
@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_the_papers_formula(channels, window, filtered, pair):
    sr, hr = (image[:channels] for image in pair)
    assert ssim(sr, hr, window) == pytest.approx(wang(sr, hr, filtered), abs=1e-10)


def test_valid_ssim_is_the_inner_part_of_torchmetrics_map(pair):
    sr, hr = (image.double()[None] for image in pair)
    _, full = structural_similarity_index_measure(
        sr, hr, data_range=1.0, return_full_image=True, reduction="none"
    )
    assert full.shape == sr.shape
    expected = float(full[..., 5:-5, 5:-5].mean())
    assert ssim(*pair, window="valid") == pytest.approx(expected, abs=1e-9)


def test_full_ssim_is_torchmetrics_default(pair):
    sr, hr = (image.double()[None] for image in pair)
    expected = float(structural_similarity_index_measure(sr, hr, data_range=1.0))
    assert ssim(*pair, window="full") == pytest.approx(expected, abs=1e-12)


def test_zero_padded_ssim_is_that_of_windows_cut_by_hand(pair):
    """Every window weighs 121 pixels, those beyond the border black; no convolution anywhere."""
    sr, hr = (image[1, :17, :23].double().numpy() for image in pair)
    weights = gauss_window()
    padded = [np.pad(image, 5) for image in (sr, hr)]
    values = []
    for row, column in np.ndindex(sr.shape):
        x, y = (image[row : row + 11, column : column + 11] for image in padded)
        mean_x, mean_y = (weights * x).sum(), (weights * y).sum()
        spread_x = (weights * (x - mean_x) ** 2).sum()
        spread_y = (weights * (y - mean_y) ** 2).sum()
        together = (weights * (x - mean_x) * (y - mean_y)).sum()
        luminance = (2 * mean_x * mean_y + 1e-4) / (mean_x**2 + mean_y**2 + 1e-4)
        values.append(luminance * (2 * together + 9e-4) / (spread_x + spread_y + 9e-4))
    images = (image[1:2, :17, :23] for image in pair)
    assert ssim(*images, window="zero") == pytest.approx(np.mean(values), abs=1e-9)


def test_the_three_windows_are_three_numbers(pair):
    values = [ssim(*pair, window=window) for window in FILTERED]
    assert min(abs(a - b) for a, b in itertools.combinations(values, 2)) > 1e-4


@pytest.mark.parametrize("window", FILTERED)
def test_ssim_properties(window, pair):
    sr, hr = pair
    assert ssim(hr, hr.clone(), window) == pytest.approx(1, abs=1e-12)
    assert ssim(sr, hr, window) == pytest.approx(ssim(hr, sr, window), abs=1e-12)
    assert ssim(1 - hr, hr, window) < ssim(sr, hr, window) < 1


@pytest.mark.parametrize("window", ["valid", "full"])
@pytest.mark.parametrize(("one", "other"), [(0.0, 0.0), (1.0, 1.0), (0.2, 0.7), (0.0, 1.0)])
def test_constant_images_compare_by_luminance_alone(one, other, window):
    sr, hr = torch.full((3, 20, 30), one), torch.full((3, 20, 30), other)
    a, b = sr.double()[0, 0, 0].item(), hr.double()[0, 0, 0].item()
    expected = (2 * a * b + 1e-4) / (a * a + b * b + 1e-4)
    assert ssim(sr, hr, window) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("scale", [2.0, 3.7])
def test_ssim_of_the_protocols_region(scale, pair):
    shave = LUMA.ssim.shave(scale)
    weights = torch.tensor([65.738, 129.057, 25.064], dtype=torch.float64) / 256
    sr, hr = (
        (torch.einsum("c,chw->hw", weights, image.double()) + 16 / 255)[
            None, shave:-shave, shave:-shave
        ]
        for image in pair
    )
    for window, filtered in FILTERED.items():
        protocol = LUMA.changed({"ssim.window": window})
        expected = wang(sr, hr, filtered)
        assert score(Ssim(), protocol, scale, *pair) == pytest.approx(expected, abs=1e-9)


# Too small


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("height", "width"), [(20, 60), (60, 20), (19, 19), (1, 1)])
def test_too_small_for_the_shave(height, width, metric):
    image = torch.rand(3, height, width)
    with pytest.raises(LiifBenchError) as error:
        score(metric, RGB, 4.0, image, image)
    text = f"{width}x{height} pixels are too small for a shave of 10 on every side"
    assert str(error.value) == text


def test_one_pixel_is_enough_for_psnr():
    hr = torch.rand(3, 21, 21)
    sr = hr.clone()
    sr[:, 10, 10] += 0.5
    assert score(Psnr(), RGB, 4.0, sr, hr) == pytest.approx(-20 * math.log10(0.5), abs=1e-5)


@pytest.mark.parametrize("window", FILTERED)
@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (1, 1)])
def test_too_small_for_the_window(height, width, window):
    image = torch.rand(3, height, width)
    with pytest.raises(LiifBenchError, match=rf"{width}x{height} pixels .* 11x11 window"):
        ssim(image, image, window)


@pytest.mark.parametrize("window", FILTERED)
def test_the_window_itself_is_large_enough(window):
    hr = torch.rand(3, 11, 11, generator=torch.Generator().manual_seed(0))
    expected = wang(1 - hr, hr, FILTERED[window])
    assert ssim(1 - hr, hr, window) == pytest.approx(expected, abs=1e-10)


def test_a_shave_that_leaves_less_than_the_window():
    image = torch.rand(3, 30, 30)
    assert score(Psnr(), RGB, 4.0, image, image) == math.inf
    with pytest.raises(LiifBenchError, match="10x10 pixels are too small for SSIM"):
        score(Ssim(), RGB, 4.0, image, image)


# Regions and channels

# Weights and offset of each luma, on the scale of 0 to 255 that its definition uses.
LUMA_WEIGHTS = {
    "y": (16, (65.481, 128.553, 24.966)),
    "y-liif": (16, tuple(255 / 256 * weight for weight in (65.738, 129.057, 25.064))),
    "y-full": (0, (255 * 0.299, 255 * 0.587, 255 * 0.114)),
}


def seen(image, colour, shave):
    """What a metric sees, in numpy and float64."""
    array = image.double().numpy()[:, shave:-shave, shave:-shave]
    if colour in ("rgb", "blue"):
        return array[2:] if colour == "blue" else array
    offset, weights = LUMA_WEIGHTS["y" if colour == "y-uint8" else colour]
    luma = offset + np.tensordot(weights, array, 1)
    return (np.floor(luma + 0.5) if colour == "y-uint8" else luma)[None] / 255


@pytest.mark.parametrize("colour", get_args(Colour))
@pytest.mark.parametrize("scale", [2.0, 3.7])
def test_every_colour_is_its_formula(scale, colour, pair):
    sr, hr = (seen(image, colour, math.ceil(scale)) for image in pair)
    protocol = of_both(LUMA, {"colour": colour})
    expected = -10 * math.log10(np.mean((sr - hr) ** 2))
    assert score(Psnr(), protocol, scale, *pair) == pytest.approx(expected, rel=PSNR_PRECISION)
    expected = wang(torch.from_numpy(sr), torch.from_numpy(hr), valid)
    assert score(Ssim(), protocol, scale, *pair) == pytest.approx(expected, abs=1e-9)


def test_every_colour_is_another_number(pair):
    for metric in (Psnr(), Ssim()):
        values = [
            score(metric, of_both(LUMA, {"colour": colour}), 2.0, *pair)
            for colour in get_args(Colour)
        ]
        assert len(set(values)) == len(values)


def test_full_range_luma_is_the_darker_in_decibels(pair):
    """Its differences are larger by 255 / 219, which is 1.32 dB."""
    narrow, full = (
        score(Psnr(), of_both(LUMA, {"colour": colour}), 2.0, *pair) for colour in ("y", "y-full")
    )
    assert narrow - full == pytest.approx(20 * math.log10(255 / 219), abs=1e-3)


# Regions that a case may have to hold at once: each value differs in one field from the first.
REGIONS = [
    {"colour": "rgb", "shave_scale": 1, "shave_extra": 0},
    {"colour": "y", "shave_scale": 1, "shave_extra": 0},
    {"colour": "y-uint8", "shave_scale": 1, "shave_extra": 0},
    {"colour": "rgb", "shave_scale": 2, "shave_extra": 0},
    {"colour": "rgb", "shave_scale": 1, "shave_extra": 3},
    {"colour": "rgb", "shave_scale": 0, "shave_extra": 0},
]


@pytest.mark.parametrize("order", [(Psnr(), Ssim()), (Ssim(), Psnr())], ids=["psnr", "ssim"])
@pytest.mark.parametrize(("first", "second"), [*itertools.permutations(range(len(REGIONS)), 2)])
def test_metrics_of_other_regions_do_not_mix_in_one_case(first, second, order, pair):
    sr, hr = pair
    fields = {f"psnr.{name}": value for name, value in REGIONS[first].items()}
    fields |= {f"ssim.{name}": value for name, value in REGIONS[second].items()}
    protocol = LUMA.changed(fields)
    case, output = case_of(protocol, 2.0, hr), Output(sr)
    together = {metric.name: metric.score(case, output) for metric in order}
    alone = {metric.name: score(metric, protocol, 2.0, sr, hr) for metric in order}
    assert together == alone
    assert together["psnr"] == score(Psnr(), of_both(LUMA, REGIONS[first]), 2.0, sr, hr)
    assert together["ssim"] == score(Ssim(), of_both(LUMA, REGIONS[second]), 2.0, sr, hr)


def test_outputs_of_one_case_do_not_mix(pair):
    sr, hr = pair
    case = case_of(load_protocol("clit-ssim"), 2.0, hr)
    outputs = [Output(sr), Output(hr.flip(1))]
    for metric in (Psnr(), Ssim(), Psnr()):
        for output in outputs:
            expected = score(metric, case.protocol, 2.0, output.sr, hr)
            assert metric.score(case, output) == expected


# Variants


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "RGB, shave s+6"),
        ({"shave_extra": 0}, "RGB, shave s"),
        ({"shave_scale": 0.0}, "RGB, shave 6"),
        ({"shave_scale": 0.0, "shave_extra": 0}, "RGB, whole image"),
        ({"shave_scale": 2.0}, "RGB, shave 2s+6"),
        ({"shave_scale": 0.5, "shave_extra": 0}, "RGB, shave 0.5s"),
        ({"shave_scale": 11.0, "shave_extra": 0}, "RGB, shave 11s"),
        ({"shave_scale": 2.1}, "RGB, shave 2.1s+6"),
        ({"colour": "y", "shave_extra": 0}, "Y, shave s"),
        ({"colour": "y-uint8"}, "Y in 8 bits, shave s+6"),
        ({"colour": "y-liif"}, "Y (LIIF), shave s+6"),
        ({"colour": "y-full"}, "full-range Y, shave s+6"),
    ],
)
def test_variants(change, expected):
    protocol = of_both(RGB, change)
    assert Psnr().variant(protocol) == expected
    assert Ssim().variant(protocol) == f"{expected}, 11x11 valid"
    rounded = protocol.changed({"rounding": "uint8"})
    assert Psnr().variant(rounded) == f"{expected}, uint8"
    assert Ssim().variant(rounded) == f"{expected}, uint8, 11x11 valid"
    for window in FILTERED:
        other = protocol.changed({"ssim.window": window})
        assert Ssim().variant(other) == f"{expected}, 11x11 {window}"
        assert Psnr().variant(other) == expected


def test_each_metric_names_its_own_region():
    protocol = load_protocol("clit-ssim")
    assert Psnr().variant(protocol) == "RGB, shave s+6"
    assert Ssim().variant(protocol) == "RGB, whole image, 11x11 zero"


def test_no_two_choices_share_a_variant():
    choices = [
        {"colour": colour, "shave_scale": factor, "shave_extra": extra}
        for colour in get_args(Colour)
        for factor in (0, 0.5, 1, 2)
        for extra in (0, 6)
    ]
    protocols = [of_both(RGB, choice) for choice in choices]
    protocols += [protocol.changed({"rounding": "uint8"}) for protocol in protocols]
    for metric in (Psnr(), Ssim()):
        assert len({metric.variant(protocol) for protocol in protocols}) == len(protocols)


@pytest.mark.parametrize("metric", METRICS)
def test_no_weights_and_higher_is_better(metric):
    assert metric.higher_is_better
    assert metric.needs(RGB) == ()
