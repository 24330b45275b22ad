import hashlib
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import answer_case, make_case
from liif_bench.metrics.distortion import Psnr
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import UPSAMPLERS, load_upsampler, ncnn_trial
from liif_bench.upsamplers.base import Options, pixel_window

PROTOCOL = load_protocol("liif-benchmark")


@pytest.fixture(scope="module")
def srmdnf(weights):
    for weights_id in UPSAMPLERS.entries()["srmdnf"].weights:
        weights(weights_id)
    return load_upsampler("srmdnf")


@pytest.fixture(scope="module")
def realesrgan(weights):
    for weights_id in UPSAMPLERS.entries()["realesrgan-x4plus"].weights:
        weights(weights_id)
    return load_upsampler("realesrgan-x4plus")


def psnr_on_set5(folder, upsampler, scale, names=None):
    measured = {}
    for item in load_dataset(f"paired:{folder / 'Set5'}").items:
        if names is None or item.name in names:
            case = make_case(PROTOCOL, item, float(scale))
            assert case.lr_source == "given"
            measured[item.name] = Psnr().score(case, answer_case(upsampler, case).output)
    return measured


# Against figures that others measured with the same weights


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(("scale", "expected"), [(2, 37.699), (3, 34.077), (4, 31.927)])
def test_srmdnf_on_set5(reference_data, srmdnf, scale, expected):
    measured = psnr_on_set5(reference_data, srmdnf, scale)
    assert sum(measured.values()) / len(measured) == pytest.approx(expected, abs=0.01)


REALESRGAN_SET5 = {
    "baby": 25.901,
    "bird": 28.859,
    "butterfly": 22.436,
    "head": 29.639,
    "woman": 26.335,
}


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.parametrize(
    "names",
    [
        {"butterfly"},
        pytest.param(set(REALESRGAN_SET5), marks=pytest.mark.slow),
    ],
)
def test_realesrgan_on_set5(reference_data, realesrgan, names):
    measured = psnr_on_set5(reference_data, realesrgan, 4, names)
    expected = {name: REALESRGAN_SET5[name] for name in names}
    assert measured == pytest.approx(expected, abs=0.01)


# How the registered networks are run


def whole(upsampler, scale):
    """A network of an upsampler, run by itself without tiles."""
    return next(each for each in upsampler.networks if each.scale == scale).run


@pytest.mark.weights
@pytest.mark.parametrize("scale", [2, 3, 4])
def test_tiles_of_srmdnf_equal_the_whole(srmdnf, scale):
    torch.manual_seed(scale)
    lr = torch.rand(3, 83, 71)
    expected = whole(srmdnf, scale)(lr).clamp(0, 1)
    small = load_upsampler("srmdnf", Options(memory=64 << 20))
    assert small.networks[0].tiling.longest < 40
    for upsampler in (small, srmdnf):
        got = upsampler.encode(lr).render((83 * scale, 71 * scale))
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    assert small.settings == srmdnf.settings


@pytest.mark.weights
def test_srmdnf_sees_as_far_as_it_says(srmdnf):
    network = next(each for each in srmdnf.networks if each.scale == 2)
    reach = network.tiling.overlap
    lr = torch.zeros(3, 2 * reach + 9, 3)
    changed = lr.clone()
    changed[:, 0] = 1
    moved = (network.run(changed) - network.run(lr)).abs().amax(dim=(0, 2))
    assert moved[2 * reach : 2 * reach + 2].max() > 0
    assert moved[2 * reach + 2 :].max() == 0


@pytest.mark.weights
def test_realesrgan_cuts_large_images_and_no_small_ones(realesrgan):
    (network,) = realesrgan.networks
    assert network.tiling.cuts(128) == [0, 128]  # as large as LR of Set5 at x4
    small = load_upsampler("realesrgan-x4plus", Options(memory=64 << 20))
    assert small.networks[0].tiling == network.tiling  # which changes numbers
    assert realesrgan.settings["tile"] == str(network.tiling.longest)
    assert realesrgan.settings["overlap"] == str(network.tiling.overlap)


@pytest.mark.weights
def test_a_window_of_realesrgan_equals_the_crop_of_the_whole(realesrgan):
    torch.manual_seed(0)
    image = realesrgan.encode(torch.rand(3, 20, 24))
    for size in ((80, 96), (150, 180)):
        part = image.render((30, 20), pixel_window(size, 17, 41, 30, 20))
        crop = image.render(size)[:, 17:47, 41:61]
        torch.testing.assert_close(part, crop, rtol=0, atol=1e-6)


@pytest.mark.weights
def test_the_number_of_threads_changes_nothing():
    torch.manual_seed(0)
    lr = torch.rand(3, 40, 40)
    before = torch.get_num_threads()
    outputs = []
    try:
        for threads in (1, 2, 2):
            torch.set_num_threads(threads)
            for name, size in (("srmdnf", (120, 120)), ("realesrgan-x4plus", (160, 160))):
                outputs.append(load_upsampler(name).encode(lr).render(size))
    finally:
        torch.set_num_threads(before)
    for first, again in zip(outputs, outputs[2:], strict=False):
        torch.testing.assert_close(again, first, rtol=0, atol=0)


@pytest.mark.weights
def test_what_the_registered_networks_say_of_themselves(weights, srmdnf, realesrgan):
    assert srmdnf.name == "srmdnf+bicubic"
    assert srmdnf.training_scales == ((2, 2), (3, 3), (4, 4))
    assert realesrgan.name == "realesrgan-x4plus+bicubic"
    assert load_upsampler("realesrgan-x4plus:passes=2").name == "realesrgan-x4plus^2+bicubic"
    ids = UPSAMPLERS.entries()["realesrgan-x4plus"].weights
    content = b"".join(weights(weights_id).read_bytes() for weights_id in ids)
    assert realesrgan.weights.id == "realesrgan-x4plus"
    assert realesrgan.weights.sha256 == hashlib.sha256(content).hexdigest()
    fast = load_upsampler("srmdnf", Options(precision="bfloat16"))
    assert fast.settings["precision"] == "float32"
    assert fast.settings["device"] == "cpu"


@pytest.mark.weights
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("srmdnf:passes=0", "whole number from 1 to 8"),
        ("srmdnf:tile=64", "unknown option 'tile'"),
        ("srmdnf:models", "write srmdnf:passes=N"),
    ],
)
def test_options_that_a_registered_network_does_not_have(spec, message):
    with pytest.raises(LiifBenchError, match=message):
        load_upsampler(spec)


@pytest.mark.slow
@pytest.mark.weights
def test_peak_memory_keeps_to_the_budget(srmdnf):
    """A process of its own, whose peak beyond LR and output is that of the upsampler."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True
    )
    assert float(done.stdout) <= 256, done.stdout


MEASURE = """
import resource
import torch
from liif_bench.upsamplers import load_upsampler, ncnn_trial
from liif_bench.upsamplers.base import Options

upsampler = load_upsampler("srmdnf", Options(memory=256 << 20))
upsampler.encode(torch.rand(3, 24, 24)).render((96, 96))  # libraries' own buffers
lr = torch.rand(3, 448, 448)
ready = torch.ones(3, 1792, 1792)
del ready  # what the output takes

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

before = peak()
upsampler.encode(lr).render((1792, 1792))
print(peak() - before)
"""


# Files of a user

# What Winograd's convolutions lose in float32 on sums of 27 terms (3e-6 seen).
WINOGRAD = 1e-5


class Files:
    """A convolution and a pixel shuffle as ncnn stores them, and as torch runs them."""

    def __init__(self, folder, scale=2, channels=3, out=3):
        generator = torch.Generator().manual_seed(5)
        made = out * scale**2
        self.scale = scale
        self.weight = torch.randn(made, channels, 3, 3, generator=generator) / 8
        self.bias = torch.rand(made, generator=generator)
        self.stem = folder / "my.net"
        self.param = folder / "my.net.param"
        self.bin = folder / "my.net.bin"
        self.text = (
            "7767517\n3 3\n"
            "Input in 0 1 picture\n"
            f"Convolution conv 1 1 picture mixed 0={made} 1=3 4=1 5=1 6={self.weight.numel()}\n"
            f"PixelShuffle shuffle 1 1 mixed large 0={scale}\n"
        )
        self.param.write_text(self.text)
        flag = np.zeros(1, np.uint32)  # raw float32 follows
        parts = (flag, self.weight.numpy(), self.bias.numpy())
        self.bin.write_bytes(b"".join(part.tobytes() for part in parts))

    def run(self, lr, peak=1.0):
        mixed = F.conv2d(lr[None] * peak, self.weight, self.bias, padding=1)
        return (F.pixel_shuffle(mixed, self.scale)[0] / peak).clamp(0, 1)


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.fixture
def lr():
    torch.manual_seed(0)
    return torch.rand(3, 19, 23)


@pytest.mark.parametrize(
    ("options", "peak"), [("", 1), ("&range=255", 255), ("&input=picture&output=large", 1)]
)
def test_a_users_network_equals_torch(files, lr, options, peak):
    upsampler = load_upsampler(f"ncnn:{files.param}?scale=2{options}")
    got = upsampler.encode(lr).render((38, 46))
    torch.testing.assert_close(got, files.run(lr, peak), rtol=0, atol=WINOGRAD)


def test_a_users_network_says_what_it_is(files):
    upsampler = load_upsampler(f"ncnn:{files.stem}?scale=2&tile=32&overlap=4&passes=3&range=255")
    assert upsampler.name == "ncnn:my.net^3+bicubic"
    assert upsampler.training_scales == ((2, 2),)
    assert upsampler.weights.id == str(files.param)
    content = files.param.read_bytes() + files.bin.read_bytes()
    assert upsampler.weights.sha256 == hashlib.sha256(content).hexdigest()
    settings = dict(upsampler.settings)
    assert settings.pop("ncnn")
    assert settings == {
        "native_scales": "x2",
        "passes": "at most 3",
        "resampling": "bicubic (a = -1/2), antialiased, float32",
        "tile": "32",
        "overlap": "4",
        "input": "picture",
        "output": "large",
        "range": "0..255",
        "device": "cpu",
        "precision": "float32",
    }


def test_tiles_of_a_users_network(files, lr):
    tiled = load_upsampler(f"ncnn:{files.bin}?scale=2&tile=9&overlap=1").encode(lr)
    torch.testing.assert_close(tiled.render((38, 46)), files.run(lr), rtol=0, atol=WINOGRAD)


@pytest.mark.weights
def test_the_registered_files_are_a_users_files_too(weights, realesrgan):
    param, _ = (weights(f"realesrgan-x4plus.{kind}") for kind in ("param", "bin"))
    mine = load_upsampler(f"ncnn:{param}?scale=4")
    torch.manual_seed(0)
    lr = torch.rand(3, 16, 20)
    got, expected = (each.encode(lr).render((64, 80)) for each in (mine, realesrgan))
    torch.testing.assert_close(got, expected, rtol=0, atol=0)
    assert mine.settings["input"] == "data"


def refusal(spec):
    with pytest.raises(LiifBenchError) as caught:
        load_upsampler(spec)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("", "needs its scale: write ncnn:"),
        ("?tile=64", "needs its scale: write ncnn:"),
        ("?scale=4", "(3, 64, 64) of (3, 32, 32), where x4 would be (3, 128, 128)"),
        ("?scale=1", "whole number from 2 to 16"),
        ("?scale=2&output=mixed", "(12, 32, 32)"),
        ("?scale=2&input=data", "no blob 'data' for input: its inputs are picture, its outputs"),
        ("?scale=2&output=out", "no blob 'out' for output"),
        ("?scale=2&range=256", "range=256 is not possible: use 1 or 255"),
        ("?scale=2&precision=fp16", "unknown option 'precision'"),
    ],
)
def test_options_that_are_not_possible(files, options, message):
    assert message in refusal(f"ncnn:{files.stem}{options}")


def test_a_network_that_is_not_for_rgb_is_refused(tmp_path):
    files = Files(tmp_path, channels=1)
    assert "takes 1 channels at 'picture'" in refusal(f"ncnn:{files.param}?scale=2")
    files = Files(tmp_path, out=1)
    assert "(1, 64, 64)" in refusal(f"ncnn:{files.param}?scale=2")


def test_a_missing_half_is_named(files, tmp_path):
    assert f"'{tmp_path / 'gone.param'}' does not exist" in refusal(
        f"ncnn:{tmp_path / 'gone'}?scale=2"
    )
    files.bin.unlink()
    assert f"'{files.bin}' does not exist" in refusal(f"ncnn:{files.param}?scale=2")


def test_a_bin_that_is_cut_off_is_refused(files):
    files.bin.write_bytes(files.bin.read_bytes()[:100])
    assert "ncnn cannot load" in refusal(f"ncnn:{files.param}?scale=2")


def test_a_layer_that_ncnn_does_not_know_is_refused(files):
    files.param.write_text(files.text.replace("PixelShuffle", "PixelMagic"))
    assert "a layer that this ncnn does not know" in refusal(f"ncnn:{files.param}?scale=2")


@pytest.mark.parametrize(
    ("trial", "words"),
    [
        ("import os; os.kill(os.getpid(), 11)", "was ended by SIGSEGV on 32x32 pixels"),
        ("raise SystemExit(3)", "ended with exit status 3 on 32x32 pixels"),
        ("import time; time.sleep(60)", "took too long on 32x32 pixels"),
    ],
)
def test_a_network_that_ncnn_dies_of_is_refused_and_this_process_lives(
    files, tmp_path, monkeypatch, trial, words
):
    (tmp_path / "trial.py").write_text(trial)
    monkeypatch.setattr("liif_bench.upsamplers.ncnn._TRIAL", tmp_path / "trial.py")
    monkeypatch.setattr("liif_bench.upsamplers.ncnn._TRIAL_SECONDS", 2.0)
    assert words in refusal(f"ncnn:{files.param}?scale=2")


@pytest.mark.parametrize(
    ("output", "says"), [("large", "makes (3, 16, 16)"), ("nowhere", "makes nothing")]
)
def test_the_trial_runs_a_network_by_itself(files, output, says):
    """With the package ncnn, and not the module of that name beside the trial."""
    argv = [sys.executable, ncnn_trial.__file__, files.param, files.bin, "picture", output, "8"]
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True)
    assert done.stdout.strip() == says
