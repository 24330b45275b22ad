import pytest
import torch

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import FULL, Window, pixel_window
from liif_bench.upsamplers.finished import FinishedImage

SIZE = (150, 111)


@pytest.fixture(scope="module")
def image():
    torch.manual_seed(0)
    return FinishedImage(torch.rand(3, *SIZE))


def test_the_whole_is_what_it_was_given(image):
    torch.testing.assert_close(image.render(SIZE), image.pixels, rtol=0, atol=0)


@pytest.mark.parametrize(
    "part", [(37, 52, 40, 30), (0, 0, 1, 1), (149, 110, 1, 1), (0, 0, 150, 111), (7, 3, 143, 108)]
)
def test_a_window_equals_the_crop(image, part):
    top, left, height, width = part
    got = image.render((height, width), pixel_window(SIZE, *part))
    expected = image.pixels[:, top : top + height, left : left + width]
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_what_is_rendered_is_not_the_image_itself(image):
    image.render(SIZE).zero_()
    assert image.pixels.max() > 0


@pytest.mark.parametrize(
    ("size", "window"),
    [
        ((149, 111), FULL),
        ((300, 222), FULL),
        ((75, 111), pixel_window(SIZE, 0, 0, 74, 111)),
        ((40, 30), pixel_window(SIZE, 37, 52, 40, 29)),
        ((40, 30), Window(0.1001, 0.0, 0.3, 0.3)),
        ((151, 111), Window(0.0, 0.0, 151 / 150, 1.0)),
        ((2, 111), pixel_window(SIZE, -1, 0, 2, 111)),
        ((0, 111), Window(0.0, 0.0, 0.0, 1.0)),
    ],
)
def test_nothing_is_resampled(image, size, window):
    with pytest.raises(LiifBenchError, match="a finished image of 111x150 pixels is not resampled"):
        image.render(size, window)
