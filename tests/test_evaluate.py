import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from liif_bench import evaluate as evaluate_module
from liif_bench import examples
from liif_bench.bench import Bench
from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.evaluate import answer_case, evaluate, finish, make_case
from liif_bench.images import write_rgb
from liif_bench.metrics import load_metric
from liif_bench.metrics.distortion import Psnr
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options

BENCHMARK = load_protocol("liif-benchmark")


def bench(protocol, metrics=("psnr", "ssim"), upsamplers=("bicubic",)):
    return Bench(
        run="r",
        suite="s",
        suite_version=1,
        protocol=protocol,
        upsamplers=tuple(load_upsampler(name, Options()) for name in upsamplers),
        metrics=tuple(load_metric(name) for name in metrics),
        broken={},
        seed=0,
    )


@pytest.fixture
def photo(tmp_path):
    """A function that writes a small photograph-like file and returns it as an item."""

    def make(height, width):
        y, x = np.mgrid[:height, :width]
        waves = [np.sin(x / 5 + shift) + np.cos(y / 7 - shift) for shift in range(3)]
        pixels = (127.5 + 60 * np.stack(waves, axis=-1)).astype(np.uint8)
        write_rgb(pixels, tmp_path / "photo.png")
        return Item("photo", tmp_path / "photo.png")

    return make


# Scales that are no whole numbers


@pytest.fixture(scope="module")
def measured(reference_data, liif):
    """A function that gives a Set5 image's sizes and PSNR of LIIF at a scale, LR always made."""
    items = {item.name: item for item in load_dataset(f"paired:{reference_data / 'Set5'}").items}
    protocol = BENCHMARK.changed({"lr.given": False})
    known = {}

    def at(name, scale):
        if (name, scale) not in known:
            case = make_case(protocol, items[name], scale)
            answer = answer_case(liif, case)
            assert answer.error is None
            value = Psnr().score(case, answer.output)
            known[name, scale] = (case.lr_source, case.lr.shape[1:], case.size, value)
        return known[name, scale]

    return at


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(
    ("name", "scale", "between", "low", "high"),
    [
        ("butterfly", 2.5, (2.0, 3.0), (102, 102), (255, 255)),
        ("butterfly", 3.7, (3.0, 4.0), (69, 69), (255, 255)),
        ("butterfly", 11.3, (11.0, 12.0), (22, 22), (249, 249)),
        pytest.param("bird", 2.5, (2.0, 3.0), (115, 115), (288, 288), marks=pytest.mark.slow),
        pytest.param("bird", 3.7, (3.0, 4.0), (77, 77), (285, 285), marks=pytest.mark.slow),
        pytest.param("bird", 11.3, (11.0, 12.0), (25, 25), (282, 282), marks=pytest.mark.slow),
        pytest.param("woman", 2.5, (2.0, 3.0), (137, 91), (342, 228), marks=pytest.mark.slow),
        pytest.param("woman", 3.7, (3.0, 4.0), (92, 61), (340, 226), marks=pytest.mark.slow),
        pytest.param("woman", 11.3, (11.0, 12.0), (30, 20), (339, 226), marks=pytest.mark.slow),
    ],
)
def test_any_real_scale_lies_between_its_neighbours(name, scale, between, low, high, measured):
    source, lr_size, size, value = measured(name, scale)
    assert source == "pil-bicubic-uint8"
    assert (tuple(lr_size), size) == (low, high)
    easier, harder = (measured(name, neighbour)[-1] for neighbour in between)
    assert easier > value > harder


@pytest.mark.parametrize("protocol", ["liif-benchmark", "mmagic", "matlab-y"])
@pytest.mark.parametrize("scale", [2, 2.5, 3.7, 11.3, 30])
def test_records_say_what_was_measured(scale, protocol, photo):
    rules = load_protocol(protocol)
    rows = evaluate(bench(rules), "data", photo(131, 170), scale)
    assert [row.metric for row in rows] == ["psnr", "ssim"]
    multiple = rules.lr.hr_multiple
    low = [math.floor((side - side % multiple) / scale + 1e-9) for side in (131, 170)]
    for row in rows:
        assert (row.protocol, row.protocol_hash) == (protocol, rules.hash)
        assert row.lr_source == rules.lr.generator
        assert [row.lr_h, row.lr_w] == low
        assert [row.hr_h, row.hr_w] == [round(side * scale) for side in low]
        assert row.error is None
        assert math.isfinite(row.value)


# What is too small


def outcomes(protocol, item, scale, **options):
    """Value and error of each metric; a value that is no number never gets through."""
    rows = evaluate(bench(protocol, **options), "data", item, scale)
    assert all((row.value is None) != (row.error is None) for row in rows)
    assert not any(row.value is not None and math.isnan(row.value) for row in rows)
    return {row.metric: (row.value, row.error) for row in rows}


@pytest.mark.parametrize(
    ("name", "side", "psnr", "ssim"),
    [
        ("liif-benchmark", 31, "30x30 pixels are too small for a shave of 30", None),
        ("liif-benchmark", 61, "60x60 pixels are too small for a shave of 30", None),
        ("liif-benchmark", 90, "", ""),
        ("liif-div2k", 61, "60x60 pixels are too small for a shave of 36", None),
        ("liif-div2k", 90, "", ""),
        ("clit-ssim", 61, "60x60 pixels are too small for a shave of 36", ""),
        ("mmagic", 71, "60x60 pixels are too small for a shave of 30", None),
    ],
)
def test_an_image_hardly_larger_than_the_border_is_an_error_at_x30(name, side, psnr, ssim, photo):
    got = outcomes(load_protocol(name), photo(side, side), 30)
    for metric, words in {"psnr": psnr, "ssim": psnr if ssim is None else ssim}.items():
        value, error = got[metric]
        if words:
            assert words in error
            assert value is None
        else:
            assert error is None
            assert math.isfinite(value)


@pytest.mark.weights
def test_the_same_with_liif(photo, liif):
    item = photo(61, 70)
    case = make_case(BENCHMARK, item, 30.0)
    assert answer_case(liif, case).error is None  # it is the scoring that has nothing to see
    got = outcomes(BENCHMARK, item, 30.0, upsamplers=["liif-edsr"])
    assert all("60x60 pixels are too small for a shave of 30" in error for _, error in got.values())


def test_psnr_may_have_a_value_where_ssim_has_none(photo):
    got = outcomes(BENCHMARK.changed({"psnr.shave_extra": 10}), photo(90, 90), 30)
    assert math.isfinite(got["psnr"][0])
    assert got["ssim"][1] is None
    got = outcomes(BENCHMARK.changed({"ssim.shave_extra": 10}), photo(90, 90), 30)
    assert math.isfinite(got["psnr"][0])
    assert "10x10 pixels are too small for SSIM's 11x11 window" in got["ssim"][1]


def test_an_image_smaller_than_a_pixel_of_lr_is_an_error(photo):
    got = outcomes(BENCHMARK, photo(29, 40), 30)
    assert all("40x29 pixels is too small for scale x30" in error for _, error in got.values())


# What is done to SR


def test_sr_is_clamped_and_rounded_as_the_protocol_says():
    sr = torch.tensor([-0.3, 0.0, 0.4 / 255, 0.6 / 255, 100.49 / 255, 100.51 / 255, 1.0, 1.7])
    sr = sr.expand(3, 1, 8)
    plain = finish(sr, BENCHMARK).sr
    torch.testing.assert_close(plain, sr.clamp(0, 1), rtol=0, atol=0)
    levels = finish(sr, load_protocol("mmagic")).sr * 255
    expected = torch.tensor([0, 0, 0, 1, 100, 101, 255, 255]).float().expand(3, 1, 8)
    torch.testing.assert_close(levels, expected, rtol=0, atol=1e-4)


def test_rounding_shows_in_the_score(photo):
    item = photo(64, 64)
    case = make_case(BENCHMARK, item, 2.0)
    sr = case.hr + 0.3 / 255
    expected = -20 * math.log10(0.3 / 255 * 219.859 / 256)
    assert Psnr().score(case, finish(sr, BENCHMARK)) == pytest.approx(expected, abs=1e-4)
    rounded = replace(case, protocol=BENCHMARK.changed({"rounding": "uint8"}))
    assert Psnr().score(rounded, finish(sr, rounded.protocol)) == math.inf


class Roomy:
    """An upsampler that has room for what it holds only below some budget, and counts."""

    training_scales = None
    weights = None
    settings = {}  # noqa: RUF012 - a plug-in may be written so
    name = "roomy"

    def __init__(self, memory, most, error, asked):
        self.memory, self.most, self.error, self.asked = memory, most, error, asked

    def encode(self, lr):
        self.asked.append(self.memory)
        if self.memory > self.most:
            raise self.error
        return self

    def render(self, size, window=None):
        return torch.full((3, *size), 0.5)


def tight(most, error):
    """A bench with 512 MiB whose model raises above `most` bytes, and what it was asked with."""
    asked = []

    def make(place, memory):
        assert place == 0
        return Roomy(memory, most, error, asked)

    roomy = make(0, 512 << 20)
    return replace(bench(BENCHMARK), upsamplers=(roomy,), leaner=make, memory=512 << 20), asked


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_where_memory_runs_out_half_of_it_is_tried_and_half_of_that(photo, error):
    small, asked = tight(128 << 20, error)
    rows = evaluate(small, "photos", photo(48, 64), 2.0)
    assert asked == [512 << 20, 256 << 20, 128 << 20]
    assert all(row.error is None for row in rows)


def test_where_there_is_never_room_the_case_is_an_error_and_the_run_goes_on(photo):
    small, asked = tight(0, MemoryError("no room"))
    rows = evaluate(small, "photos", photo(48, 64), 2.0)
    assert asked == [512 << 20, 256 << 20, 128 << 20, 64 << 20]
    assert {row.error for row in rows} == {"MemoryError: no room"}


def test_another_error_is_not_tried_again(photo):
    small, asked = tight(0, RuntimeError("something else"))
    rows = evaluate(small, "photos", photo(48, 64), 2.0)
    assert asked == [512 << 20]
    assert {row.error for row in rows} == {"RuntimeError: something else"}


# Memory that runs out beside the upsamplers; only a GPU that is nearly full would do it for real


def no_room(*_):
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def test_memory_that_runs_out_while_sr_is_clamped_is_the_upsamplers(photo, monkeypatch):
    case = make_case(load_protocol("liif-div2k"), photo(60, 70), 2)
    monkeypatch.setattr(evaluate_module, "as_scored", no_room)
    answer = answer_case(load_upsampler("bicubic", Options()), case)
    assert answer.too_large
    assert "out of memory" in answer.error


@pytest.mark.parametrize("step", ["most_detailed", "enlarged", "_part"])
def test_a_crop_that_there_is_no_room_for_is_left_out(step, photo, monkeypatch):
    case = make_case(load_protocol("liif-div2k"), photo(60, 70), 2)
    output = answer_case(load_upsampler("bicubic", Options()), case).output
    monkeypatch.setattr(examples, step, no_room)
    cutter = examples.Cutter()
    cutter.keep(case, "bicubic", output)
    assert [picture.model for picture in cutter.pictures] == (
        ["HR", "LR"] if step == "_part" else []
    )
