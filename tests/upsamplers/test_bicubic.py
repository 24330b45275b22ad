import numpy as np
import pytest
import torch
from PIL import Image

from liif_bench.upsamplers.base import FULL, Window, pixel_window
from liif_bench.upsamplers.bicubic import resample_bicubic, taps
from liif_bench.upsamplers.fixed import GivenPixels


@pytest.fixture(scope="module")
def source():
    torch.manual_seed(0)
    return GivenPixels(torch.rand(3, 60, 83))


def pillow(source, size, box=None):
    """Pillow's bicubic on floating-point pixels, channel by channel."""
    channels = [
        Image.fromarray(channel.numpy()).resize(size[::-1], Image.Resampling.BICUBIC, box)
        for channel in source.pixels
    ]
    return torch.from_numpy(np.stack([np.array(channel) for channel in channels]))


@pytest.mark.parametrize(
    "size", [(60, 83), (120, 166), (61, 200), (500, 90), (17, 300), (7, 5), (1, 1), (59, 84)]
)
def test_the_whole_equals_pillow(source, size):
    got = resample_bicubic(source, size, FULL)
    torch.testing.assert_close(got, pillow(source, size), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((80, 70), Window(0.25, 0.5, 0.75, 1.0)),
        ((9, 11), Window(0.0, 0.1, 0.9, 0.55)),  # shrinks, and looks beyond the window
        ((40, 40), Window(0.31, 0.42, 0.35, 0.44)),
    ],
)
def test_a_window_equals_pillows_box(source, size, window):
    height, width = source.size
    box = (window.left * width, window.top * height, window.right * width, window.bottom * height)
    # Pillow takes the box in single precision: 83 pixels to 8e-6, on noise of slope 1
    expected = pillow(source, size, box)
    torch.testing.assert_close(resample_bicubic(source, size, window), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("size", [(150, 211), (1800, 2490), (31, 44), (60, 83)])
def test_a_window_equals_the_crop_of_the_whole(source, size):
    whole = resample_bicubic(source, size, FULL)
    top, left, height, width = size[0] // 3, size[1] // 2, size[0] // 4, size[1] // 3
    part = resample_bicubic(source, (height, width), pixel_window(size, top, left, height, width))
    expected = whole[:, top : top + height, left : left + width]
    torch.testing.assert_close(part, expected, rtol=0, atol=1e-6)


def test_only_the_pixels_in_reach_are_read():
    near = taps(100, 20, 0.4, 0.5)
    assert (near.span.start, near.span.stop) == (38, 53)
    torch.testing.assert_close(near.weight.sum(dim=1), torch.ones(20))
