import math
from fractions import Fraction
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.degrade import GENERATORS, fit_pair, lr_size, make_pair
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import make_case
from liif_bench.images import read_rgb, to_tensor, to_uint8
from liif_bench.imresize import imresize
from liif_bench.protocol import Generator, LrRules, load_protocol
from liif_bench.records import GIVEN_LR

SCALES = [1, 1.1, 1.5, 2, 2.5, 3, 3.7, 4, 6.4, 8, 11.3, 12, 30]

PIL = LrRules(given=False, generator="pil-bicubic-uint8", hr_multiple=1)
TORCH = LrRules(given=False, generator="torch-bicubic-float", hr_multiple=1)
MATLAB = LrRules(given=False, generator="matlab-bicubic-uint8", hr_multiple=1)
RULES = [PIL, TORCH, MATLAB]
ALL = [pytest.param(rules, id=rules.generator) for rules in RULES]

scales = st.one_of(
    st.sampled_from(SCALES),
    st.floats(1, 40, allow_nan=False),
    st.integers(10, 400).map(lambda tenths: tenths / 10),
)
sides = st.integers(1, 200)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def kernels(before, after):
    """For each new pixel the range of old ones that Pillow's bicubic sees, and their weights.

    Keys' cubic with a = -1/2, stretched by the scale, cut off at the border.
    """
    scale = before / after
    stretch = max(scale, 1.0)
    for index in range(after):
        centre = (index + 0.5) * scale
        first = max(int(centre - 2 * stretch + 0.5), 0)
        last = min(int(centre + 2 * stretch + 0.5), before)
        x = np.abs((np.arange(first, last) - centre + 0.5) * (1 / stretch))
        inner = (1.5 * x - 2.5) * x * x + 1
        outer = ((-0.5 * x + 2.5) * x - 4) * x + 2
        weights = np.where(x < 1, inner, np.where(x < 2, outer, 0))
        yield slice(first, last), weights / weights.sum()


def shrink(pixels, count):
    """Pillow's bicubic along the first axis, on integers as its C code does it.

    Weights are multiples of 2^-22; one rounding to 8 bits at the end.
    """
    rows = []
    for seen, shares in kernels(len(pixels), count):
        weights = shares * 2**22
        whole = np.trunc(weights + np.copysign(0.5, weights)).astype(np.int64)
        total = np.tensordot(whole, pixels[seen].astype(np.int64), 1)
        rows.append(((total + 2**21) >> 22).clip(0, 255))
    return np.array(rows, np.uint8)


def shrink_exactly(pixels, count):
    """The same on real numbers, with no rounding."""
    rows = [np.tensordot(w, pixels[seen], 1) for seen, w in kernels(len(pixels), count)]
    return np.array(rows)


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
@pytest.mark.parametrize("rules", ALL)
def test_too_small(height, width, rules):
    with pytest.raises(
        LiifBenchError, match=rf"{width}x{height} pixels is too small.*x30"
    ) as error:
        make_pair(noise(height, width), 30, rules)
    assert "\n" not in str(error.value)


# Pairs


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales, st.integers(0, 5))
def test_equals_the_authors_steps(height, width, scale, seed):
    hr = noise(height, width, seed)
    if min(height, width) < scale * (1 - 1e-9):
        return
    lr, cropped = make_pair(hr, scale, PIL)
    expected_lr, expected_hr = as_liif_does(hr, scale)
    assert torch.equal(lr, to_tensor(expected_lr))
    np.testing.assert_array_equal(cropped, expected_hr)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales, st.sampled_from(RULES))
def test_pairs_have_the_stated_sizes(height, width, scale, rules):
    if min(height, width) < scale * (1 - 1e-9):
        return
    hr = noise(height, width)
    lr, cropped = make_pair(hr, scale, rules)
    assert lr.dtype == torch.float32
    assert cropped.dtype == np.uint8
    assert lr.shape == (3, *lr_size((height, width), scale))
    assert 0 <= lr.min() <= lr.max() <= 1
    assert cropped.shape[:2] == tuple(round(side * scale) for side in lr.shape[1:])
    np.testing.assert_array_equal(cropped, hr[: cropped.shape[0], : cropped.shape[1]])
    assert cropped.flags.c_contiguous


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales)
def test_a_made_pair_fits(height, width, scale):
    if min(height, width) < scale * (1 - 1e-9):
        return
    hr = noise(height, width)
    made, cropped = make_pair(hr, scale, PIL)
    lr = to_uint8(made)
    for large in (hr, cropped):
        same_lr, fitted = fit_pair(lr, large, scale)
        np.testing.assert_array_equal(same_lr, lr)
        np.testing.assert_array_equal(fitted, cropped)


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize("scale", [1, 2.5, 4, 11.3])
def test_a_flat_image_stays_flat(scale, rules):
    hr = np.full((64, 80, 3), (10, 128, 255), np.uint8)
    lr, _ = make_pair(hr, scale, rules)
    flat = to_tensor(hr)[:, : lr.shape[1], : lr.shape[2]]
    torch.testing.assert_close(lr, flat, rtol=0, atol=1e-6 if rules == TORCH else 0)


@pytest.mark.parametrize("rules", ALL)
def test_scale_one_changes_nothing(rules):
    hr = noise(17, 23)
    lr, cropped = make_pair(hr, 1, rules)
    torch.testing.assert_close(lr, to_tensor(hr), rtol=0, atol=1e-6 if rules == TORCH else 0)
    np.testing.assert_array_equal(cropped, hr)


@pytest.mark.parametrize("scale", [2, 2.5, 3.7, 4, 11.3, 30])
def test_a_photograph_comes_out_as_from_pillow_in_one_call(scale):
    """Which may turn the two passes round, and then rounds the other way."""
    hr = load_dataset("sample").items[0].read_hr(scale)
    made, cropped = make_pair(hr, scale, PIL)
    lr = to_uint8(made)
    image = Image.fromarray(hr).crop((0, 0, cropped.shape[1], cropped.shape[0]))
    one_call = np.array(image.resize((lr.shape[1], lr.shape[0]), Image.Resampling.BICUBIC))
    assert np.abs(lr.astype(int) - one_call).max() <= 1


# Generators


def test_every_generator_of_the_schema_is_there():
    assert set(GENERATORS) == set(get_args(Generator)) == {rules.generator for rules in RULES}


BY_HAND = [  # of an image of 71 rows and 94 columns: LR, and HR cropped to round(h * s)
    (2, (35, 47), (70, 94)),
    (2.5, (28, 37), (70, 92)),  # round(92.5) is 92: halves to even, as Python rounds
    (3.7, (19, 25), (70, 92)),
    (11.3, (6, 8), (68, 90)),
    (30, (2, 3), (60, 90)),
]


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize(("scale", "low", "high"), BY_HAND)
def test_sizes_of_pairs_by_hand(scale, low, high, rules):
    lr, cropped = make_pair(noise(71, 94), scale, rules)
    assert lr.shape == (3, *low)
    assert cropped.shape == (*high, 3)


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize("scale", [2, 2.5, 3.7, 11.3, 30])
@pytest.mark.parametrize(("height", "width"), [(71, 94), (72, 84), (60, 83)])
def test_hr_is_cropped_to_a_multiple_first(height, width, scale, rules):
    hr = noise(height, width)
    whole = hr[: height // 12 * 12, : width // 12 * 12]
    lr, cropped = make_pair(hr, scale, rules.model_copy(update={"hr_multiple": 12}))
    expected_lr, expected_hr = make_pair(whole, scale, rules)
    assert torch.equal(lr, expected_lr)
    np.testing.assert_array_equal(cropped, expected_hr)


@pytest.mark.parametrize("rules", ALL)
@pytest.mark.parametrize(("height", "width"), [(11, 40), (40, 11), (1, 1)])
def test_too_small_for_the_multiple(height, width, rules):
    with pytest.raises(LiifBenchError) as error:
        make_pair(noise(height, width), 2, rules.model_copy(update={"hr_multiple": 12}))
    text = f"image of {width}x{height} pixels is too small to be cropped to multiples of 12"
    assert str(error.value) == text


@pytest.mark.parametrize("rules", ALL)
def test_what_the_multiple_leaves_may_be_too_small_for_the_scale(rules):
    with pytest.raises(LiifBenchError, match=r"24x24 pixels is too small for scale x30"):
        make_pair(noise(35, 35), 30, rules.model_copy(update={"hr_multiple": 12}))


def assert_is_pillows_kernel_without_rounding(hr, scale):
    lr, cropped = make_pair(hr, scale, TORCH)
    narrow = shrink_exactly(cropped.transpose(1, 0, 2) / 255, lr.shape[2]).transpose(1, 0, 2)
    expected = shrink_exactly(narrow, lr.shape[1]).clip(0, 1).transpose(2, 0, 1)
    # sums of up to 160 terms in float32, whose kernel positions are float32 too
    np.testing.assert_allclose(lr.numpy(), expected, rtol=0, atol=2e-5)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales, st.integers(0, 5))
def test_torchs_bicubic_is_pillows_kernel_without_rounding(height, width, scale, seed):
    if min(height, width) < scale * (1 - 1e-9):
        return
    assert_is_pillows_kernel_without_rounding(noise(height, width, seed), scale)


@pytest.mark.parametrize(("height", "width", "scale"), [(26, 3, 2), (100, 40, 30)])
def test_torchs_bicubic_of_one_column(height, width, scale):
    assert_is_pillows_kernel_without_rounding(noise(height, width), scale)


@pytest.mark.parametrize(("height", "width", "scale"), [(3, 26, 2), (40, 100, 30), (3, 3, 2)])
def test_torchs_bicubic_of_one_row(height, width, scale):
    assert_is_pillows_kernel_without_rounding(noise(height, width), scale)


def test_torchs_bicubic_is_clamped():
    """The kernel's negative lobes overshoot beside an edge from black to white."""
    hr = np.zeros((40, 60, 3), np.uint8)
    hr[:, 29:] = 255
    lr, _ = make_pair(hr, 2, TORCH)
    assert (lr == 0).any()
    assert (lr == 1).any()
    unclamped = shrink_exactly(hr.transpose(1, 0, 2) / 255, 30)
    assert unclamped.min() < -0.01
    assert unclamped.max() > 1.01


def test_only_torchs_bicubic_leaves_the_grey_levels():
    hr = noise(60, 80)
    for rules in RULES:
        lr, _ = make_pair(hr, 2.5, rules)
        assert torch.equal(to_tensor(to_uint8(lr)), lr) == (rules != TORCH)


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), scales)
def test_matlabs_bicubic_is_imresize(height, width, scale):
    if min(height, width) < scale * (1 - 1e-9):
        return
    hr = noise(height, width)
    lr, cropped = make_pair(hr, scale, MATLAB)
    size = lr_size((height, width), scale)
    assert torch.equal(lr, to_tensor(imresize(cropped, size)))


@pytest.mark.parametrize("scale", [2, 3.7, 8])
def test_generators_make_the_same_picture_with_other_pixels(scale):
    hr = load_dataset("sample").items[0].read_hr(scale)
    made = [make_pair(hr, scale, rules)[0] for rules in RULES]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        difference = (made[one] - made[other]).abs() * 255
        assert difference.max() > 0.4
        assert difference.mean() < 0.5


@pytest.mark.data
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_matlabs_generator_makes_the_given_files_again(scale, reference_data):
    given_protocol = load_protocol("matlab-y")
    made_protocol = given_protocol.changed({"lr.given": False})
    for item in load_dataset(f"paired:{reference_data / 'Set5'}").items:
        used, made = (make_case(p, item, scale) for p in (given_protocol, made_protocol))
        assert (used.lr_source, made.lr_source) == ("given", "matlab-bicubic-uint8")
        assert torch.equal(used.lr, made.lr)
        assert torch.equal(used.hr, made.hr)


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
    lr, _ = make_pair(hr, 4, PIL)
    with pytest.raises(LiifBenchError, match="do not fit"):
        fit_pair(to_uint8(lr), hr, 2)


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
    assert given_protocol.lr.given
    made_protocol = given_protocol.changed({"lr.given": False})
    for item in load_dataset(f"paired:{reference_data / 'Set5'}").items:
        name = f"{item.name}x{scale:g}.png"
        file = read_rgb(reference_data / "Set5/LR_bicubic" / f"X{scale:g}" / name)
        given_case = make_case(given_protocol, item, scale)
        assert torch.equal(given_case.lr, to_tensor(file))
        assert given_case.lr_source == GIVEN_LR == "given"

        made_case = make_case(made_protocol, item, scale)
        assert made_case.lr_source == "pil-bicubic-uint8"
        made = to_uint8(made_case.lr)
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
    assert case.lr_source == "pil-bicubic-uint8"
    np.testing.assert_array_equal(to_uint8(case.lr), expected[0])
    np.testing.assert_array_equal(to_uint8(case.hr), expected[1])
