import numpy as np
import pytest
from scenes_cases import PROTOCOL, answer, scene_case
from scipy.ndimage import gaussian_filter
from skimage.feature import match_template

from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics import load_metric
from liif_bench.metrics.legibility import match_margins
from liif_bench.metrics.scenes import grey
from liif_bench.scenes import SCENES
from liif_bench.scenes.pixels import Pixels
from liif_bench.scenes.text import Text, alphabet

TEXTS = pytest.mark.parametrize("name", ["text-large", "text-medium", "text-small"])
CHANCE = 1 / 36


def score(case, plane, metric="legibility"):
    return load_metric(metric).score(case, answer(plane))


@TEXTS
def test_every_glyph_of_hr_is_legible(name):
    case = scene_case(name)
    assert score(case, case.hr) == 1
    assert score(case, case.hr, "legibility-margin") > 0.1


@TEXTS
def test_blur_takes_it_away_down_to_chance(name):
    case = scene_case(name)
    cell = 480 / SCENES[name].cells
    plane = grey(case.hr)
    blurs = [gaussian_filter(plane, share * cell) for share in (0.02, 0.08, 0.12, 0.16, 0.7)]
    shares = [score(case, blurred) for blurred in blurs]
    margins = [score(case, blurred, "legibility-margin") for blurred in blurs]
    assert shares == sorted(shares, reverse=True)
    assert margins == sorted(margins, reverse=True)
    assert shares[0] == 1
    assert shares[-1] <= CHANCE + 0.1


def test_other_text_is_read_by_chance():
    case = scene_case("text-small")
    other = Text(cells=20, seed=5).averages(Pixels((480, 480)))
    assert abs(score(case, other) - CHANCE) < 0.04


@TEXTS
def test_an_empty_or_a_reversed_page_is_not_legible(name):
    case = scene_case(name)
    for plane in (np.full((480, 480), 0.9), 1 - grey(case.hr)):
        assert score(case, plane) == 0


@TEXTS
def test_contrast_and_brightness_do_not_matter(name):
    case = scene_case(name)
    paler = 0.6 + 0.2 * grey(case.hr)
    assert score(case, paler) == 1
    margin = score(case, case.hr, "legibility-margin")
    assert score(case, paler, "legibility-margin") == pytest.approx(margin, abs=1e-3)


def test_a_glyph_in_place_of_another_is_counted():
    case = scene_case("text-large")
    plane = grey(case.hr).copy()
    first, second = plane[:96, :96].copy(), plane[:96, 96:192].copy()
    plane[:96, :96], plane[:96, 96:192] = second, first
    assert score(case, plane) == 23 / 25


def test_margins_are_differences_of_correlations():
    """Against scikit-image's normalised cross-correlation, one pair at a time."""
    random = np.random.default_rng(2)
    cells, templates = random.random((5, 64)), random.random((6, 64))
    right = np.array([0, 5, 2, 2, 3])
    margins = match_margins(cells, templates, right)
    for cell, mine, margin in zip(cells, right, margins, strict=True):
        likeness = [
            float(match_template(cell.reshape(8, 8), t.reshape(8, 8))[0, 0]) for t in templates
        ]
        best = max(value for number, value in enumerate(likeness) if number != mine)
        assert margin == pytest.approx(likeness[mine] - best, abs=1e-9)


def test_a_cropped_page_is_read_as_far_as_it_goes():
    case = scene_case("text-medium", scale=7.0, size=(476, 476))
    assert score(case, case.hr) == 1
    plane = grey(case.hr).copy()
    plane[9 * 48 :] = 0.9  # the row that is not whole any more
    assert score(case, plane) == 1


def test_no_two_glyphs_are_alike():
    """At 24 pixels, the smallest text, in 8 bits."""
    text = Text(cells=1)
    glyphs = [text.all_of(g).averages(Pixels((24, 24))).ravel() for g in alphabet()]
    likeness = np.corrcoef(np.round(np.array(glyphs) * 255)) - np.eye(36)
    assert likeness.max() < 0.97


def test_other_images_hold_no_text():
    case = scene_case("texture")
    with pytest.raises(NotApplicableError, match="text"):
        score(case, case.hr)


def test_a_page_of_another_order_is_refused():
    other = np.array(Text(cells=10, seed=5).averages(Pixels((480, 480))))
    case = scene_case("text-medium", hr=answer(other).sr)
    with pytest.raises(LiifBenchError, match="is not the scene of that name"):
        score(case, case.hr)


@pytest.mark.parametrize("name", ["legibility", "legibility-margin"])
def test_what_they_say_of_themselves(name):
    metric = load_metric(name)
    assert metric.name == name
    assert metric.higher_is_better
    assert metric.needs(PROTOCOL) == ()
    assert "A-Z" in metric.variant(PROTOCOL)
