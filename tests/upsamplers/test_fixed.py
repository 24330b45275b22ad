import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import FULL, Window, pixel_window, regime
from liif_bench.upsamplers.fixed import (
    FixedScale,
    Tiles,
    Tiling,
    choose_scales,
    describe_tiling,
    read_passes,
    read_tiling,
)

PLENTY = 1 << 30
REACH = 2


class TwoConvolutions:
    """A network with random weights: what is tested is how it is run, not what it has learnt."""

    def __init__(self, scale, tiling=None):
        generator = torch.Generator().manual_seed(scale)
        self.scale = scale
        self.tiling = tiling or Tiling()
        self.seen = []
        self.first = torch.randn(8, 3, 3, 3, generator=generator) / 5
        self.second = torch.randn(3 * scale**2, 8, 3, 3, generator=generator) / 8

    def run(self, lr):
        self.seen.append(tuple(lr.shape[1:]))
        hidden = F.conv2d(lr[None], self.first, padding=1).relu()
        return F.pixel_shuffle(F.conv2d(hidden, self.second, padding=1), self.scale)[0] + 0.5


def upsampler(*networks, passes=1, memory=PLENTY):
    return FixedScale("toy", networks, None, memory, passes)


@pytest.fixture(scope="module")
def lr():
    torch.manual_seed(0)
    return torch.rand(3, 37, 50)


def native(lr, *scales):
    for scale in scales:
        lr = TwoConvolutions(scale).run(lr).clamp(0, 1)
    return lr


def pillow(image, size):
    channels = [
        np.array(Image.fromarray(channel.numpy()).resize(size[::-1], Image.Resampling.BICUBIC))
        for channel in image
    ]
    return torch.from_numpy(np.stack(channels)).clamp(0, 1)


# What is run, and what becomes of it


def test_the_native_size_is_returned_untouched(lr):
    got = upsampler(TwoConvolutions(3)).encode(lr).render((111, 150))
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, native(lr, 3), rtol=0, atol=0)
    assert got.min() == 0  # of a network that leaves the range
    assert got.max() == 1


@pytest.mark.parametrize(
    ("size", "scales"),
    [
        ((74, 100), (2,)),
        ((37, 50), (2,)),
        ((60, 81), (2,)),  # shrinks what x2 makes
        ((75, 100), (3,)),  # a row more than x2 has
        ((111, 150), (3,)),
        ((148, 200), (4,)),
        ((400, 300), (4,)),  # by more than the largest, and not square
    ],
)
def test_a_family_runs_the_smallest_network_that_reaches_the_scale(lr, size, scales):
    family = upsampler(TwoConvolutions(4), TwoConvolutions(2), TwoConvolutions(3))
    got = family.encode(lr).render(size)
    torch.testing.assert_close(got, pillow(native(lr, *scales), size), rtol=0, atol=2e-6)


def test_a_window_asks_for_the_scale_of_its_own_pixels(lr):
    image = upsampler(TwoConvolutions(2), TwoConvolutions(4)).encode(lr)
    window = Window(0.5, 0.2, 1.0, 0.4)
    assert image.networks[2].seen == []
    image.render((37, 20), window)  # half of 74 rows, a fifth of 100 columns
    assert image.networks[2].seen
    assert image.networks[4].seen == []


@pytest.mark.parametrize(
    ("natives", "target", "passes", "chosen"),
    [
        ([4], 4, 1, (4,)),
        ([4], 1, 3, (4,)),
        ([4], 0.2, 3, (4,)),
        ([4], 30, 1, (4,)),
        ([4], 4.1, 2, (4, 4)),
        ([4], 16, 5, (4, 4)),
        ([4], 16.1, 5, (4, 4, 4)),
        ([4], 30, 2, (4, 4)),
        ([2], 8, 8, (2, 2, 2)),
        ([2, 3, 4], 2, 2, (2,)),
        ([2, 3, 4], 2 + 1e-9, 2, (2,)),  # a window's fractions are rounded
        ([2, 3, 4], 2.01, 1, (3,)),
        ([2, 3, 4], 6, 2, (4, 2)),
        ([2, 3, 4], 12, 3, (4, 3)),
        ([2, 3, 4], 13, 2, (4, 4)),
    ],
)
def test_choose_scales(natives, target, passes, chosen):
    assert choose_scales(natives, target, passes) == chosen


def test_two_passes_are_the_network_after_itself(lr):
    image = upsampler(TwoConvolutions(3), passes=2).encode(lr)
    torch.testing.assert_close(image.render((333, 450)), native(lr, 3, 3), rtol=0, atol=0)
    torch.testing.assert_close(image.render((111, 150)), native(lr, 3), rtol=0, atol=0)


@pytest.mark.parametrize("passes", [1, 2])
@pytest.mark.parametrize("size", [(74, 100), (111, 150), (133, 171), (40, 60), (700, 901)])
def test_a_window_equals_the_crop_of_the_whole(lr, size, passes):
    image = upsampler(TwoConvolutions(2), TwoConvolutions(3), passes=passes).encode(lr)
    whole = image.render(size)
    top, left, height, width = size[0] // 3, size[1] // 2, size[0] // 4, size[1] // 3
    part = image.render((height, width), pixel_window(size, top, left, height, width))
    expected = whole[:, top : top + height, left : left + width]
    torch.testing.assert_close(part, expected, rtol=0, atol=1e-6)


# Tiles


@pytest.mark.parametrize("longest", [7, 13, 49, 1000])
@pytest.mark.parametrize("passes", [1, 2])
def test_tiles_with_the_margin_that_is_seen_change_nothing(lr, longest, passes):
    tiled = upsampler(TwoConvolutions(2, Tiling(longest, REACH)), passes=passes).encode(lr)
    whole = upsampler(TwoConvolutions(2), passes=passes).encode(lr)
    for size in ((74, 100), (148, 200), (91, 91)):
        torch.testing.assert_close(tiled.render(size), whole.render(size), rtol=0, atol=1e-6)
    assert max(max(seen) for seen in tiled.networks[2].seen) <= longest


def test_less_margin_than_that_shows(lr):
    tiled = upsampler(TwoConvolutions(2, Tiling(13, REACH - 1))).encode(lr)
    assert (tiled.render((74, 100)) - native(lr, 2)).abs().max() > 1e-3


@pytest.mark.parametrize(("longest", "overlap"), [(7, 3), (16, 0), (40, 12), (128, 16)])
@pytest.mark.parametrize("length", [1, 7, 8, 40, 41, 129, 1000])
def test_cuts_are_even_and_keep_to_the_longest_side(longest, overlap, length):
    cuts = Tiling(longest, overlap).cuts(length)
    widths = np.diff(cuts)
    assert (cuts[0], cuts[-1]) == (0, length)
    assert widths.max() - widths.min() <= 1
    if length <= longest:
        assert len(widths) == 1
    else:
        assert widths.max() + 2 * overlap <= longest


def test_a_budget_decides_the_size_of_exact_tiles():
    assert Tiling.exact(2, 1000, 10_000_000) == Tiling(54, 2)  # the root of 0.3 x 10,000
    assert Tiling.exact(12, 1000, 1) == Tiling(25, 12)


def test_a_window_runs_only_the_tiles_that_it_needs(lr):
    network = TwoConvolutions(2, Tiling(14, REACH))
    image = upsampler(network).encode(lr)
    assert network.seen == []
    image.render((4, 4), pixel_window((74, 100), 2, 2, 4, 4))
    assert len(network.seen) == 1
    image.render((6, 4), pixel_window((74, 100), 2, 2, 6, 4))
    assert len(network.seen) == 1  # held
    image.render((74, 100))
    assert len(network.seen) == 4 * 5
    image.render((90, 110))
    assert len(network.seen) == 4 * 5


def test_a_small_budget_gives_the_same_picture(lr):
    network = TwoConvolutions(2, Tiling(14, REACH))
    image = upsampler(network, passes=2, memory=1).encode(lr)
    for size in ((80, 130), (100, 170)):
        want = pillow(native(lr, 2, 2), size)
        torch.testing.assert_close(image.render(size), want, rtol=0, atol=2e-6)
    assert len(image.tiles._held) == 1


def test_the_tile_unused_for_longest_goes_first():
    tiles = Tiles(3 * 16)
    made = []

    def get(key):
        return tiles.get(key, lambda: (made.append(key), torch.full((4,), float(key)))[1])

    for key in (1, 2, 3, 1, 4, 1, 2):
        assert get(key)[0] == key
    assert made == [1, 2, 3, 4, 2]


# What it says of itself


def test_name_and_scales_of_training():
    one = upsampler(TwoConvolutions(4))
    assert (one.name, one.training_scales) == ("toy+bicubic", ((4, 4),))
    assert [regime(one, scale) for scale in (2, 3.9, 4, 4.1)] == ["out", "out", "in", "out"]
    family = upsampler(TwoConvolutions(3), TwoConvolutions(2), passes=2)
    assert (family.name, family.training_scales) == ("toy^2+bicubic", ((2, 2), (3, 3)))
    assert family.settings["passes"] == "at most 2"
    assert family.settings["native_scales"] == "x2, x3"
    assert "bicubic" in family.settings["resampling"]


def test_what_is_no_lr_is_refused():
    with pytest.raises(LiifBenchError, match=r"\[0, 1\]"):
        upsampler(TwoConvolutions(2)).encode(torch.full((3, 4, 4), 2.0))


def test_the_callers_lr_may_change_afterwards(lr):
    mine = lr.clone()
    image = upsampler(TwoConvolutions(2)).encode(mine)
    mine.zero_()
    torch.testing.assert_close(image.render((74, 100), FULL), native(lr, 2), rtol=0, atol=0)


# Options


def test_options_of_tiles_and_passes():
    assert read_tiling({}) == Tiling()
    assert read_tiling({"tile": "64"}) == Tiling(64, 16)
    assert read_tiling({"tile": "64", "overlap": "0"}) == Tiling(64, 0)
    assert describe_tiling(Tiling()) == {"tile": "whole"}
    assert describe_tiling(Tiling(64, 16)) == {"tile": "64", "overlap": "16"}
    assert (read_passes({}), read_passes({"passes": "3"})) == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": "4"}, "overlap needs the option tile"),
        ({"tile": "32"}, "tile=32 leaves nothing between two overlaps of 16"),
        ({"tile": "-1"}, "whole number"),
        ({"tile": "64", "overlap": "x"}, "whole number"),
    ],
)
def test_tiles_that_are_not_possible(options, message):
    with pytest.raises(LiifBenchError, match=message):
        read_tiling(options)


@pytest.mark.parametrize("passes", ["0", "9", "two", ""])
def test_passes_that_are_not_possible(passes):
    with pytest.raises(LiifBenchError, match="whole number from 1 to 8"):
        read_passes({"passes": passes})
