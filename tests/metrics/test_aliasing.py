import numpy as np
import pytest
from scenes_cases import PROTOCOL, answer, scene_case
from scipy.ndimage import gaussian_filter

from liif_bench.errors import NotApplicableError
from liif_bench.metrics import load_metric
from liif_bench.metrics.aliasing import false_energy
from liif_bench.metrics.scenes import grey

WAVES = pytest.mark.parametrize("name", ["zone-plate", "siemens-star"])
METRIC = load_metric("aliasing")


def score(case, plane):
    return METRIC.score(case, answer(plane))


def subsampled(plane, step):
    return np.repeat(np.repeat(plane[::step, ::step], step, axis=0), step, axis=1)


def plain_false_energy(sr, truth, region, tile):
    """The definition, tile by tile, each gain by least squares."""
    false = known = 0.0
    for top in range(0, sr.shape[0] - tile + 1, tile):
        for left in range(0, sr.shape[1] - tile + 1, tile):
            part = np.s_[top : top + tile, left : left + tile]
            if region[part].all():
                column = truth[part].reshape(-1, 1)
                gain = max(float(np.linalg.lstsq(column, sr[part].ravel(), rcond=None)[0][0]), 0)
                false += float(((sr[part] - gain * truth[part]) ** 2).sum())
                known += float((truth[part] ** 2).sum())
    return false / known


@WAVES
@pytest.mark.parametrize("scale", [2.0, 4.0, 8.0, 30.0])
def test_hr_has_none(name, scale):
    case = scene_case(name, scale)
    assert score(case, case.hr) == pytest.approx(0, abs=1e-12)


@WAVES
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_pixels_that_are_picked_out_have_much(name, scale):
    case = scene_case(name, float(scale))
    assert score(case, subsampled(grey(case.hr), scale)) > 0.4


@WAVES
def test_loss_of_contrast_is_none(name):
    """Blur and grey say less than the truth, and nothing else."""
    case = scene_case(name, 4.0)
    plane = grey(case.hr)
    assert score(case, np.full_like(plane, 0.5)) == 0
    assert score(case, 0.5 + 0.3 * (plane - 0.5)) == pytest.approx(0, abs=1e-12)
    assert score(case, gaussian_filter(plane, 2.0)) < 0.01


@WAVES
def test_reversed_contrast_is_all_false(name):
    case = scene_case(name, 4.0)
    assert score(case, 1 - grey(case.hr)) == pytest.approx(1, abs=1e-6)


@WAVES
def test_an_antialiased_shrink_has_far_less(name):
    case = scene_case(name, 4.0)
    plane = grey(case.hr)
    means = plane.reshape(120, 4, 120, 4).mean(axis=(1, 3))
    assert score(case, np.kron(means, np.ones((4, 4)))) < score(case, subsampled(plane, 4)) / 4


@WAVES
def test_what_lr_can_hold_does_not_count(name):
    """Any change where the truth is coarser than LR's finest period leaves the number alone."""
    case = scene_case(name, 4.0)
    plane = grey(case.hr)
    y, x = np.mgrid[:480, :480] - 239.5
    distance = np.hypot(y, x)
    # 1 / 8 cycles per pixel: the zone plate is coarser within 90 pixels, the star beyond 91.7
    coarse = distance < 80 if name == "zone-plate" else distance > 102
    changed = np.where(coarse, 0.9, plane)
    assert score(case, changed) == pytest.approx(0, abs=1e-12)
    assert score(case, np.where(coarse, plane, 0.9)) > 0.5


def test_the_definition_tile_by_tile():
    random = np.random.default_rng(4)
    sr, truth = random.standard_normal((2, 50, 63))
    sr += 0.5 * truth
    region = np.add.outer(np.arange(50), np.arange(63)) > 30
    for tile in (4, 9):
        mine = false_energy(sr, truth, region, tile)
        assert mine == pytest.approx(plain_false_energy(sr, truth, region, tile), rel=1e-9)


def test_more_noise_is_more():
    case = scene_case("zone-plate", 4.0)
    noise = np.random.default_rng(1).standard_normal((480, 480))
    values = [score(case, grey(case.hr) + strength * noise) for strength in (0.01, 0.03, 0.1)]
    assert values == sorted(values)
    # energies add: the noise's, less one part in 64 for the gain of a tile, of the waves'
    y, x = np.mgrid[:480, :480] - 239.5
    waves = ((grey(case.hr) - 0.5)[np.hypot(y, x) > 90] ** 2).mean()
    assert values[1] == pytest.approx(0.03**2 / waves * 63 / 64, rel=0.02)


def test_a_scale_that_loses_nothing_has_nothing_to_alias():
    case = scene_case("zone-plate", 1.0)
    with pytest.raises(NotApplicableError, match="finer than LR"):
        score(case, case.hr)


def test_other_images_have_no_waves():
    case = scene_case("voronoi")
    with pytest.raises(NotApplicableError, match="zone plates"):
        score(case, case.hr)


def test_what_it_says_of_itself():
    assert METRIC.name == "aliasing"
    assert not METRIC.higher_is_better
    assert METRIC.needs(PROTOCOL) == ()
    assert "tiles of 2 s" in METRIC.variant(PROTOCOL)
