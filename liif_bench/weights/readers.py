"""Read weights files without running anything from them.

Every reader refuses whatever is not plain data and says so in one line.
"""

from __future__ import annotations

import io
import mmap
import pickle
import pickletools
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from liif_bench.errors import LiifBenchError, shorten
from liif_bench.weights.fetch import ensure
from liif_bench.weights.registry import lookup

# Where the convolutions of LPIPS's trunks lie in torchvision's `features`.
_TRUNKS = {
    "AlexNet_0": (0, 3, 6, 8, 10),
    "VGG16_0": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
_LPIPS_HEADS = 5
_LONGEST_GLOBAL = 1000  # characters of a name in a pickle
_OLD_PICKLES = 5  # magic number, protocol, system, content, keys of the numbers

# How the layers of the published EfficientNet-Lite files are called in timm.
_LITE_LAYERS = {
    "conv_stem": "conv_stem",
    "expand_conv": "conv_pw",
    "depthwise_conv": "conv_dw",
    "project_conv": "conv_pwl?",
    "conv_head": "conv_head",
    "bn": "bn",
    "fc": "classifier",
}


def read_torch(path: Path) -> Any:
    """Read a file of `torch.save`: tensors and plain containers only, onto the CPU."""
    try:
        _check_not_packed(path)
        _check_globals(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds, with pages of unsafe advice
        refused = re.search(r"GLOBAL ([\w.]+)", str(error))
        if refused:
            raise _refusal(path, f"it refers to {refused[1]}") from None
        unpickling = isinstance(error, pickle.UnpicklingError)
        raise _refusal(path, "it holds more than tensors" if unpickling else error) from None


def check_tensors(path: Path, state: Mapping[Any, Any]) -> None:
    """Check that a state dict holds plain numbers by name, each as many as the file brings.

    A tensor that repeats a few stored numbers may claim any size, and takes it once it is used.

    Args:
        path: The file, for the message.
        state: What was read of it.

    Raises:
        LiifBenchError: A name is no text, or a value no dense tensor of stored numbers.
    """
    for name, value in state.items():
        if not isinstance(name, str):
            raise _refusal(path, f"it names something {shorten(repr(name), 60)}")
        plain = isinstance(value, Tensor) and value.layout is torch.strided
        if not plain or value.is_quantized or value.device.type != "cpu":
            raise _refusal(path, f"'{shorten(name, 60)}' is no tensor")
        if value.untyped_storage().nbytes() < value.numel() * value.element_size():
            raise _refusal(path, f"'{shorten(name, 60)}' claims more numbers than are stored")


def _check_not_packed(path: Path) -> None:
    """Refuse what unpacks to more than it is: `torch.save` stores its members as they are."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as members:
            held = sum(member.file_size for member in members.infolist())
        if held > path.stat().st_size:
            raise ValueError(f"its members are packed, and {held} bytes large")


def _check_globals(path: Path) -> None:
    """Refuse names that nothing has: torch takes time with the square of their length to complain.

    Only the operations are looked at; nothing is built of them.
    """
    for stream in _pickles(path):
        for code, argument, _ in pickletools.genops(stream):
            if code.name == "GLOBAL" and len(str(argument)) > _LONGEST_GLOBAL:
                raise ValueError(f"it refers to something by {len(str(argument))} characters")


def _pickles(path: Path) -> Iterator[IO[bytes]]:
    """Yield what torch would unpickle of a file, each pickle once."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as members:
            for name in members.namelist():
                if name.endswith(".pkl"):
                    with members.open(name) as stream:
                        yield stream
    elif tarfile.is_tarfile(path):
        raise ValueError("it is a tar archive, as PyTorch wrote them before 0.2")
    elif path.stat().st_size:  # of PyTorch before 1.6: several pickles, the numbers behind them
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            for _ in range(_OLD_PICKLES):
                yield cast("IO[bytes]", content)


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file onto the CPU."""
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(path, device="cpu")
    except Exception as error:
        raise _refusal(path, error) from None
    return tensors


def read_numpy_pickle(path: Path) -> dict[str, Any]:
    """Read a pickle of nested dicts of numeric numpy arrays.

    No code that the pickle names is called, numpy's own included: the three globals of a pickled
    array stand for classes of this module, which are turned into arrays afterwards.

    Args:
        path: The file.

    Returns:
        The nested dict, its arrays writable.

    Raises:
        LiifBenchError: The file is damaged or holds anything else.
    """
    try:
        content = path.read_bytes()
        _check_memo(content)
        tree = _to_arrays(_ArrayUnpickler(io.BytesIO(content)).load(), {})
    except Exception as error:  # a damaged pickle raises anything at all
        raise _refusal(path, error) from None
    if not isinstance(tree, dict):
        raise _refusal(path, f"it holds a {type(tree).__name__}, not a dict")
    return tree


def _check_memo(content: bytes) -> None:
    """Refuse a pickle that numbers its parts beyond their count, for which Python takes room."""
    number: Any
    for code, number, _ in pickletools.genops(content):
        if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and number > len(content):
            raise pickle.UnpicklingError("it numbers parts that it does not have")


def lpips_trunk(path: Path) -> dict[str, Tensor]:
    """The convolutional trunk of an `lpips-alex` or `lpips-vgg` file.

    Args:
        path: The file, as `ensure` gives it.

    Returns:
        A state dict for the `features` of torchvision's `alexnet()` or `vgg16()`: `0.weight`
        (output channels, input channels, height, width), `0.bias`, and so on.

    Raises:
        LiifBenchError: The file is not one of these trunks.
    """
    tree = read_numpy_pickle(path)
    name = next((name for name in _TRUNKS if name in tree), None)
    if name is None:
        raise _refusal(path, f"it has none of {', '.join(_TRUNKS)}")
    state = {}
    for position, index in enumerate(_TRUNKS[name]):
        state[f"{index}.weight"] = _kernel(path, tree, name, f"Conv_{position}")
        state[f"{index}.bias"] = torch.from_numpy(_leaf(path, tree, name, f"Conv_{position}/bias"))
    return state


def lpips_heads(path: Path) -> list[Tensor]:
    """The five linear heads of an LPIPS file, each (1, channels, 1, 1), from shallow to deep.

    Args:
        path: The file, as `ensure` gives it.

    Returns:
        The weights of `lin0` to `lin4` of the `lpips` package.

    Raises:
        LiifBenchError: The file is not an LPIPS file.
    """
    tree = read_numpy_pickle(path)
    return [_kernel(path, tree, f"NetLinLayer_{i}", "Conv_0") for i in range(_LPIPS_HEADS)]


def efficientnet_lite_state(path: Path, model: nn.Module) -> dict[str, Tensor]:
    """The state of an EfficientNet-Lite file under the names of timm's model.

    The two have the same tensors in the same order. That is not taken on trust: the shape, the
    kind of layer, the tensor's own name and the block must agree at every position.

    Args:
        path: The file of `efficientnet-lite0`, `1` or `2`.
        model: timm's `tf_efficientnet_lite0`, `1` or `2`, with any weights.

    Returns:
        A state dict that `model.load_state_dict` takes.

    Raises:
        LiifBenchError: The file is not the one for this model.
    """
    state = read_torch(path)
    wanted = model.state_dict()
    if not isinstance(state, Mapping) or len(state) != len(wanted):
        count = f"{len(state)} tensors" if isinstance(state, Mapping) else "no state dict"
        raise _refusal(path, f"it holds {count}, the model has {len(wanted)}")
    blocks: dict[str, str] = {}
    for (theirs, tensor), (ours, like) in zip(state.items(), wanted.items(), strict=True):
        their_block, their_layer, their_leaf = _split_name(theirs, r"_blocks\.\d+\.")
        our_block, our_layer, our_leaf = _split_name(ours, r"blocks\.\d+\.\d+\.")
        shape = tuple(getattr(tensor, "shape", ()))
        if not (
            shape == tuple(like.shape)
            and their_leaf == our_leaf
            and re.fullmatch(_LITE_LAYERS.get(their_layer, "$^"), our_layer)
            and blocks.setdefault(their_block, our_block) == our_block
        ):
            raise _refusal(
                path, f"{theirs} {shape} stands where the model has {ours} {tuple(like.shape)}"
            )
    return dict(zip(wanted, state.values(), strict=True))


def load(weights_id: str, *, progress: bool = True) -> Any:
    """Ensure registered weights and read them.

    Args:
        weights_id: Id in the registry.
        progress: Whether to draw a progress bar if the file has to be fetched.

    Returns:
        What the reader of this kind of file returns.

    Raises:
        LiifBenchError: The weights are unknown, unavailable, damaged, or not for reading here.
    """
    kind = lookup(weights_id).reader
    if kind not in _READERS:
        raise LiifBenchError(f"{weights_id} is a file for {kind}: take its path from `ensure`")
    return _READERS[kind](ensure(weights_id, progress=progress))


_READERS: dict[str, Callable[[Path], Any]] = {
    "torch": read_torch,
    "numpy-pickle": read_numpy_pickle,
}


class _Dtype:
    """Stands for `numpy.dtype` in a pickle: a numeric type code and a byte order."""

    def __init__(self, code: str, *_copy_and_align: object) -> None:
        if not re.fullmatch(r"[biuf][1248]", code):
            raise pickle.UnpicklingError(f"it holds an array of type {code!r}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">", "|": "|", "=": "="}[state[1]]


class _Array:
    """Stands for an array in a pickle: `_reconstruct` makes it, its state fills it."""

    def __init__(self, *_ignored: object) -> None:
        self.value: np.ndarray[Any, Any] | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, data = state
        flat = np.frombuffer(data, np.dtype(dtype.order + dtype.code))
        self.value = flat.reshape(shape, order="F" if fortran else "C").astype(dtype.code)


class _ArrayUnpickler(pickle.Unpickler):
    """Knows the globals of a pickled array, and gives its own stand-ins for them."""

    def find_class(self, module: str, name: str) -> Any:
        match module, name:
            case (("numpy.core.multiarray" | "numpy._core.multiarray"), "_reconstruct"):
                return _Array
            case "numpy", "ndarray":
                return "numpy.ndarray"
            case "numpy", "dtype":
                return _Dtype
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")


def _to_arrays(node: Any, done: dict[int, Any]) -> Any:
    """Replace the stand-ins by what they hold; nothing but dicts and arrays passes.

    Args:
        node: Any part of what was read.
        done: What became of dicts, by id: one that stands in many places is looked at once.
    """
    if isinstance(node, _Array) and node.value is not None:
        return node.value
    if isinstance(node, dict):
        if id(node) not in done:
            done[id(node)] = {key: _to_arrays(value, done) for key, value in node.items()}
        return done[id(node)]
    raise pickle.UnpicklingError(f"it holds a {type(node).__name__}")


def _kernel(path: Path, tree: dict[str, Any], *names: str) -> Tensor:
    """A kernel of a JAX convolution (H, W, in, out) as PyTorch has it (out, in, H, W)."""
    kernel = torch.from_numpy(_leaf(path, tree, *names, "kernel"))
    if kernel.ndim != 4:
        raise _refusal(path, f"{'/'.join(names)}/kernel has shape {tuple(kernel.shape)}")
    return kernel.permute(3, 2, 0, 1).contiguous()


def _leaf(path: Path, tree: Any, *names: str) -> np.ndarray[Any, Any]:
    """The array at the end of a path of keys."""
    keys = "/".join(names)
    for key in keys.split("/"):
        tree = tree.get(key) if isinstance(tree, dict) else None
    if not isinstance(tree, np.ndarray):
        raise _refusal(path, f"it lacks {keys}")
    return tree


def _split_name(name: object, block: str) -> tuple[str, str, str]:
    """Block, layer (without its number) and tensor of a name in a state dict."""
    match = re.fullmatch(rf"({block})?_?(\w+?)\d*\.(\w+)", str(name))
    return (match[1] or "", match[2], match[3]) if match else ("", str(name), "")


def _refusal(path: Path, why: object) -> LiifBenchError:
    """The one-line error for a file that is not what it should be."""
    line = (str(why).splitlines() or [""])[0] or type(why).__name__
    return LiifBenchError(f"cannot read {path}: {line}: damaged, or not a file for this reader")
