"""The numbers of independent implementations, carried in `golden.json`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from liif_bench.datasets import load_dataset
from liif_bench.evaluate import answer_case, make_case
from liif_bench.metrics import load_metric
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())["images"]
ITEMS = {item.hr_path.name: item for item in load_dataset("sample").items}

LUMA = load_protocol("liif-benchmark")
RGB = load_protocol("liif-div2k")
WHOLE = RGB.changed(
    {f"{m}.{s}": 0 for m in ("psnr", "ssim") for s in ("shave_scale", "shave_extra")}
)

# key in golden.json: protocol, metric, tolerance
EXPECTED = {
    "psnr_y_shave_s": (LUMA, "psnr", 0.001),
    "psnr_rgb_shave_s6": (RGB, "psnr", 0.001),
    "psnr_rgb": (WHOLE, "psnr", 0.001),
    "ssim_rgb_valid": (WHOLE, "ssim", 1e-4),
    "ssim_y_shave_s_valid": (LUMA, "ssim", 1e-4),
    "lpips_alex": (RGB, "lpips", 1e-4),
}


@pytest.mark.weights
@pytest.mark.parametrize("upsampler", ["liif-edsr", "bicubic"])
@pytest.mark.parametrize("scale", ["2", "4", "8", "30"])
@pytest.mark.parametrize("name", list(GOLDEN))
def test_golden(name, scale, upsampler, weights):
    weights("lpips-alex")
    weights("liif-edsr")
    case = make_case(RGB, ITEMS[name], float(scale))
    golden = GOLDEN[name][scale]
    assert [case.lr.shape[2], case.lr.shape[1]] == golden["lr_size"]
    output = answer_case(load_upsampler(upsampler, Options()), case).output
    expected = golden["bicubic-pil-uint8" if upsampler == "bicubic" else upsampler]
    assert set(EXPECTED) == set(expected)
    for key, (protocol, metric, tolerance) in EXPECTED.items():
        scored = replace(case, protocol=protocol)
        value = load_metric(metric).score(scored, output)
        assert value == pytest.approx(expected[key], abs=tolerance), key
