import random

import numpy as np
import pytest
import torch
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.downstream.views import (
    CROP,
    View,
    anchors,
    cut,
    grid,
    views_of_answer,
    views_of_truth,
    zoomed_size,
)
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import answer_case
from liif_bench.images import to_tensor, to_uint8
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol
from liif_bench.resample import resample
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options
from liif_bench.upsamplers.finished import FinishedImage

PROTOCOL = load_protocol("liif-div2k")
PAPER = load_protocol("zoom-paper").zoom.sizes


def paper_view(image, size, row, column):
    """The crop of arXiv 2304.05538 in plain Pillow: `(224, 224, 3)` uint8.

    Pillow's two passes are called one by one, columns of the result before its rows, as Pillow did
    in one call when the paper was written.
    """
    width, height = image.size
    if width < height:
        new_width, new_height = size, int(size * height / width)
    else:
        new_width, new_height = int(size * width / height), size
    image = image.resize((new_width, height), Image.Resampling.BICUBIC)
    image = image.resize((new_width, new_height), Image.Resampling.BICUBIC)
    tile_w, tile_h = new_width // 3, new_height // 3
    x, y = column * tile_w + tile_w // 2, row * tile_h + tile_h // 2
    return np.array(image.crop((x - 112, y - 112, x + 112, y + 112)))  # black beyond the edges


def picture(height, width):
    coarse = np.random.default_rng(height * 1000 + width).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tensor(image):
    return to_tensor(np.array(image))


def case_of(image, scale=4):
    """A case whose LR is Pillow's bicubic of an image that the scale divides."""
    low = (image.height // scale, image.width // scale)
    lr = resample(image, low, Image.Resampling.BICUBIC)
    return Case(PROTOCOL, float(scale), tensor(lr), tensor(image), "pil-bicubic-uint8")


# The grid


def test_the_papers_grid_in_its_order():
    assert len(PAPER) == len(set(PAPER)) == 36
    assert PAPER[:10] == (10, 16, 32, 48, 64, 96, 128, 192, 224, 240)
    assert PAPER[-9:] == (122, 235, 348, 460, 573, 686, 798, 911, 1024)
    views = grid(PAPER)
    assert len(views) == 324
    assert views[:4] == (View(10, 0, 0), View(10, 0, 1), View(10, 0, 2), View(10, 1, 0))
    assert [view for view in views if view.one_crop] == [View(256, 1, 1)]
    assert sum(view.centre for view in views) == 36


def test_the_quick_grid_is_the_one_crop_size_in_steps_of_its_half():
    assert PROTOCOL.zoom.sizes == tuple(256 * halves // 2 for halves in range(1, 5))
    assert set(PROTOCOL.zoom.sizes) < set(PAPER)
    assert len(grid(PROTOCOL.zoom.sizes)) == 36


@pytest.mark.parametrize(
    ("length", "expected"),
    [(448, [74, 223, 372]), (449, [74, 223, 372]), (450, [75, 225, 375]), (3, [0, 1, 2])],
)
def test_anchors(length, expected):
    assert anchors(length) == expected


def test_the_longer_side_is_rounded_down():
    assert zoomed_size((375, 500), 256) == (256, 341)
    assert zoomed_size((500, 375), 256) == (341, 256)
    assert zoomed_size((80, 80), 10) == (10, 10)
    with pytest.raises(LiifBenchError, match="10x201 pixels are too elongated"):
        zoomed_size((201, 10), 256)


# HR


def test_views_of_hr_are_the_papers_to_the_pixel():
    chance = random.Random(3)
    sizes = [(375, 500), (500, 333), (97, 64), (224, 224), (640, 427)]
    for _ in range(20):
        image = picture(*chance.choice(sizes))
        shorter = chance.choice(PAPER)
        row, column = chance.randrange(3), chance.randrange(3)
        (views,) = views_of_truth(case_of(image), [shorter])
        expected = paper_view(image, shorter, row, column)
        assert np.array_equal(to_uint8(views[3 * row + column]), expected), (image.size, shorter)
        assert views.shape == (9, 3, CROP, CROP)


def test_views_of_a_photograph_are_the_papers_to_the_pixel():
    photo = Image.fromarray(load_dataset("sample").items[0].read_hr(1.0))
    for shorter in (122, 256, 911):
        (views,) = views_of_truth(case_of(photo), [shorter])
        for place, view in enumerate(grid([shorter])):
            expected = paper_view(photo, shorter, view.row, view.column)
            assert np.array_equal(to_uint8(views[place]), expected)


def test_the_ground_truth_as_a_model_shows_hr_however_small():
    case = case_of(picture(96, 128))
    answer = answer_case(load_upsampler("hr"), case, whole=False)
    got = torch.cat(list(views_of_answer(case, answer.output, [10, 24, 64, 256])))
    expected = torch.cat(list(views_of_truth(case, [10, 24, 64, 256])))
    assert torch.equal(got, expected)


# What upsamplers render


def nine_of(zoomed):
    """Views cut from a whole zoomed image, one by one."""
    _, height, width = zoomed.shape
    half = CROP // 2
    padded = torch.nn.functional.pad(zoomed, (half, half, half, half))
    return torch.stack(
        [padded[:, y : y + CROP, x : x + CROP] for y in anchors(height) for x in anchors(width)]
    )


@pytest.mark.weights
@pytest.mark.parametrize(("size", "shorter"), [((96, 128), 224), ((100, 60), 300), ((64, 64), 700)])
def test_views_of_liif_are_cut_from_the_whole(size, shorter, liif):
    case = case_of(picture(*size))
    output = answer_case(liif, case, whole=False).output
    (views,) = views_of_answer(case, output, [shorter])
    zoomed = output.image.render(zoomed_size(case.size, shorter))
    torch.testing.assert_close(views, nine_of(zoomed), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["nearest", "bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize("shorter", [30, 224, 573, 1024])
def test_views_of_interpolation_are_cut_from_the_whole(name, shorter):
    case = case_of(picture(96, 128))
    output = answer_case(load_upsampler(name), case, whole=False).output
    (views,) = views_of_answer(case, output, [shorter])
    zoomed = output.image.render(zoomed_size(case.size, shorter))
    assert torch.equal(views, nine_of(zoomed))


class Watched:
    """An image that notes what it is asked for, and answers with the place of each pixel."""

    def __init__(self):
        self.parts = []

    def render(self, size, window=None):
        self.parts.append((size, window))
        rows = torch.linspace(window.top, window.bottom, size[0] + 1)[:-1]
        columns = torch.linspace(window.left, window.right, size[1] + 1)[:-1]
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        return torch.stack([y, x, torch.ones_like(x)])


@pytest.mark.parametrize("shorter", [33, 128, 256, 384, 512, 1024])
def test_no_pixel_is_rendered_that_no_view_shows_and_none_twice(shorter):
    case = case_of(picture(96, 128))
    image = Watched()
    output = Output(case.hr, image)
    (views,) = views_of_answer(case, output, [shorter])
    height, width = zoomed_size(case.size, shorter)
    shown = torch.zeros(height, width, dtype=torch.int)
    for size, window in image.parts:
        top, left = round(window.top * height), round(window.left * width)
        shown[top : top + size[0], left : left + size[1]] += 1
    expected = torch.zeros_like(shown)
    for y in anchors(height):
        for x in anchors(width):
            expected[max(0, y - 112) : y + 112, max(0, x - 112) : x + 112] = 1
    assert torch.equal(shown, expected)
    inside = views[:, 2] > 0
    assert int(inside.sum()) >= int(expected.sum())


def test_what_is_not_enlarged_is_lr_for_every_upsampler():
    case = case_of(picture(96, 128))
    image = Watched()
    for shorter in (10, 24):  # LR has 24 rows
        (views,) = views_of_answer(case, Output(case.hr, image), [shorter])
        low = Image.fromarray(to_uint8(case.lr))
        for place, view in enumerate(grid([shorter])):
            expected = paper_view(low, shorter, view.row, view.column)
            assert np.array_equal(to_uint8(views[place]), expected)
    assert not image.parts
    (views,) = views_of_answer(case, Output(case.hr, image), [25])
    assert image.parts


def test_a_finished_image_is_zoomed_by_pillow():
    case = case_of(picture(96, 128))
    sr = tensor(picture(96, 128).transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    for output in (Output(sr), Output(sr, FinishedImage(sr))):
        (views,) = views_of_answer(case, output, [300])
        expected = paper_view(Image.fromarray(to_uint8(sr)), 300, 0, 2)
        assert np.array_equal(to_uint8(views[2]), expected)


def test_views_are_rounded_as_the_protocol_says():
    case = case_of(picture(96, 128))
    rounded = Case(load_protocol("mmagic"), 4.0, case.lr, case.hr, "made")
    (views,) = views_of_answer(rounded, Output(case.hr, Watched()), [256])
    assert torch.equal(views, views.mul(255).round().div(255))
    (views,) = views_of_answer(case, Output(case.hr, Watched()), [256])
    assert not torch.equal(views, views.mul(255).round().div(255))


def test_what_is_no_picture_is_refused():
    class Broken:
        def render(self, size, window=None):
            return torch.full((3, *size), float("nan"))

    case = case_of(picture(96, 128))
    with pytest.raises(LiifBenchError, match="not finite"):
        list(views_of_answer(case, Output(case.hr, Broken()), [256]))


def test_views_stand_rows_before_columns_and_black_beyond_the_edges():
    views = cut(lambda top, left, height, width: torch.ones(3, height, width), (448, 448))
    assert views[0, :, :38].max() == views[0, :, :, :38].max() == 0
    assert views[0, :, 38:, 38:].min() == 1
    assert views[2, :, :38].max() == views[2, :, :, 188:].max() == 0
    assert views[4].min() == 1


def test_the_options_of_the_truth():
    truth = load_upsampler("hr", Options())
    assert (truth.name, truth.training_scales, truth.weights) == ("hr", None, None)
    assert truth.settings == {"sees": "HR"}
    with pytest.raises(LiifBenchError, match="ground truth: use it in a run"):
        truth.encode(torch.zeros(3, 4, 4))
