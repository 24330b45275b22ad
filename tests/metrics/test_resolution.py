import math

import numpy as np
import pytest
from scenes_cases import PROTOCOL, answer, scene_case
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq
from scipy.special import ndtr

from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics import load_metric
from liif_bench.metrics.resolution import edge_line, edge_mtf, mtf50
from liif_bench.metrics.scenes import grey
from liif_bench.scenes.edge import SlantedEdge

EDGES = ("slanted-edge", "slanted-edge-level", "slanted-edge-faint")


def blurred_edge(sigma, side=240, degrees=5.0, low=0.2, high=0.8, points=4):
    """An edge of known blur, averaged over square pixels; all by the normal distribution."""
    place = (np.arange(side * points) + 0.5) / points - side / 2
    y, x = place[:, None], place[None]
    angle = math.radians(degrees)
    fine = low + (high - low) * ndtr((x * math.cos(angle) + y * math.sin(angle)) / sigma)
    return fine.reshape(side, points, side, points).mean(axis=(1, 3))


def known_mtf50(sigma, degrees=5.0):
    """Where a Gaussian's transfer times that of the pixel's area is a half."""
    pixel = SlantedEdge(degrees)
    return brentq(
        lambda f: math.exp(-2 * (math.pi * sigma * f) ** 2) * pixel.mtf(f) - 0.5, 1e-6, 0.99
    )


def textbook_mtf50(image):
    """MTF50 written down plainly: half-way crossings, least squares, eighths, a direct sum."""
    middle = (image.min() + image.max()) / 2
    rows, crossings = [], []
    for number, row in enumerate(image):
        first = int(np.argmax(row > middle))
        crossings.append(first - (row[first] - middle) / (row[first] - row[first - 1]))
        rows.append(number)
    slope, start = np.polyfit(rows, crossings, 1)
    distances, values = [], []
    for number, row in enumerate(image):
        for column, value in enumerate(row):
            distances.append((column - start - slope * number) / math.sqrt(1 + slope**2))
            values.append(value)
    edges = np.arange(-60, 60 + 1e-9, 0.125)
    weights, _ = np.histogram(distances, edges)
    sums, _ = np.histogram(distances, edges, weights=values)
    line = np.diff(sums / weights) * np.hanning(len(edges) - 2)
    places = edges[1:-1]

    def transfer(f):
        total = abs((line * np.exp(-2j * math.pi * f * places)).sum())
        return total / line.sum() / np.sinc(f / 8) ** 2

    frequencies = np.arange(0, 1, 1e-3)
    first = next(f for f in frequencies if transfer(f) < 0.5)
    return brentq(lambda f: transfer(f) - 0.5, first - 1e-3, first)


@pytest.mark.parametrize("name", EDGES)
def test_hr_has_the_resolution_of_its_pixels(name):
    """Within 3 %, in 8 bits; no sampling can do better than the area of a pixel."""
    case = scene_case(name)
    known = brentq(lambda f: SlantedEdge().mtf(f) - 0.5, 0.1, 0.9)
    assert known == pytest.approx(0.604, abs=0.002)
    assert load_metric("mtf50").score(case, answer(case.hr)) == pytest.approx(known, rel=0.01)
    per_lr = load_metric("mtf50-lr").score(case, answer(case.hr))
    assert per_lr == pytest.approx(4 * known, rel=0.01)


@pytest.mark.parametrize("sigma", [0.3, 0.5, 1.0, 2.0, 4.0, 8.0])
def test_a_known_blur(sigma):
    assert mtf50(blurred_edge(sigma)) == pytest.approx(known_mtf50(sigma), rel=0.03)


def test_the_blur_of_a_great_zoom():
    """15 pixels, about as bicubic's at x30, on an image as large as the scenes."""
    assert mtf50(blurred_edge(15, side=480)) == pytest.approx(known_mtf50(15), rel=0.03)


@pytest.mark.parametrize("degrees", [2.0, 5.0, 9.0])
def test_the_angle_does_not_matter(degrees):
    measured = mtf50(blurred_edge(1.0, degrees=degrees))
    assert measured == pytest.approx(known_mtf50(1.0, degrees), rel=0.03)


@pytest.mark.parametrize("sigma", [0.5, 2.0])
def test_a_textbook_implementation_agrees(sigma):
    image = np.round(blurred_edge(sigma, side=160) * 255) / 255
    assert mtf50(image) == pytest.approx(textbook_mtf50(image), rel=0.02)


def test_more_blur_is_less_resolution():
    hr = grey(scene_case("slanted-edge").hr)
    measured = [mtf50(gaussian_filter(hr, s, mode="nearest")) for s in (0.5, 1, 1.5, 2, 3, 5, 8)]
    assert measured == sorted(measured, reverse=True)
    assert measured[0] > 10 * measured[-1]


def test_sharpening_is_more():
    image = blurred_edge(2.0)
    sharpened = image + 0.5 * (image - gaussian_filter(image, 2, mode="nearest"))
    assert mtf50(sharpened) > 1.1 * mtf50(image)


def test_the_transfer_is_the_gaussians_at_every_frequency():
    frequency, transfer = edge_mtf(blurred_edge(1.0))
    assert transfer[0] == 1
    pixel = SlantedEdge()
    known = [math.exp(-2 * (math.pi * f) ** 2) * pixel.mtf(f) for f in frequency]
    np.testing.assert_allclose(
        transfer[frequency < 0.5], np.array(known)[frequency < 0.5], atol=0.01
    )


def test_contrast_brightness_and_a_shift_change_nothing():
    image = blurred_edge(1.5)
    assert mtf50(0.3 + 0.4 * image) == pytest.approx(mtf50(image), rel=1e-6)
    assert mtf50(image[:, 7:]) == pytest.approx(mtf50(image), rel=0.01)


def test_the_line_is_found_where_it_is_and_wrong_rows_do_not_move_it():
    image = blurred_edge(1.0)
    place, slope = edge_line(image)
    assert slope == pytest.approx(-math.tan(math.radians(5)), abs=1e-4)
    assert place + slope * 119.5 == pytest.approx(119.5, abs=0.02)
    image[20:50] = np.roll(image[20:50], 9, axis=1)  # an eighth of the rows, 9 pixels off
    image[20:50, :9] = 0.2
    assert edge_line(image)[1] == pytest.approx(slope, abs=0.01)


@pytest.mark.parametrize("name", EDGES)
def test_all_edges_measure_the_same_blur(name):
    case = scene_case(name, scale=2.0)
    blurred = gaussian_filter(grey(case.hr), 2, mode="nearest")
    measured = load_metric("mtf50").score(case, answer(blurred))
    assert measured == pytest.approx(known_mtf50(2.0), rel=0.03)


def test_hr_may_be_cropped_as_a_fractional_scale_does():
    case = scene_case("slanted-edge", scale=2.7, size=(478, 478))
    value = load_metric("mtf50").score(case, answer(case.hr))
    assert value == pytest.approx(0.604, rel=0.01)


def test_what_shows_no_edge_is_an_error():
    case = scene_case("slanted-edge")
    for plane in (np.full((480, 480), 0.5), grey(case.hr)[:, ::-1]):
        with pytest.raises(LiifBenchError, match="no edge"):
            load_metric("mtf50").score(case, answer(plane))


def test_other_images_have_no_edge_to_measure():
    for case in (scene_case("zone-plate"), scene_case("text-large")):
        with pytest.raises(NotApplicableError, match="slanted edges"):
            load_metric("mtf50").score(case, answer(case.hr))


def test_an_image_that_only_has_the_name_is_refused():
    case = scene_case("slanted-edge", hr=scene_case("texture").hr)
    with pytest.raises(LiifBenchError, match="is not the scene of that name"):
        load_metric("mtf50").score(case, answer(case.hr))


@pytest.mark.parametrize("name", ["mtf50", "mtf50-lr"])
def test_what_they_say_of_themselves(name):
    metric = load_metric(name)
    assert metric.name == name
    assert metric.higher_is_better
    assert metric.needs(PROTOCOL) == ()
    assert ("LR" if name.endswith("lr") else "HR") in metric.variant(PROTOCOL)
