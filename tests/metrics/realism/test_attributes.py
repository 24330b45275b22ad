import math

import numpy as np
import pytest
import torch
from oracles import vgg16
from scipy import ndimage

from liif_bench.errors import NotApplicableError
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.perceptual import lpips_distance
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
EDGES = ("edge-precision", "edge-recall", "edge-f1")


def case_of(hr, scale=4.0):
    return Case(PROTOCOL, scale, hr, hr, "given")


def score(name, sr, hr, scale=4.0):
    return load_metric(name).score(case_of(hr, scale), Output(sr))


def pair(seed=4, height=50, width=67):
    generator = torch.Generator().manual_seed(seed)
    hr = torch.rand(3, height, width, generator=generator)
    return (hr + 0.1 * torch.randn(hr.shape, generator=generator)).clamp(0, 1), hr


def blobs(side=96, seed=0):
    """Islands of a colour in a sea of another: sharp edges in all directions."""
    plane = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 4)
    colours = np.array([[0.9, 0.2], [0.7, 0.3], [0.6, 0.1]])
    return torch.from_numpy(colours[:, (plane > 0).astype(int)]).float()


def blurred(image, sigma):
    return torch.from_numpy(ndimage.gaussian_filter(image.numpy(), (0, sigma, sigma)))


@pytest.mark.weights
@pytest.mark.parametrize(("height", "width"), [(31, 40), (50, 67), (64, 64)])
def test_dists_is_the_papers_formula_in_float64(height, width, weights):
    weights("lpips-vgg")
    weights("dists")
    sr, hr = pair(height=height, width=width)
    expected = vgg16.dists(sr, hr)
    assert expected > 0.02
    assert score("dists", sr, hr) == pytest.approx(expected, abs=1e-6)


@pytest.mark.weights
def test_dists_of_flat_images_is_the_papers_too(weights):
    """Where variances are nothing, and the constants are what is left."""
    weights("lpips-vgg")
    weights("dists")
    sr, hr = torch.full((3, 40, 40), 0.6), torch.full((3, 40, 40), 0.4)
    assert score("dists", sr, hr) == pytest.approx(vgg16.dists(sr, hr), abs=1e-5)


@pytest.mark.weights
def test_dists_and_lpips_on_vgg16_tell_equal_images_and_the_order_does_not_matter(weights):
    weights("lpips-vgg")
    weights("dists")
    sr, hr = pair()
    for name in ("dists", "lpips-vgg"):
        assert score(name, hr.clone(), hr) == 0
        assert score(name, sr, hr) == pytest.approx(score(name, hr, sr), abs=1e-6)


@pytest.mark.weights
def test_dists_forgives_another_sample_of_a_texture_and_lpips_does_not(weights):
    """What it was made for: where LPIPS would rather have a blur."""
    weights("lpips-vgg")
    weights("dists")
    generator = torch.Generator().manual_seed(1)
    hr, other = torch.rand(2, 3, 64, 64, generator=generator)
    grey = blurred(hr, 1.5)
    ratio = {
        name: score(name, other, hr) / score(name, grey, hr) for name in ("dists", "lpips-vgg")
    }
    assert ratio["dists"] < 0.7
    assert ratio["dists"] < 0.9 * ratio["lpips-vgg"], ratio


@pytest.mark.weights
def test_lpips_on_vgg16_is_lpips_whatever_net_border_and_range_the_protocol_names(weights):
    weights("lpips-vgg")
    sr, hr = pair()
    expected = lpips_distance(sr, hr, "vgg")
    odd = PROTOCOL.changed({"lpips.range": "0..1", "lpips.shave_extra": 3, "lpips.net": "alex"})
    for protocol in (PROTOCOL, odd):
        metric = load_metric("lpips-vgg")
        case = Case(protocol, 2.0, hr, hr, "given")
        assert metric.score(case, Output(sr)) == pytest.approx(expected, abs=1e-6)
        assert metric.variant(protocol) == "vgg v0.1, whole image"
        assert metric.needs(protocol) == ("lpips-vgg",)


@pytest.mark.parametrize("sigma", [1.5, 3.0])
def test_twice_as_wide_an_edge_is_off_by_one_octave_and_half_as_wide_too(sigma):
    """But for what differences and interpolation add to either width; see test_edges."""
    narrow, wide = (
        torch.from_numpy(ndimage.gaussian_filter1d(np.repeat([0.2, 0.8], 48), width))
        .float()
        .expand(3, 64, 96)
        for width in (sigma, 2 * sigma)
    )
    extra = 1 / 3 + 1 / 8 + 1 / 48
    expected = 0.5 * math.log2((4 * sigma**2 + extra) / (sigma**2 + extra))
    assert score("gradient-sharpness", wide, narrow) == pytest.approx(expected, rel=0.05)
    assert score("gradient-sharpness", narrow, wide) == pytest.approx(expected, rel=0.05)


def test_sharpness_is_off_by_more_the_more_edges_are_blurred():
    hr = blobs()
    values = [score("gradient-sharpness", blurred(hr, sigma), hr) for sigma in (0.5, 1, 2, 4)]
    assert score("gradient-sharpness", hr.clone(), hr) == 0
    assert values[0] > 0
    assert values == sorted(values)
    assert math.isfinite(score("gradient-sharpness", torch.full_like(hr, 0.5), hr))


def test_edges_of_hr_itself_are_all_right_and_all_found():
    hr = blobs()
    assert [score(name, hr.clone(), hr) for name in EDGES] == [1, 1, 1]


def test_lost_edges_cost_recall_and_invented_ones_precision():
    hr = blobs()
    lost, invented = hr.clone(), hr.clone()
    lost[:, :, 48:] = lost.mean()
    invented[:, 20:70:8, :] = 1 - invented[:, 20:70:8, :]
    assert score("edge-recall", lost, hr) < 0.7 < 0.85 < score("edge-precision", lost, hr)
    assert score("edge-precision", invented, hr) < 0.7


def test_f1_is_the_harmonic_mean():
    hr = blobs()
    precision, recall, f1 = (score(name, blurred(blobs(seed=1), 1), hr) for name in EDGES)
    assert 0 < precision < 1
    assert 0 < recall < 1
    assert f1 == pytest.approx(2 / (1 / precision + 1 / recall))


def test_sr_without_edges_finds_none_and_has_none_to_be_right():
    hr = blobs()
    flat = torch.full_like(hr, 0.5)
    assert score("edge-recall", flat, hr) == score("edge-f1", flat, hr) == 0
    with pytest.raises(NotApplicableError, match="SR shows no edges"):
        score("edge-precision", flat, hr)


@pytest.mark.parametrize("name", [*EDGES, "gradient-sharpness"])
def test_hr_without_edges_gives_them_no_meaning(name):
    flat = torch.full((3, 40, 40), 0.5)
    with pytest.raises(NotApplicableError, match="HR shows no edges"):
        score(name, blobs(40), flat)


@pytest.mark.parametrize("name", [*EDGES, "gradient-sharpness"])
def test_what_is_remembered_of_hr_and_of_other_metrics_changes_nothing(name):
    hr = blobs()
    case = case_of(hr)
    for sigma in (0.5, 2):
        output = Output(blurred(hr, sigma))
        values = {each: load_metric(each).score(case, output) for each in (*EDGES, name)}
        assert values[name] == score(name, blurred(hr, sigma), hr)


def test_edges_and_profiles_depend_on_luma_alone():
    """Red and blue changed such that 0.299 R + 0.114 B stays."""
    hr = blobs()
    other = hr.clone()
    other[0] += 0.05
    other[2] -= 0.05 * 0.299 / 0.114
    for name in (*EDGES, "gradient-sharpness"):
        expected = 0 if name == "gradient-sharpness" else 1
        assert score(name, other, hr) == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("name", "higher"),
    [("dists", False), ("lpips-vgg", False), ("gradient-sharpness", False), ("gram", False)]
    + [(name, True) for name in EDGES],
)
def test_directions(name, higher):
    assert load_metric(name).higher_is_better is higher
