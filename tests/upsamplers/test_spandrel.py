import pickle
import random

import pytest
import torch
import torch.nn.functional as F
from oracles.ncnn_weights import rrdbnet

from liif_bench.errors import LiifBenchError
from liif_bench.images import read_rgb, to_tensor
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options

spandrel = pytest.importorskip("spandrel")


@pytest.fixture(scope="module")
def realesrgan(weights, tmp_path_factory):
    """Real-ESRGAN's official layout, made from ncnn's files by a reader of our tests."""
    param, values = (weights(f"realesrgan-x4plus.{kind}") for kind in ("param", "bin"))
    path = tmp_path_factory.mktemp("checkpoints") / "RealESRGAN_x4plus.pth"
    torch.save({"params_ema": rrdbnet(param, values)}, path)
    return path


@pytest.fixture(scope="module")
def lr():
    torch.manual_seed(0)
    return torch.rand(3, 21, 30)


def compact(path, scale=2, channels=3):
    """A small network of the Compact architecture with random weights, and its checkpoint."""
    from spandrel.architectures.Compact import Compact

    torch.manual_seed(scale)
    network = Compact(
        num_in_ch=channels, num_out_ch=channels, num_feat=8, num_conv=2, upscale=scale
    )
    torch.save({"params": network.state_dict()}, path)
    return network.eval()


# Two adapters, two implementations of the convolutions, two readers of the weights: one picture


@pytest.mark.data
@pytest.mark.weights
def test_spandrel_and_ncnn_give_the_same_picture(reference_data, realesrgan):
    photo = reference_data / "Set5" / "LR_bicubic" / "X4" / "butterflyx4.png"
    lr = to_tensor(read_rgb(photo))[:, 10:42, 8:56]
    ours = load_upsampler(f"spandrel:{realesrgan}").encode(lr).render((128, 192))
    ncnn = load_upsampler("realesrgan-x4plus").encode(lr).render((128, 192))
    # float32 through 351 convolutions, Winograd's in ncnn; 5e-6 seen, nearly all of it ncnn's
    torch.testing.assert_close(ours, ncnn, rtol=0, atol=2e-5)


@pytest.mark.weights
def test_what_a_checkpoint_says_of_itself(realesrgan):
    upsampler = load_upsampler(f"spandrel:{realesrgan}?tile=64&overlap=8&passes=2")
    assert upsampler.name == "spandrel:RealESRGAN_x4plus^2+bicubic"
    assert upsampler.training_scales == ((4, 4),)
    assert upsampler.weights.id == str(realesrgan)
    settings = upsampler.settings
    assert settings["architecture"] == "ESRGAN 64nf 23nb"
    assert settings["spandrel"] == spandrel.__version__
    assert (settings["tile"], settings["overlap"]) == ("64", "8")


@pytest.mark.weights
def test_bfloat16_stays_close(realesrgan, lr):
    exact, fast = (
        load_upsampler(f"spandrel:{realesrgan}", Options(precision=precision))
        for precision in ("float32", "bfloat16")
    )
    difference = exact.encode(lr).render((84, 120)) - fast.encode(lr).render((84, 120))
    assert 0 < difference.abs().mean() < 0.02


@pytest.mark.gpu
@pytest.mark.weights
def test_cuda_equals_the_cpu(realesrgan, lr):
    on_cpu, on_gpu = (
        load_upsampler(f"spandrel:{realesrgan}", Options(device=device))
        for device in ("cpu", "cuda")
    )
    difference = on_cpu.encode(lr).render((84, 120)) - on_gpu.encode(lr).render((84, 120))
    assert difference.abs().max() < 1e-4


# Other architectures


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_a_checkpoint_is_run_at_its_own_scale(tmp_path, lr, scale):
    network = compact(tmp_path / "mine.pth", scale)
    upsampler = load_upsampler(f"spandrel:{tmp_path / 'mine.pth'}")
    assert upsampler.training_scales == ((scale, scale),)
    with torch.inference_mode():
        expected = network(lr[None])[0].clamp(0, 1)
    got = upsampler.encode(lr).render((21 * scale, 30 * scale))
    torch.testing.assert_close(got, expected, rtol=0, atol=0)


def test_tiles_with_enough_overlap_change_nothing(tmp_path, lr):
    compact(tmp_path / "mine.pth")
    whole = load_upsampler(f"spandrel:{tmp_path / 'mine.pth'}").encode(lr)
    tiled = load_upsampler(f"spandrel:{tmp_path / 'mine.pth'}?tile=13&overlap=4").encode(lr)
    torch.testing.assert_close(tiled.render((50, 70)), whole.render((50, 70)), rtol=0, atol=1e-6)


def swin(path):
    """A small SwinIR with random weights; spandrel asks for at least 16 pixels a side."""
    from spandrel.architectures.SwinIR import SwinIR

    torch.manual_seed(0)
    network = SwinIR(
        img_size=16, window_size=8, embed_dim=12, depths=[2], num_heads=[2], mlp_ratio=2,
        upscale=2, upsampler="pixelshuffledirect",
    )  # fmt: skip
    torch.save(network.state_dict(), path)
    return network.eval()


@pytest.mark.parametrize("size", [(24, 32), (19, 30), (9, 40), (12, 10)])
def test_sizes_that_a_network_cannot_take_are_padded(tmp_path, size):
    network = swin(tmp_path / "swin.pth")
    lr = torch.rand(3, *size)
    missing = [max(0, 16 - side) for side in size]
    with torch.inference_mode():
        made = network(F.pad(lr[None], (0, missing[1], 0, missing[0]), "reflect"))[0]
    expected = made[:, : 2 * size[0], : 2 * size[1]].clamp(0, 1)
    got = load_upsampler(f"spandrel:{tmp_path / 'swin.pth'}").encode(lr)
    torch.testing.assert_close(got.render((2 * size[0], 2 * size[1])), expected, rtol=0, atol=1e-6)


def test_one_pixel_is_enough(tmp_path):
    swin(tmp_path / "swin.pth")
    image = load_upsampler(f"spandrel:{tmp_path / 'swin.pth'}").encode(torch.rand(3, 1, 1))
    assert torch.isfinite(image.render((2, 2))).all()


def test_safetensors_load_too(tmp_path, lr):
    from safetensors.torch import save_file

    network = compact(tmp_path / "mine.pth")
    save_file(network.state_dict(), tmp_path / "mine.safetensors")
    ours, theirs = (
        load_upsampler(f"spandrel:{tmp_path / name}").encode(lr).render((42, 60))
        for name in ("mine.pth", "mine.safetensors")
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


# What is refused


def refusal(spec, options=None):
    with pytest.raises(LiifBenchError) as caught:
        load_upsampler(spec, options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


class Harmful:
    """Would create a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt"])
def test_a_pickle_that_would_run_something_is_refused(tmp_path, legacy, suffix):
    path, trace = tmp_path / f"bad{suffix}", tmp_path / "trace"
    content = {"body.0.weight": Harmful(trace)}
    if legacy:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path)
    message = refusal(f"spandrel:{path}")
    assert "cannot read" in message
    assert str(path) in message
    assert not trace.exists()


def test_torchscript_is_refused(tmp_path):
    path = tmp_path / "script.pt"
    torch.jit.script(torch.nn.Conv2d(3, 12, 3)).save(path)
    assert "cannot read" in refusal(f"spandrel:{path}")


def test_what_is_no_checkpoint_is_refused(tmp_path):
    noise = tmp_path / "noise.pth"
    noise.write_bytes(random.Random(0).randbytes(5000))
    assert "cannot read" in refusal(f"spandrel:{noise}")
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds a list, not a state dict" in refusal(f"spandrel:{tmp_path / 'list.pth'}")
    torch.save({"encoder.a": torch.ones(2)}, tmp_path / "other.pth")
    assert "no architecture that spandrel" in refusal(f"spandrel:{tmp_path / 'other.pth'}")
    assert "'nowhere.pth' does not exist" in refusal("spandrel:nowhere.pth")
    (tmp_path / "model.onnx").write_bytes(b"x")
    assert "suffix '.onnx'" in refusal(f"spandrel:{tmp_path / 'model.onnx'}")


def test_shapes_that_do_not_fit_are_refused(tmp_path):
    network = compact(tmp_path / "mine.pth")
    state = network.state_dict()
    state["body.2.weight"] = torch.ones(5, 5)
    torch.save(state, tmp_path / "odd.pth")
    assert "spandrel cannot load" in refusal(f"spandrel:{tmp_path / 'odd.pth'}")


def test_what_is_no_rgb_super_resolution_is_refused(tmp_path):
    from spandrel.architectures.DnCNN import DnCNN

    compact(tmp_path / "grey.pth", channels=1)
    assert "maps 1 channels to 1" in refusal(f"spandrel:{tmp_path / 'grey.pth'}")
    torch.save(DnCNN(in_nc=3, out_nc=3, nc=8, act_mode="R").state_dict(), tmp_path / "denoise.pth")
    assert "for Restoration, not for super-resolution" in refusal(
        f"spandrel:{tmp_path / 'denoise.pth'}"
    )


def test_a_precision_that_cannot_be_had_is_refused(tmp_path):
    compact(tmp_path / "mine.pth")
    spec = f"spandrel:{tmp_path / 'mine.pth'}"
    assert "float16 needs a GPU" in refusal(spec, Options(precision="float16"))
    swin(tmp_path / "swin.pth")
    message = refusal(f"spandrel:{tmp_path / 'swin.pth'}", Options("cuda", "float16"))
    assert "SwinIR, which cannot run in float16" in message


def test_an_option_that_there_is_not_is_refused(tmp_path):
    compact(tmp_path / "mine.pth")
    assert "unknown option 'scale'" in refusal(f"spandrel:{tmp_path / 'mine.pth'}?scale=2")
    assert "leaves nothing" in refusal(f"spandrel:{tmp_path / 'mine.pth'}?tile=8")
