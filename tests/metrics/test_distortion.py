import math

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
import torch
from torchmetrics.functional.image import structural_similarity_index_measure

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.distortion import Psnr, Ssim, psnr, scored_region, ssim
from liif_bench.protocol import load_protocol

LUMA = load_protocol("liif-benchmark")
RGB = load_protocol("liif-div2k")
WHOLE = RGB.model_copy(update={"shave_scale": 0.0, "shave_extra": 0})


@pytest.fixture
def pair():
    """A smooth picture and a disturbed one, float32 in [0, 1]."""
    generator = torch.Generator().manual_seed(9)
    coarse = torch.rand(1, 3, 6, 8, generator=generator)
    hr = torch.nn.functional.interpolate(coarse, (44, 57), mode="bicubic").clamp(0, 1)[0]
    return (hr + 0.05 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def case_of(protocol, scale, hr):
    return Case(protocol, scale, hr[:, :1, :1], hr)


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
    # luma is taken in float32: 6e-8 beside differences of some 0.05
    assert score(Psnr(), LUMA, scale, *pair) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("scale", "shave"), [(1.0, 7), (3.7, 10), (11.3, 18)])
def test_rgb_pools_the_channels(scale, shave, pair):
    sr, hr = (image.double().numpy()[:, shave:-shave, shave:-shave] for image in pair)
    expected = -10 * math.log10(np.mean((sr - hr) ** 2))
    assert score(Psnr(), RGB, scale, *pair) == pytest.approx(expected, rel=PSNR_PRECISION)


@pytest.mark.parametrize("metric", [Psnr(), Ssim()], ids=lambda metric: metric.name)
@pytest.mark.parametrize("protocol", [LUMA, RGB], ids=["y", "rgb"])
def test_the_border_is_left_out_and_nothing_else(protocol, metric, pair):
    sr, hr = pair
    scale = 2.5
    shave = protocol.shave(scale)
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


@pytest.mark.parametrize("metric", [Psnr(), Ssim()], ids=lambda metric: metric.name)
def test_measuring_changes_neither_image(metric, pair):
    copies = [image.clone() for image in pair]
    score(metric, LUMA, 2.0, *pair)
    assert all(torch.equal(*both) for both in zip(copies, pair, strict=True))


def test_no_shave_scores_the_whole_image(pair):
    case = case_of(WHOLE, 4.0, pair[1])
    assert torch.equal(scored_region(pair[0], case), pair[0])
    assert score(Psnr(), WHOLE, 4.0, *pair) == psnr(*pair)


def test_the_region_of_hr_is_made_once_for_all_outputs_and_metrics(pair, monkeypatch):
    sr, hr = pair
    case = case_of(LUMA, 2.0, hr)
    seen = []

    def counted(image, case):
        seen.append(image)
        return scored_region(image, case)

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


@pytest.mark.parametrize(("window", "filtered"), [("valid", valid), ("full", reflected)])
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


def test_the_two_windows_are_two_numbers(pair):
    assert abs(ssim(*pair, window="valid") - ssim(*pair, window="full")) > 1e-4


@pytest.mark.parametrize("window", ["valid", "full"])
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
    shave = LUMA.shave(scale)
    weights = torch.tensor([65.738, 129.057, 25.064], dtype=torch.float64) / 256
    sr, hr = (
        (torch.einsum("c,chw->hw", weights, image.double()) + 16 / 255)[
            None, shave:-shave, shave:-shave
        ]
        for image in pair
    )
    assert score(Ssim(), LUMA, scale, *pair) == pytest.approx(wang(sr, hr, valid), abs=1e-6)
    full = LUMA.model_copy(update={"ssim_window": "full"})
    assert score(Ssim(), full, scale, *pair) == pytest.approx(wang(sr, hr, reflected), abs=1e-6)


# Too small


@pytest.mark.parametrize("metric", [Psnr(), Ssim()], ids=lambda metric: metric.name)
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


@pytest.mark.parametrize("window", ["valid", "full"])
@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (1, 1)])
def test_too_small_for_the_window(height, width, window):
    image = torch.rand(3, height, width)
    with pytest.raises(LiifBenchError, match=rf"{width}x{height} pixels .* 11x11 window"):
        ssim(image, image, window)


@pytest.mark.parametrize("window", ["valid", "full"])
def test_the_window_itself_is_large_enough(window):
    hr = torch.rand(3, 11, 11, generator=torch.Generator().manual_seed(0))
    filtered = valid if window == "valid" else reflected
    assert ssim(1 - hr, hr, window) == pytest.approx(wang(1 - hr, hr, filtered), abs=1e-10)


def test_a_shave_that_leaves_less_than_the_window():
    image = torch.rand(3, 30, 30)
    assert score(Psnr(), RGB, 4.0, image, image) == math.inf
    with pytest.raises(LiifBenchError, match="10x10 pixels are too small for SSIM"):
        score(Ssim(), RGB, 4.0, image, image)


# Variants


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, "RGB, shave s+6"),
        ({"shave_extra": 0}, "RGB, shave s"),
        ({"shave_scale": 0.0}, "RGB, shave 6"),
        ({"shave_scale": 0.0, "shave_extra": 0}, "RGB, shave 0"),
        ({"shave_scale": 2.0}, "RGB, shave 2s+6"),
        ({"shave_scale": 0.5, "shave_extra": 0}, "RGB, shave 0.5s"),
        ({"shave_scale": 11.0, "shave_extra": 0}, "RGB, shave 11s"),
        ({"shave_scale": 2.1}, "RGB, shave 2.1s+6"),
        ({"colour": "y", "shave_extra": 0}, "Y, shave s"),
        ({"rounding": "uint8"}, "RGB, shave s+6, uint8"),
    ],
)
def test_variants(change, expected):
    protocol = RGB.model_copy(update=change)
    assert Psnr().variant(protocol) == expected
    assert Ssim().variant(protocol) == f"{expected}, 11x11 valid"
    full = protocol.model_copy(update={"ssim_window": "full"})
    assert Ssim().variant(full) == f"{expected}, 11x11 full"
    assert Psnr().variant(full) == expected


@pytest.mark.parametrize("metric", [Psnr(), Ssim()], ids=lambda metric: metric.name)
def test_no_weights_and_higher_is_better(metric):
    assert metric.higher_is_better
    assert metric.needs(RGB) == ()
