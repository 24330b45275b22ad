import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.degrade import fit_pair, lr_size, make_pair
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import make_case
from liif_bench.images import read_rgb, to_uint8
from liif_bench.protocol import load_protocol

SCALES = [1, 1.1, 1.5, 2, 2.5, 3, 3.7, 4, 6.4, 8, 11.3, 12, 30]

scales = st.one_of(
    st.sampled_from(SCALES),
    st.floats(1, 40, allow_nan=False),
    st.integers(10, 400).map(lambda tenths: tenths / 10),
)
sides = st.integers(1, 200)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def shrink(pixels, count):
    """Pillow's bicubic along the first axis, on integers as its C code does it.

    Keys' cubic with a = -1/2, stretched by the scale; weights as multiples of 2^-22; one rounding
    to 8 bits at the end.
    """
    scale = len(pixels) / count
    stretch = max(scale, 1.0)
    rows = []
    for index in range(count):
        centre = (index + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), len(pixels))
        x = np.abs((np.arange(first, last) - centre + 0.5) * (1 / stretch))
        inner = (1.5 * x - 2.5) * x * x + 1
        outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
        weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
        weights = weights / weights.sum() * 2**22
        whole = np.trunc(weights + np.copysign(0.5, weights)).astype(np.int64)
        total = np.tensordot(whole, pixels[first:last].astype(np.int64), 1)
        rows.append(((total + 2**21) >> 22).clip(0, 255))
    return np.array(rows, np.uint8)


def as_liif_does(hr, scale):
    """`SRImplicitDownsampled` of the LIIF authors' code, without its random crop.

    Pillow squeezed rows of pixels first and columns next when they wrote it.
    """
    h = math.floor(hr.shape[0] / scale + 1e-9)
    w = math.floor(hr.shape[1] / scale + 1e-9)
    cropped = hr[: round(h * scale), : round(w * scale)]
    narrow = shrink(cropped.transpose(1, 0, 2), w).transpose(1, 0, 2)
    return shrink(narrow, h), cropped


# Sizes


@settings(deadline=None)
@given(sides, sides, scales)
def test_sizes(height, width, scale):
    if min(height, width) < scale * (1 - 1e-9):
        with pytest.raises(LiifBenchError, match="too small"):
            lr_size((height, width), scale)
        return
    low = lr_size((height, width), scale)
    for small, large in zip(low, (height, width), strict=True):
        assert small >= 1
        assert round(small * scale) <= large  # the cropped HR is never larger than HR
        assert large < (small + 1) * scale  # and not a whole LR pixel is thrown away


@settings(deadline=None)
@given(sides, st.integers(100, 4000))
def test_a_scale_that_divides_the_side_loses_nothing(pixels, hundredths):
    """Scales are decimals on the command line; 44 / 1.1 must be 40, not 39.999..."""
    scale = Fraction(hundredths, 100)
    side = pixels * scale.numerator  # divisible by the scale in exact arithmetic
    exact = pixels * scale.denominator
    assert lr_size((side, side), float(scale)) == (exact, exact)
    assert round(exact * float(scale)) == side


@pytest.mark.parametrize(
    ("hr", "scale", "expected"),
    [
        ((44, 33), 1.1, (40, 30)),
        ((100, 100), 2.5, (40, 40)),
        ((99, 101), 2.5, (39, 40)),
        ((37, 74), 3.7, (10, 20)),
        ((113, 112), 11.3, (10, 9)),
        ((30, 59), 30, (1, 1)),
    ],
)
def test_sizes_by_hand(hr, scale, expected):
    assert lr_size(hr, scale) == expected


@pytest.mark.parametrize(("height", "width"), [(29, 100), (100, 29), (1, 1)])
def test_too_small(height, width):
    with pytest.raises(
        LiifBenchError, match=rf"{width}x{height} pixels is too small.*x30"
    ) as error:
        make_pair(noise(height, width), 30)
    assert "\n" not in str(error.value)


# Pairs


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales, st.integers(0, 5))
def test_equals_the_authors_steps(height, width, scale, seed):
    hr = noise(height, width, seed)
    if min(height, width) < scale * (1 - 1e-9):
        return
    lr, cropped = make_pair(hr, scale)
    expected_lr, expected_hr = as_liif_does(hr, scale)
    np.testing.assert_array_equal(lr, expected_lr)
    np.testing.assert_array_equal(cropped, expected_hr)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales)
def test_pairs_have_the_stated_sizes(height, width, scale):
    if min(height, width) < scale * (1 - 1e-9):
        return
    hr = noise(height, width)
    lr, cropped = make_pair(hr, scale)
    assert lr.dtype == cropped.dtype == np.uint8
    assert lr.shape == (*lr_size((height, width), scale), 3)
    assert cropped.shape[:2] == tuple(round(side * scale) for side in lr.shape[:2])
    np.testing.assert_array_equal(cropped, hr[: cropped.shape[0], : cropped.shape[1]])
    assert cropped.flags.c_contiguous


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales)
def test_a_made_pair_fits(height, width, scale):
    if min(height, width) < scale * (1 - 1e-9):
        return
    hr = noise(height, width)
    lr, cropped = make_pair(hr, scale)
    for large in (hr, cropped):
        same_lr, fitted = fit_pair(lr, large, scale)
        np.testing.assert_array_equal(same_lr, lr)
        np.testing.assert_array_equal(fitted, cropped)


@pytest.mark.parametrize("scale", [1, 2.5, 4, 11.3])
def test_a_flat_image_stays_flat(scale):
    hr = np.full((64, 80, 3), (10, 128, 255), np.uint8)
    lr, _ = make_pair(hr, scale)
    np.testing.assert_array_equal(lr, np.broadcast_to((10, 128, 255), lr.shape))


def test_scale_one_changes_nothing():
    hr = noise(17, 23)
    lr, cropped = make_pair(hr, 1)
    np.testing.assert_array_equal(lr, hr)
    np.testing.assert_array_equal(cropped, hr)


@pytest.mark.parametrize("scale", [2, 2.5, 3.7, 4, 11.3, 30])
def test_a_photograph_comes_out_as_from_pillow_in_one_call(scale):
    """Which may turn the two passes round, and then rounds the other way."""
    hr = load_dataset("sample").items[0].read_hr(scale)
    lr, cropped = make_pair(hr, scale)
    image = Image.fromarray(hr).crop((0, 0, cropped.shape[1], cropped.shape[0]))
    one_call = np.array(image.resize((lr.shape[1], lr.shape[0]), Image.Resampling.BICUBIC))
    assert np.abs(lr.astype(int) - one_call).max() <= 1


# Given LR


@pytest.mark.parametrize("scale", [2, 3, 4, 2.5])
@pytest.mark.parametrize("axis", [0, 1])
def test_misfits_are_refused(scale, axis):
    lr = noise(10, 12)
    exact = [round(10 * scale), round(12 * scale)]

    def hr(change):
        size = list(exact)
        size[axis] += change
        return noise(*size)

    for change in range(math.ceil(scale)):
        assert fit_pair(lr, hr(change), scale)[1].shape[:2] == tuple(exact)
    for change in (-1, math.ceil(scale), math.ceil(scale) + 1, 40):
        with pytest.raises(LiifBenchError, match=rf"12x10 .* do not fit each other at x{scale}"):
            fit_pair(lr, hr(change), scale)


def test_the_wrong_scale_is_refused():
    hr = noise(48, 64)
    lr, _ = make_pair(hr, 4)
    with pytest.raises(LiifBenchError, match="do not fit"):
        fit_pair(lr, hr, 2)


@pytest.mark.data
@pytest.mark.parametrize(
    ("dataset", "published"), [("Set5", {2, 3, 4, 8}), ("Set14", {2, 4})], ids=["Set5", "Set14"]
)
def test_published_pairs_fit(dataset, published, reference_data):
    for item in load_dataset(f"paired:{reference_data / dataset}").items:
        assert set(item.lr_paths) == published
        for scale in published:
            given_lr, hr = item.read_lr(scale), item.read_hr(scale)
            lr, cropped = fit_pair(given_lr, hr, scale)
            assert lr is given_lr
            assert cropped.shape[:2] == tuple(side * scale for side in lr.shape[:2])


@pytest.mark.data
@pytest.mark.parametrize("scale", [2.0, 3.0, 4.0, 8.0])
def test_given_lr_is_used_where_the_protocol_says_so(scale, reference_data):
    """Set5's LR files were made by MATLAB, whose bicubic rounds once where Pillow rounds twice."""
    given_protocol = load_protocol("liif-benchmark")
    assert given_protocol.given_lr
    made_protocol = given_protocol.model_copy(update={"given_lr": False})
    for item in load_dataset(f"paired:{reference_data / 'Set5'}").items:
        name = f"{item.name}x{scale:g}.png"
        file = read_rgb(reference_data / "Set5/LR_bicubic" / f"X{scale:g}" / name)
        used = to_uint8(make_case(given_protocol, item, scale).lr)
        np.testing.assert_array_equal(used, file)

        made = to_uint8(make_case(made_protocol, item, scale).lr)
        np.testing.assert_array_equal(made, as_liif_does(item.read_hr(scale), scale)[0])
        rows, columns = (min(sides) for sides in zip(made.shape[:2], file.shape[:2], strict=True))
        difference = np.abs(made[:rows, :columns].astype(int) - file[:rows, :columns])
        assert 0 < difference.max() < 30  # another file, yet the same picture
        assert difference.mean() < 1


@pytest.mark.data
def test_a_scale_without_files_is_made(reference_data):
    item = load_dataset(f"paired:{reference_data / 'Set5'}").items[1]
    protocol = load_protocol("liif-benchmark")
    case = make_case(protocol, item, 2.5)
    expected = as_liif_does(item.read_hr(2.5), 2.5)
    np.testing.assert_array_equal(to_uint8(case.lr), expected[0])
    np.testing.assert_array_equal(to_uint8(case.hr), expected[1])
