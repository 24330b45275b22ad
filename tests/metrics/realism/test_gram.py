import pytest
import torch
from oracles import vgg16

from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.gram import gram_matrices, style_distance
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
METRIC = load_metric("gram")


def score(sr, hr):
    return METRIC.score(Case(PROTOCOL, 2.0, hr, hr, "given"), Output(sr))


def noise(seed, *shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.weights
def test_the_distance_is_the_papers_in_float64(weights):
    weights("lpips-vgg")
    sr, hr = noise(0, 3, 50, 61), noise(1, 3, 50, 61) ** 2
    expected = vgg16.gram_distance(sr, hr)
    assert expected > 0.01
    assert score(sr, hr) == pytest.approx(expected, rel=1e-4)


@pytest.mark.weights
def test_equal_images_have_equal_style(weights):
    weights("lpips-vgg")
    hr = noise(1, 3, 40, 40)
    assert score(hr.clone(), hr) == 0


def test_what_has_no_features_is_at_one_and_all_of_them_doubled_at_nine():
    """G is quadratic in the features: |4 G - G|^2 / |G|^2 = 9."""
    maps = tuple(noise(each, 1, 4 + each, 6, 7) for each in range(5))
    known = gram_matrices(maps)
    assert style_distance(gram_matrices(tuple(0 * each for each in maps)), known) == 1
    doubled = gram_matrices(tuple(2 * each for each in maps))
    assert style_distance(doubled, known) == pytest.approx(9, rel=1e-5)


def test_where_features_lie_does_not_matter():
    maps = tuple(noise(each, 1, 3, 8, 8) for each in range(5))
    shuffled = tuple(
        each.flatten(2)[:, :, torch.randperm(64, generator=torch.Generator().manual_seed(5))].view(
            1, 3, 8, 8
        )
        for each in maps
    )
    assert style_distance(gram_matrices(shuffled), gram_matrices(maps)) < 1e-10


def test_the_size_of_an_image_and_the_unit_of_features_cancel():
    maps = tuple(noise(each, 1, 3, 8, 8) for each in range(5))
    other = tuple(noise(10 + each, 1, 3, 8, 8) for each in range(5))
    once = style_distance(gram_matrices(other), gram_matrices(maps))
    tiled = [
        gram_matrices(tuple(3 * each.tile(1, 1, 2, 3) for each in one)) for one in (other, maps)
    ]
    assert style_distance(*tiled) == pytest.approx(once, rel=1e-4)
