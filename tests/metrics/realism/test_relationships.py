import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, map_coordinates, zoom
from skimage import data

from liif_bench.errors import NotApplicableError
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.relationships import (
    FARTHEST,
    TILE,
    autocorrelation,
    flow,
    regularity,
    repeats,
    self_similarity,
    similarities,
    strength,
)
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")


def case_of(pixels):
    hr = to_tensor(pixels)
    return Case(PROTOCOL, 4.0, hr[:, ::4, ::4], hr, "given")


def face(side=128):
    return data.astronaut()[40 : 40 + side, 160 : 160 + side]


def photo(side=128):
    return face(side).mean(axis=2) / 255


def random_features(seed, shape=(5, 6, 7)):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


# self-similarity


def test_similarities_are_cosines_of_every_two_tokens():
    features = random_features(1)
    tokens = features.double().flatten(1).T.numpy()
    expected = [
        tokens[i] @ tokens[j] / np.linalg.norm(tokens[i]) / np.linalg.norm(tokens[j])
        for i in range(len(tokens))
        for j in range(i + 1, len(tokens))
    ]
    np.testing.assert_allclose(similarities(features), expected, atol=1e-12)


def test_a_large_grid_is_averaged_to_the_most_tokens():
    features = random_features(2, (3, 8, 12))
    blocks = features.view(3, 4, 2, 6, 2).mean(dim=(2, 4))
    np.testing.assert_allclose(similarities(features, most=24), similarities(blocks), atol=1e-6)


@pytest.mark.parametrize("shape", [(4, 33, 33), (4, 1, 3000), (4, 100, 11), (4, 32, 32)])
def test_no_grid_has_more_than_the_most_tokens(shape):
    count = len(similarities(random_features(3, shape)))
    tokens = (1 + (1 + 8 * count) ** 0.5) / 2
    assert tokens <= 1024
    assert tokens > 1024 / 9


def test_self_similarity_is_pearsons_correlation():
    rng = np.random.default_rng(0)
    hr = rng.standard_normal(100)
    assert self_similarity(3 * hr + 7, hr) == pytest.approx(1)
    assert self_similarity(-hr, hr) == pytest.approx(-1)
    other = rng.standard_normal(100)
    a, b = other - other.mean(), hr - hr.mean()
    expected = (a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum())
    assert self_similarity(other, hr) == pytest.approx(expected)


def test_parts_that_are_all_alike_stand_in_no_relation():
    some = np.linspace(0, 1, 10)
    assert self_similarity(np.ones(10), some) == 0
    with pytest.raises(NotApplicableError, match="look alike"):
        self_similarity(some, np.ones(10))


@pytest.mark.weights
def test_self_similarity_falls_with_blur_and_with_parts_in_the_wrong_place(weights):
    weights("efficientnet-lite0")
    case = case_of(face())
    metric = load_metric("self-similarity")

    def score(sr):
        return metric.score(case, Output(sr))

    def blurred(sigma):
        return torch.from_numpy(gaussian_filter(case.hr.numpy(), (0, sigma, sigma)))

    shuffled = case.hr.view(3, 4, 32, 4, 32).flip(1, 3).reshape(3, 128, 128)
    assert score(case.hr) == pytest.approx(1, abs=1e-12)
    assert 1 > score(blurred(1)) > score(blurred(4)) > score(shuffled)
    assert score(torch.full_like(case.hr, 0.5)) < 0.5


@pytest.mark.weights
def test_self_similarity_cuts_what_the_stride_does_not_divide(weights):
    weights("efficientnet-lite0")
    metric = load_metric("self-similarity")
    whole, cut = case_of(face(101)), case_of(face(96))
    sr = (whole.hr + 0.1 * torch.rand(whole.hr.shape)).clamp(0, 1)
    assert metric.score(whole, Output(sr)) == metric.score(cut, Output(sr[:, :96, :96]))


@pytest.mark.weights
def test_hr_is_encoded_once_per_case(weights):
    weights("efficientnet-lite0")
    case, metric = case_of(face(64)), load_metric("self-similarity")
    metric.score(case, Output(case.hr))
    seen = case.memo.once("self-similarity", lambda: pytest.fail("HR is encoded again"))
    assert seen.shape == (8 * 8 * (8 * 8 - 1) // 2,)


# flow


def test_hr_does_not_flow():
    plane = photo()
    assert flow(plane, plane) == 0


@pytest.mark.parametrize("step", [(0.0, 1.0), (-0.4, 0.3), (2.0, -1.0), (3.0, 3.0)])
def test_a_moved_image_flows_by_the_distance(step):
    """Between the border, which shows what HR does not, and flat parts, which say nothing."""
    texture = gaussian_filter(np.random.default_rng(0).standard_normal((160, 160)), 2)
    texture = 0.5 + 0.15 * texture / texture.std()
    y, x = np.mgrid[16:144, 16:144].astype(float)
    hr, moved = (
        map_coordinates(texture, [y + part * step[0], x + part * step[1]], order=3)
        for part in (0, 1)
    )
    assert flow(moved, hr) == pytest.approx(np.hypot(*step), rel=0.1)


def test_flow_grows_with_distortion_more_than_with_blur():
    hr = photo()
    y, x = np.mgrid[:128, :128].astype(float)

    def wobbly(size):
        ways = [y + size * np.sin(x / 12), x + size * np.cos(y / 15)]
        return map_coordinates(hr, ways, order=3, mode="nearest")

    slight, strong = flow(wobbly(0.5), hr), flow(wobbly(2), hr)
    assert 0 < slight < strong
    assert flow(gaussian_filter(hr, 1), hr) < strong / 2


@pytest.mark.parametrize("size", [(8, 8), (5, 40), (2, 2), (33, 17)])
def test_small_images_flow_too(size):
    hr = photo()[: size[0], : size[1]]
    assert flow(hr, hr) == 0
    assert np.isfinite(flow(np.clip(hr + 0.1, 0, 1), hr))


def test_one_row_of_pixels_does_not_flow():
    row = photo()[:1]
    with pytest.raises(NotApplicableError, match="one pixel"):
        flow(row, row)


# regularity


def tile_of(function):
    return function(*np.mgrid[:TILE, :TILE].astype(float))


def brick():
    return data.brick()[:256, :256] / 255


def test_autocorrelation_is_the_definition():
    tile = tile_of(lambda y, x: np.sin(x / 3 + y / 5) + np.cos(x * y / 500))
    correlation = autocorrelation(tile)
    centred = tile - tile.mean()
    for down, across in [(0, 0), (0, 7), (9, 0), (20, -31), (-5, 12), (FARTHEST, -FARTHEST)]:
        one, other = (
            centred[
                max(0, sign * down) : TILE + min(0, sign * down),
                max(0, sign * across) : TILE + min(0, sign * across),
            ]
            for sign in (-1, 1)
        )
        evenly = (centred**2).mean() * one.size
        expected = (one * other).sum() / max(np.sqrt((one**2).sum() * (other**2).sum()), evenly)
        found = correlation[FARTHEST + down, FARTHEST + across]
        assert found == pytest.approx(expected, abs=1e-9)


def test_a_lattice_meets_itself_again_at_its_period():
    tile = tile_of(lambda y, x: np.cos(2 * np.pi * x / 16) + np.cos(2 * np.pi * y / 20))
    correlation = autocorrelation(tile)
    assert correlation[FARTHEST, FARTHEST] == pytest.approx(1)
    assert strength(correlation, np.array([[0, 16]]))[0] == pytest.approx(1, abs=0.05)
    (found,) = repeats(0.5 + 0.1 * tile)
    assert all(down % 20 in (0, 19, 1) and across % 16 in (0, 15, 1) for down, across in found.lags)


@pytest.mark.parametrize(
    "plane",
    [
        pytest.param(np.random.default_rng(1).random((256, 256)), id="white noise"),
        pytest.param(tile_of(lambda y, x: (x + 0.1 * y > 64) * 1.0), id="an edge"),
        pytest.param(tile_of(lambda y, x: x / TILE), id="a ramp"),
        pytest.param(np.full((TILE, TILE), 0.5), id="one colour"),
        pytest.param(tile_of(lambda y, x: (np.hypot(y - 60, x - 60) < 20) * 1.0), id="a disc"),
        pytest.param(data.grass() / 255, id="grass"),
        pytest.param(np.tile(np.eye(8), (12, 12)), id="smaller than a tile"),
    ],
)
def test_where_nothing_repeats_regularity_has_no_meaning(plane):
    assert repeats(plane) == []
    with pytest.raises(NotApplicableError, match="no repeated structure"):
        regularity(plane, repeats(plane))


def test_bricks_repeat_and_hr_keeps_them():
    hr = brick()
    found = repeats(hr)
    assert len(found) == 4
    assert regularity(hr, found) == 1


def test_contrast_alone_that_is_lost_is_no_loss_of_regularity():
    hr = brick()
    assert regularity(0.3 * hr + 0.2, repeats(hr)) == pytest.approx(1)


def test_a_flat_image_and_noise_keep_nothing():
    found = repeats(brick())
    assert regularity(np.full((256, 256), 0.5), found) == 0
    assert regularity(np.random.default_rng(2).random((256, 256)), found) < 0.2


def test_regularity_falls_with_noise_and_as_the_pattern_bends():
    hr = brick()
    found = repeats(hr)
    noise = np.random.default_rng(3).standard_normal(hr.shape)
    noisy = [regularity(hr + level * noise, found) for level in (0.02, 0.1, 0.4)]
    assert noisy == sorted(noisy, reverse=True)
    y, x = np.mgrid[:256, :256].astype(float)
    bent = [
        map_coordinates(hr, [y + a * np.sin(x / 9), x + a * np.sin(y / 7)], order=1, mode="nearest")
        for a in (1, 3, 8)
    ]
    bends = [regularity(plane, found) for plane in bent]
    assert bends == sorted(bends, reverse=True)
    assert bends[-1] < 0.6


def test_a_pattern_finer_than_lr_holds_is_lost():
    """Stripes of 6 pixels at x8: LR has none of them, and no enlargement of it."""
    hr = tile_of(lambda y, x: 0.5 + 0.2 * np.cos(2 * np.pi * x / 6) + 0.1 * np.cos(y / 30))
    sr = zoom(hr.reshape(16, 8, 16, 8).mean(axis=(1, 3)), 8, order=3, mode="grid-mirror")
    found = repeats(hr)
    assert found
    assert regularity(sr, found) < 0.3


def test_which_direction_is_better():
    directions = {
        name: load_metric(name).higher_is_better
        for name in ("self-similarity", "flow", "regularity")
    }
    assert directions == {"self-similarity": True, "flow": False, "regularity": True}


def test_the_measures_look_at_luma():
    """Colours that change without the luma move nothing."""
    grey = np.repeat((brick() * 127).astype(np.uint8)[..., None], 3, axis=2)
    case = case_of(grey)
    shift = torch.tensor([0.587, -0.299, 0.0]).view(3, 1, 1) * 0.2
    output = Output(case.hr + shift)
    assert load_metric("regularity").score(case, output) == pytest.approx(1, abs=1e-3)
    assert load_metric("flow").score(case, output) == pytest.approx(0, abs=1e-3)
