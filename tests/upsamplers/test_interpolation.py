import numpy as np
import pytest
import torch
from PIL import Image

from liif_bench.images import to_uint8
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options, pixel_window, regime

KERNELS = ["nearest", "bilinear", "bicubic", "lanczos"]


@pytest.fixture
def lr():
    torch.manual_seed(3)
    return torch.randint(0, 256, (3, 13, 19)).float() / 255


@pytest.mark.parametrize("name", KERNELS)
def test_equals_pillow(name, lr):
    kernel = getattr(Image.Resampling, name.upper())
    got = to_uint8(load_upsampler(name, Options()).encode(lr).render((52, 57)))
    expected = np.array(Image.fromarray(to_uint8(lr)).resize((57, 52), kernel))
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("name", KERNELS)
def test_a_window_equals_the_crop_of_the_whole(name, lr):
    image = load_upsampler(name, Options()).encode(lr)
    whole = image.render((52, 76))
    part = image.render((20, 31), pixel_window((52, 76), 8, 12, 20, 31))
    torch.testing.assert_close(part, whole[:, 8:28, 12:43], rtol=0, atol=0)


@pytest.mark.parametrize("name", KERNELS)
def test_a_window_on_no_round_number_is_within_one_grey_level(name, lr):
    image = load_upsampler(name, Options()).encode(lr)
    whole = image.render((41, 67))
    part = image.render((20, 31), pixel_window((41, 67), 7, 11, 20, 31))
    # Pillow takes windows in single precision: a value may round to the other grey level.
    assert (part - whole[:, 7:27, 11:42]).abs().max() <= 1.01 / 255


def test_kernels_have_no_training_range():
    bicubic = load_upsampler("bicubic", Options())
    assert bicubic.weights is None
    assert regime(bicubic, 30.0) is None
