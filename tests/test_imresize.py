import math

import numpy as np
import pytest

from liif_bench.datasets import load_dataset
from liif_bench.degrade import fit_pair, lr_size
from liif_bench.imresize import imresize

SCALES = [2, 2.5, 3.7, 11.3]


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# The published files


def pairs(folder, dataset, scale):
    """HR as far as LR answers to it, and the LR file, of every image of a set."""
    for item in load_dataset(f"paired:{folder / dataset}").items:
        lr, hr = fit_pair(item.read_lr(scale), item.read_hr(scale), scale)
        yield hr, lr


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "scale", "options"),
    [
        ("Set5", 2, {}),
        ("Set5", 3, {}),
        ("Set5", 4, {}),
        ("Set5", 8, {"round_between": False}),
        ("Set14", 2, {"edges": "replicate"}),
        ("Set14", 4, {"edges": "replicate"}),
    ],
)
def test_every_pixel_of_the_published_files(dataset, scale, options, reference_data):
    images = 0
    for hr, lr in pairs(reference_data, dataset, scale):
        np.testing.assert_array_equal(imresize(hr, lr.shape[:2], **options), lr)
        images += 1
    assert images == (5 if dataset == "Set5" else 14)


@pytest.mark.data
def test_the_x8_files_of_set5_are_those_of_another_rounding(reference_data):
    for hr, lr in pairs(reference_data, "Set5", 8):
        difference = np.abs(imresize(hr, lr.shape[:2]).astype(int) - lr)
        assert 0.92 <= (difference == 0).mean() < 0.94
        assert 1 <= difference.max() <= 2


@pytest.mark.data
@pytest.mark.parametrize(("scale", "border"), [(2, 1), (4, 2)])
def test_the_files_of_set14_differ_in_the_border_alone(scale, border, reference_data):
    widest = 0
    for hr, lr in pairs(reference_data, "Set14", scale):
        wrong = np.argwhere((imresize(hr, lr.shape[:2]) != lr).any(axis=2))
        distances = np.minimum(wrong, np.array(lr.shape[:2]) - 1 - wrong).min(axis=1)
        widest = max(widest, distances.max() + 1)
    assert widest == border


@pytest.mark.data
@pytest.mark.parametrize("options", [{"round_between": False}, {"edges": "replicate"}], ids=str)
def test_neither_option_makes_the_other_files_of_set5(options, reference_data):
    for hr, lr in pairs(reference_data, "Set5", 4):
        assert (imresize(hr, lr.shape[:2], **options) != lr).any()


# The formula


def keys_cubic(distance):
    """Keys 1981, equation 15, with a = -1/2."""
    s = abs(distance)
    if s < 1:
        return 1.5 * s**3 - 2.5 * s**2 + 1
    if s < 2:
        return -0.5 * s**3 + 2.5 * s**2 - 4 * s + 2
    return 0.0


def at(line, position, edges):
    """The value of a line of pixels at any whole position."""
    if edges == "replicate":
        return line[min(max(position, 0), len(line) - 1)]
    while not 0 <= position < len(line):  # turned round at each end, the last pixel seen twice
        position = -1 - position if position < 0 else 2 * len(line) - 1 - position
    return line[position]


def resized_line(line, count, edges):
    """One line of numbers, each of the new ones a sum over the kernel, stretched if it shrinks."""
    step = len(line) / count
    stretch = max(step, 1.0)
    result = []
    for index in range(count):
        centre = (index + 0.5) * step  # in pixels from the line's beginning
        taps = range(math.floor(centre - 2 * stretch) - 1, math.ceil(centre + 2 * stretch) + 2)
        weights = [keys_cubic((tap + 0.5 - centre) / stretch) for tap in taps]
        values = [at(line, tap, edges) for tap in taps]
        summed = sum(weight * value for weight, value in zip(weights, values, strict=True))
        result.append(summed / sum(weights))
    return result


def level(value):
    return math.floor(min(max(value, 0.0), 255.0) + 0.5)


def by_loops(image, size, edges, round_between):
    """Both passes pixel by pixel; rows of pixels first where these shrink more."""
    between = level if round_between else float
    height, width, _ = image.shape
    rows_first = size[1] / width < size[0] / height
    result = np.zeros((*size, 3), np.uint8)
    for channel in range(3):
        grid = image[..., channel].astype(float).tolist()
        if not rows_first:
            grid = [list(column) for column in zip(*grid, strict=True)]
        counts = (size[1], size[0]) if rows_first else size
        for count in counts:
            grid = [[between(v) for v in resized_line(line, count, edges)] for line in grid]
            grid = [list(column) for column in zip(*grid, strict=True)]
        if not rows_first:
            grid = [list(column) for column in zip(*grid, strict=True)]
        result[..., channel] = [[level(value) for value in line] for line in grid]
    return result


def largest_difference(one, other):
    return int(np.abs(one.astype(int) - other).max())


EDGES = ["mirror", "replicate"]
# Sums in another order differ by 1e-13, which decides a value that lies between two levels.
TIE = 1


@pytest.mark.parametrize("round_between", [True, False])
@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(("height", "width"), [(23, 31), (34, 25)])
def test_shrinking_is_the_formula(height, width, scale, edges, round_between):
    image = noise(height, width, seed=int(10 * scale))
    size = lr_size((height, width), scale)
    got = imresize(image, size, edges=edges, round_between=round_between)
    expected = by_loops(image, size, edges, round_between)
    assert largest_difference(got, expected) <= TIE
    assert (got == expected).mean() > 0.99


@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("size", [(26, 20), (25, 37), (40, 11), (7, 19), (5, 40)])
def test_enlarging_and_both_at_once_are_the_formula(size, edges):
    image = noise(13, 10, seed=3)
    got = imresize(image, size, edges=edges)
    expected = by_loops(image, size, edges, round_between=True)
    assert largest_difference(got, expected) <= TIE
    assert (got == expected).mean() > 0.99


def test_the_two_kinds_of_edges_are_two_images():
    image = noise(40, 40)
    assert (imresize(image, (10, 10)) != imresize(image, (10, 10), edges="replicate")).any()


def test_the_side_that_shrinks_most_goes_first():
    """Which shows, because levels are rounded in between."""
    image = noise(48, 50, seed=2)
    turned = image.transpose(1, 0, 2)
    for size in ((12, 25), (24, 10)):
        expected = imresize(turned, size[::-1]).transpose(1, 0, 2)
        np.testing.assert_array_equal(imresize(image, size), expected)


# Properties


SIZES = [(1, 1), (5, 9), (12, 15), (24, 30), (25, 31), (60, 47), (24, 3)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("edges", EDGES)
def test_the_size_is_the_one_asked_for(size, edges):
    image = noise(24, 30)
    before = image.copy()
    got = imresize(image, size, edges=edges)
    assert got.shape == (*size, 3)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("round_between", [True, False])
def test_a_flat_image_stays_flat(size, edges, round_between):
    image = np.full((24, 30, 3), (0, 131, 255), np.uint8)
    got = imresize(image, size, edges=edges, round_between=round_between)
    np.testing.assert_array_equal(got, np.broadcast_to((0, 131, 255), got.shape))


def test_its_own_size_changes_nothing():
    image = noise(24, 30)
    np.testing.assert_array_equal(imresize(image, (24, 30)), image)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("edges", EDGES)
@pytest.mark.parametrize("axis", [0, 1])
def test_a_flipped_image_gives_the_flipped_result(size, edges, axis):
    image = noise(24, 30, seed=5)
    got = imresize(np.flip(image, axis), size, edges=edges)
    expected = np.flip(imresize(image, size, edges=edges), axis)
    assert largest_difference(got, expected) <= TIE
    assert (got == expected).mean() > 0.95


def test_channels_do_not_mix():
    image = noise(24, 30)
    together = imresize(image, (7, 11))
    for channel in range(3):
        alone = imresize(image[..., channel : channel + 1], (7, 11))
        np.testing.assert_array_equal(together[..., channel : channel + 1], alone)


def test_black_and_white_do_not_overshoot_into_other_levels():
    """The kernel's negative lobes leave [0, 255], where 8 bits would wrap round."""
    image = np.zeros((16, 16, 3), np.uint8)
    image[:, 8:] = 255
    got = imresize(image, (32, 32))[0, :, 0].astype(int)
    assert (np.diff(got) >= 0).all()
    assert (got[0], got[-1]) == (0, 255)


def test_an_image_smaller_than_the_kernel():
    image = noise(2, 3)
    for edges in EDGES:
        got = imresize(image, (1, 1), edges=edges)
        assert largest_difference(got, by_loops(image, (1, 1), edges, True)) <= TIE
