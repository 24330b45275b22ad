import os
import pickle
from pathlib import Path
from typing import Any

import lpips
import numpy as np
import pytest
import safetensors.torch
import timm
import torch
import torchvision
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.weights.fetch import ensure
from liif_bench.weights.readers import (
    efficientnet_lite_state,
    load,
    lpips_heads,
    lpips_trunk,
    read_numpy_pickle,
    read_safetensors,
    read_torch,
)

DATA = os.environ.get("LIIF_BENCH_DATA")


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *args: Any) -> None:
        self.call = function, args

    def __reduce__(self) -> Any:
        return self.call


def one_line(error: pytest.ExceptionInfo[LiifBenchError], path: Path) -> str:
    message = str(error.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def pickled(path: Path, content: object, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


# --- numpy pickles ------------------------------------------------------------------------------

ARRAYS = {
    "c": np.arange(6, dtype="f4").reshape(2, 3),
    "fortran": np.asfortranarray(np.arange(6, dtype="f8").reshape(2, 3)),
    "big endian": np.arange(3, dtype=">i4"),
    "bytes": np.arange(3, dtype="u1"),
    "flags": np.array([True, False]),
    "scalar": np.array(2.5, "f2"),
    "empty": np.empty((0, 4), "f4"),
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_come_back_as_they_were(name: str, protocol: int, tmp_path: Path) -> None:
    array = ARRAYS[name]
    read = read_numpy_pickle(pickled(tmp_path / "x", {"a": {"b": array}}, protocol))["a"]["b"]
    np.testing.assert_array_equal(read, array)
    assert read.shape == array.shape
    assert read.dtype == array.dtype.newbyteorder("=")
    assert read.flags.writeable


def test_the_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    content = pickle.dumps({"a": np.arange(3)}, protocol=3)
    new, old = b"numpy._core.multiarray", b"numpy.core.multiarray"
    path = tmp_path / "x"
    for name in (new, old):
        path.write_bytes(content.replace(new, name).replace(old, name))
        assert read_numpy_pickle(path)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"a": Call(os.system, "touch BROKEN")}, f"{os.name}.system"),
        ({"a": Call(eval, "open('BROKEN', 'w')")}, "builtins.eval"),
        ({"a": Call(getattr, 1, "real")}, "builtins.getattr"),
        ({"a": Call(np.load, "x.npy")}, "numpy.load"),
        ({"a": Call(np.ndarray, (1,), "O", b"\x01" * 8)}, "not callable"),
        ({"a": Path("x")}, "pathlib"),
        ({"a": np.array([{}])}, "type 'O8'"),
        ({"a": np.array(["text"])}, "type 'U4'"),
        ({"a": np.zeros(1, [("x", "f4")])}, "type 'V4'"),
        ({"a": [1, 2]}, "holds a list"),
        ({"a": "text"}, "holds a str"),
        ([np.zeros(3)], "holds a list"),
        (np.zeros(3), "not a dict"),
    ],
)
def test_anything_but_arrays_is_refused(
    content: object, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = pickled(tmp_path / "x", content)
    with pytest.raises(LiifBenchError) as caught:
        read_numpy_pickle(path)
    assert named in one_line(caught, path)
    assert not Path("BROKEN").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        pickle.dumps({"a": np.arange(100)}, protocol=4)[:-50],
        pickle.dumps({"a": np.arange(100)}, protocol=4).replace(b"Kd\x85", b"Ke\x85"),
        b"\x80\x04}\x94(K\x01h\x00u.",  # a dict that holds itself
        b"\x80\x04Bx\xff\xff\xff.",  # announces four gigabytes
        b"}(X\x01\x00\x00\x00acnumpy.core.multiarray\n_reconstruct\n)Ru.",  # no content
    ],
)
def test_damaged_pickles_are_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(LiifBenchError) as caught:
        read_numpy_pickle(path)
    one_line(caught, path)


# --- torch and safetensors ----------------------------------------------------------------------


def test_torch_files(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"sd": {"w": torch.arange(3)}, "epoch": 7}, path)
    content = read_torch(path)
    assert content["epoch"] == 7
    assert content["sd"]["w"].tolist() == [0, 1, 2]


def test_torch_files_that_run_code_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x.pth"
    torch.save({"a": Call(os.system, "touch BROKEN")}, path)
    with pytest.raises(LiifBenchError) as caught:
        read_torch(path)
    assert f"{os.name}.system" in one_line(caught, path)
    assert not Path("BROKEN").exists()


def test_safetensors_files(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"w": torch.arange(3)}, path)
    assert read_safetensors(path)["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("reader", [read_torch, read_safetensors, read_numpy_pickle])
def test_files_that_are_cut_short_or_absent_are_refused(reader: Any, tmp_path: Path) -> None:
    path = tmp_path / "x"
    with pytest.raises(LiifBenchError) as caught:
        reader(path)
    one_line(caught, path)
    torch.save({"w": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(LiifBenchError) as caught:
        reader(path)
    one_line(caught, path)


# --- keys of models -----------------------------------------------------------------------------


@pytest.mark.parametrize("reader", [lpips_trunk, lpips_heads])
def test_a_pickle_of_another_model_is_refused(reader: Any, tmp_path: Path) -> None:
    path = pickled(tmp_path / "x", {"AlexNet": {"Conv_0": {"kernel": np.zeros((1, 1, 1, 1))}}})
    with pytest.raises(LiifBenchError) as caught:
        reader(path)
    one_line(caught, path)


def test_a_trunk_that_lacks_a_layer_is_refused(tmp_path: Path) -> None:
    conv = {"kernel": np.zeros((1, 1, 1, 1)), "bias": np.zeros(1)}
    path = pickled(tmp_path / "x", {"AlexNet_0": {f"Conv_{i}": conv for i in range(4)}})
    with pytest.raises(LiifBenchError, match="it lacks AlexNet_0/Conv_4/kernel"):
        lpips_trunk(path)


def test_a_kernel_of_another_rank_is_refused(tmp_path: Path) -> None:
    conv = {"kernel": np.zeros((3, 3))}
    path = pickled(tmp_path / "x", {"NetLinLayer_0": {"Conv_0": conv}})
    with pytest.raises(LiifBenchError, match=r"NetLinLayer_0/Conv_0/kernel has shape \(3, 3\)"):
        lpips_heads(path)


@pytest.mark.weights
@pytest.mark.parametrize(
    ("weights_id", "network"),
    [("lpips-alex", torchvision.models.alexnet), ("lpips-vgg", torchvision.models.vgg16)],
)
def test_trunks_fit_torchvision(weights_id: str, network: Any) -> None:
    network().features.load_state_dict(lpips_trunk(ensure(weights_id)), strict=True)


@pytest.mark.weights
@pytest.mark.parametrize("net", ["alex", "vgg"])
def test_heads_are_those_of_the_lpips_package(net: str) -> None:
    package = Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    theirs = torch.load(package, map_location="cpu", weights_only=True)
    heads = lpips_heads(ensure(f"lpips-{net}"))
    assert len(heads) == len(theirs) == 5
    for i, head in enumerate(heads):
        assert torch.equal(head, theirs[f"lin{i}.model.1.weight"])


@pytest.mark.data
@pytest.mark.weights
@pytest.mark.filterwarnings("ignore::UserWarning:torchvision")
@pytest.mark.skipif(not DATA, reason="LIIF_BENCH_DATA names no folder with the reference images")
@pytest.mark.parametrize(("other", "distance"), [("ex_p0", 0.72188), ("ex_p1", 0.13757)])
def test_the_published_distances_come_out(other: str, distance: float) -> None:
    metric = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    trunk = lpips_trunk(ensure("lpips-alex"))
    ours = {name: trunk[name.split(".", 1)[1]] for name in metric.net.state_dict()}
    metric.net.load_state_dict(ours, strict=True)
    images = [Path(DATA or "", "lpips", f"{name}.png") for name in ("ex_ref", other)]
    tensors = [lpips.im2tensor(np.asarray(Image.open(path))) for path in images]
    with torch.inference_mode():
        assert metric(*tensors).item() == pytest.approx(distance, abs=1e-4)


def lite_names(model: torch.nn.Module) -> list[str]:
    """Names in the manner of the published files for a timm model's tensors."""
    layers = {"conv_pwl": "_project_conv", "conv_pw": "_expand_conv", "conv_dw": "_depthwise_conv"}
    blocks: list[str] = []
    names = []
    for name in model.state_dict():
        *place, layer, leaf = name.split(".")
        block = ".".join(place)
        if block not in blocks:
            blocks.append(block)
        layer = layers.get(layer, "_fc" if layer == "classifier" else f"_{layer}")
        if block == "blocks.0.0" and layer == "_expand_conv":
            layer = "_project_conv"
        prefix = f"_blocks.{blocks.index(block) - 1}." if block else ""
        names.append(f"{prefix}{layer}.{leaf}")
    return names


@pytest.fixture(scope="module")
def lite0() -> Any:
    return timm.create_model("tf_efficientnet_lite0")


def test_a_lite_state_is_renamed_by_position(lite0: Any, tmp_path: Path) -> None:
    values = lite0.state_dict()
    torch.save(dict(zip(lite_names(lite0), values.values(), strict=True)), tmp_path / "x")
    state = efficientnet_lite_state(tmp_path / "x", lite0)
    assert list(state) == list(values)
    assert all(torch.equal(state[name], values[name]) for name in values)


def swapped(names: list[str], values: list[Any], a: str, b: str) -> dict[str, Any]:
    """The state with two of its names exchanged."""
    names = [{a: b, b: a}.get(name, name) for name in names]
    return dict(zip(names, values, strict=True))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("_bn1.running_mean", "_bn1.running_var"),
        ("_blocks.2._bn1.weight", "_blocks.2._bn1.bias"),
        ("_conv_stem.weight", "_conv_head.weight"),
        ("_blocks.1._depthwise_conv.weight", "_blocks.1._expand_conv.weight"),
        ("_blocks.6._bn1.weight", "_blocks.7._bn1.weight"),
    ],
)
def test_a_lite_state_in_another_order_is_refused(
    first: str, second: str, lite0: Any, tmp_path: Path
) -> None:
    names, values = lite_names(lite0), list(lite0.state_dict().values())
    assert {first, second} <= set(names)
    torch.save(swapped(names, values, first, second), tmp_path / "x")
    with pytest.raises(LiifBenchError, match="stands where the model has") as caught:
        efficientnet_lite_state(tmp_path / "x", lite0)
    one_line(caught, tmp_path / "x")


def test_a_lite_state_of_another_kind_is_refused(lite0: Any, tmp_path: Path) -> None:
    names, values = lite_names(lite0), list(lite0.state_dict().values())
    for content, why in [
        (values, "no state dict"),
        ({"a": torch.zeros(1)}, "1 tensors"),
        (dict.fromkeys(names, torch.zeros(7)), r"\(7,\) stands where"),
        (dict.fromkeys(names, 7), r"\(\) stands where"),
        (dict(zip(range(len(names)), values, strict=True)), "0 .* stands where"),
    ]:
        torch.save(content, tmp_path / "x")
        with pytest.raises(LiifBenchError, match=why):
            efficientnet_lite_state(tmp_path / "x", lite0)


@pytest.mark.weights
@pytest.mark.parametrize("size", [0, 1, 2])
def test_lite_files_fit_timm(size: int) -> None:
    model = timm.create_model(f"tf_efficientnet_lite{size}")
    state = efficientnet_lite_state(ensure(f"efficientnet-lite{size}"), model)
    model.load_state_dict(state, strict=True)


@pytest.mark.weights
def test_a_lite_file_does_not_fit_another_size() -> None:
    other = timm.create_model("tf_efficientnet_lite2")
    with pytest.raises(LiifBenchError):
        efficientnet_lite_state(ensure("efficientnet-lite1"), other)


# --- load ---------------------------------------------------------------------------------------


@pytest.mark.weights
def test_load_reads_each_kind() -> None:
    assert load("liif-edsr")["epoch"] == 1000
    assert set(load("lpips-alex")) >= {"AlexNet_0", "NetLinLayer_4"}
    assert set(load("dists")) == {"alpha", "beta"}


def test_ncnn_files_are_not_for_reading_here() -> None:
    with pytest.raises(LiifBenchError, match="take its path from `ensure`"):
        load("srmdnf-x2.bin")
