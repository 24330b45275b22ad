from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.functional import resized_crop

from liif_bench.downstream import CROPS
from liif_bench.downstream.augment import (
    AREA,
    RATIO,
    crops_of_answer,
    regions,
)
from liif_bench.evaluate import answer_case
from liif_bench.images import to_tensor, to_uint8
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol
from liif_bench.resample import resample
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import pixel_window
from liif_bench.upsamplers.finished import FinishedImage

PROTOCOL = load_protocol("liif-div2k")


def picture(height, width):
    coarse = np.random.default_rng(height * 1000 + width).integers(0, 256, (9, 12, 3), np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def tensor(image):
    return to_tensor(np.array(image))


def case_of(image, scale=4, item="photo"):
    lr = resample(image, (image.height // scale, image.width // scale), Image.Resampling.BICUBIC)
    return Case(PROTOCOL, float(scale), tensor(lr), tensor(image), "made", (), item)


def crops_of_truth(case, count=CROPS):
    """Regions of HR, cut out and resized by Pillow."""
    for top, left, height, width in regions(case, count):
        part = Image.fromarray(to_uint8(case.hr[:, top : top + height, left : left + width]))
        yield tensor(resample(part, (224, 224), Image.Resampling.BICUBIC))


def crops_of_hr(case, count=CROPS):
    """What is shown of HR among the models."""
    output = answer_case(load_upsampler("hr"), case, whole=False).output
    return crops_of_answer(case, output, count)


@pytest.fixture
def case():
    return case_of(picture(96, 128))


# Where crops lie


def test_regions_are_torchvisions_from_the_same_random_numbers(case, monkeypatch):
    """Its transform, called as a pipeline calls it, cuts the same parts in the same order."""
    seeds = []
    original = torch.default_generator.manual_seed

    class Noted:
        def manual_seed(self, seed):
            seeds.append(seed)
            return original(seed)

    with monkeypatch.context() as patch:
        patch.setattr(torch, "default_generator", Noted())
        drawn = regions(case)
    (seed,) = seeds
    rows, columns = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing="ij")
    places = torch.stack([rows, columns])
    crop = RandomResizedCrop(2, interpolation=InterpolationMode.NEAREST)
    torch.manual_seed(seed)
    for region in drawn:
        cut = crop(places)  # the first pixel and the middle one along each axis
        assert cut[0, :, 0].tolist() == [region.top, region.top + region.height // 2]
        assert cut[1, 0].tolist() == [region.left, region.left + region.width // 2]


@pytest.mark.parametrize("size", [(96, 128), (300, 200), (224, 224)])
def test_regions_lie_inside_and_within_the_bounds(size):
    drawn = regions(case_of(picture(*size)), 500)
    areas, ratios = [], []
    for top, left, height, width in drawn:
        assert top >= 0
        assert left >= 0
        assert top + height <= size[0]
        assert left + width <= size[1]
        areas.append(height * width / (size[0] * size[1]))
        ratios.append(width / height)
    assert AREA[0] * 0.95 <= min(areas) < 0.15
    assert 0.75 < max(areas) <= AREA[1]
    assert RATIO[0] * 0.95 <= min(ratios) < 0.8
    assert 1.25 < max(ratios) <= RATIO[1] * 1.05


def test_regions_depend_on_item_and_size_alone(case):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = regions(case)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert regions(replace(case, scale=8.0, lr=case.lr[:, :12, :16])) == first
    assert regions(case_of(picture(96, 128), item="other")) != first
    assert len(first) == len(set(first)) == CROPS
    assert regions(case, 5) == first[:5]


# What is shown


def test_crops_of_hr_are_cut_and_resized_as_torchvision_does(case):
    for region, crop in zip(regions(case), crops_of_hr(case), strict=True):
        image = Image.fromarray(to_uint8(case.hr))
        expected = resized_crop(image, *region, [224, 224], InterpolationMode.BICUBIC)
        # Pillow chooses the order of its two passes by itself since version 13
        difference = np.array(expected).astype(int) - to_uint8(crop).astype(int)
        assert np.abs(difference).max() <= 1


def test_hr_among_the_models_is_hr(case):
    got = torch.stack([*crops_of_hr(case, 8)])
    assert torch.equal(got, torch.stack([*crops_of_truth(case, 8)]))


def test_a_finished_image_is_cut_and_resized_as_hr(case):
    flipped = replace(case, hr=case.hr.flip(2))
    expected = torch.stack([*crops_of_truth(flipped, 8)])
    for output in (Output(flipped.hr), Output(flipped.hr, FinishedImage(flipped.hr))):
        assert torch.equal(torch.stack([*crops_of_answer(case, output, 8)]), expected)


def test_the_upsampler_renders_the_crop_and_nothing_else(case):
    asked = []

    class Watched:
        def render(self, size, window):
            asked.append((size, window))
            return torch.full((3, *size), 0.5)

    crops = [*crops_of_answer(case, Output(case.hr, Watched()))]
    expected = [
        ((224, 224), pixel_window((96, 128), top, left, height, width))
        for top, left, height, width in regions(case)
    ]
    assert asked == expected
    assert all(torch.equal(crop, torch.full((3, 224, 224), 0.5)) for crop in crops)


@pytest.mark.weights
@pytest.mark.parametrize("name", ["bicubic", "liif-edsr"])
def test_a_window_is_the_crop_of_the_whole(name, weights):
    """Where a region of HR has 224 pixels each way, it is cut from the whole at HR's size."""
    weights("liif-edsr")
    case = case_of(picture(240, 240))
    output = answer_case(load_upsampler(name), case, whole=False).output
    whole = output.image.render((240, 240))
    window = pixel_window((240, 240), 3, 11, 224, 224)
    part = output.image.render((224, 224), window)
    torch.testing.assert_close(part, whole[:, 3:227, 11:235], rtol=0, atol=1.01 / 255)


def test_what_is_not_enlarged_is_lr_for_every_upsampler():
    case = case_of(picture(640, 800), scale=2)
    large = [min(region.height, region.width) / 2 >= 224 for region in regions(case)]
    assert 0 < sum(large) < CROPS
    outputs = [
        answer_case(load_upsampler(name), case, whole=False).output for name in ("nearest", "hr")
    ]
    outputs.append(Output(case.hr.flip(1)))
    nearest, hr, finished = (torch.stack([*crops_of_answer(case, each)]) for each in outputs)
    low = Image.fromarray(to_uint8(case.lr))
    for place, (region, is_large) in enumerate(zip(regions(case), large, strict=True)):
        assert torch.equal(nearest[place], finished[place]) is is_large
        assert not torch.equal(nearest[place], hr[place])
        if is_large:
            top, left, height, width = (value / 2 for value in region)
            box = (left, top, left + width, top + height)
            expected = resample(low, (224, 224), Image.Resampling.BICUBIC, box)
            assert np.array_equal(to_uint8(nearest[place]), np.array(expected))
