"""Networks for ncnn: SRMD without noise, Real-ESRGAN, and ``.param`` and ``.bin`` files of yours.

They run on the CPU in float32, whatever device and precision other networks are run with: ncnn is
used for what it gives the same everywhere. SRMD: arXiv 1712.06116; Real-ESRGAN: arXiv 2107.10833.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import ncnn
import numpy as np
import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.paths import user_path
from liif_bench.shipped import read_toml
from liif_bench.upsamplers.base import Options, Weights
from liif_bench.upsamplers.fixed import (
    TILE_OPTIONS,
    FixedScale,
    Tiling,
    describe_tiling,
    read_passes,
    read_tiling,
)
from liif_bench.upsamplers.ncnn_param import read_graph
from liif_bench.upsamplers.ncnn_trial import OFF
from liif_bench.upsamplers.options import choose, split_options, whole_number
from liif_bench.upsamplers.processes import describe_status, run_limited
from liif_bench.weights.fetch import ensure

NETWORKS_FILE = Path(__file__).with_name("ncnn.toml")

_TRIAL = Path(__file__).with_name("ncnn_trial.py")
_TRIAL_SECONDS = 120.0
_LARGEST_SCALE = 16
_PROBE = 32  # pixels per side of what a user's network is tried on
# A freed block serves a request of at least this share of its size: less memory is kept unused.
_REUSED_SHARE = 0.5


@dataclass(frozen=True)
class Face:
    """How a network takes and gives an image.

    Attributes:
        input: Name of the blob that is given.
        output: Name of the blob that is read.
        peak: The value of white.
        constants: Values of the channels behind R, G and B, each the same for every pixel.
        winograd: Whether convolutions may be Winograd's.
    """

    input: str
    output: str
    peak: float = 1.0
    constants: tuple[float, ...] = ()
    winograd: bool = True


class NcnnNetwork:
    """A network that ncnn runs.

    Args:
        label: For messages.
        param: Its graph.
        weights: Its ``.bin`` file.
        face: How it takes and gives an image.
        scale: Its native scale.
        tiling: How its input is cut.

    Raises:
        LiifBenchError: ncnn cannot load the files.
    """

    def __init__(
        self, label: str, param: Path, weights: Path, face: Face, scale: int, tiling: Tiling
    ) -> None:
        self.label = label
        self.face = face
        self.scale = scale
        self.tiling = tiling
        self._net = ncnn.Net()
        self._net.opt.num_threads = torch.get_num_threads()
        self._net.opt.use_winograd_convolution = face.winograd
        for option in OFF:
            if hasattr(self._net.opt, option):
                setattr(self._net.opt, option, False)
        if self._net.load_param(str(param)) or self._net.load_model(str(weights)):
            raise LiifBenchError(
                f"ncnn cannot load '{param}' with '{weights}': damaged, no pair, or a layer that"
                " this ncnn does not know"
            )
        # Its own pools, so that nothing stays allocated between two runs.
        self._blobs, self._workspace = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()
        for pool in (self._blobs, self._workspace):
            pool.set_size_compare_ratio(_REUSED_SHARE)

    def run(self, lr: Tensor) -> Tensor:
        """Enlarge; see `Network.run`.

        Raises:
            LiifBenchError: The network fails, or its output has another size.
        """
        height, width = lr.shape[1:]
        constants = lr.new_tensor(self.face.constants).view(-1, 1, 1).expand(-1, height, width)
        planes = torch.cat([lr * self.face.peak, constants]).contiguous().numpy()
        try:
            made = self._extract(planes)
        finally:
            self._blobs.clear()
            self._workspace.clear()
        expected = (3, height * self.scale, width * self.scale)
        if made.shape != expected:
            raise LiifBenchError(
                f"model '{self.label}' makes {made.shape} of {tuple(lr.shape)}, where x{self.scale}"
                f" would be {expected}: state the scale and the blobs that it has"
            )
        return torch.from_numpy(made).div_(self.face.peak)

    def _extract(self, planes: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        with self._net.create_extractor() as extractor:
            extractor.set_light_mode(True)
            extractor.set_blob_allocator(self._blobs)
            extractor.set_workspace_allocator(self._workspace)
            # A Mat of an array borrows its memory; the clone is ncnn's own.
            failed = extractor.input(self.face.input, ncnn.Mat(planes).clone())
            if not failed:
                failed, made = extractor.extract(self.face.output)
            if failed:
                raise LiifBenchError(
                    f"model '{self.label}': ncnn cannot make '{self.face.output}' of"
                    f" '{self.face.input}' (code {failed})"
                )
            return np.array(made, dtype=np.float32)


def _registered(name: str, options: Options, argument: str = "") -> FixedScale:
    """Load the networks of a name in `NETWORKS_FILE`."""
    given = _options_alone(name, argument)
    table = read_toml(NETWORKS_FILE)[name]
    face = Face(
        table["input"],
        table["output"],
        constants=tuple(table.get("constants", ())),
        winograd=table.get("winograd", True),
    )
    if "reach" in table:
        tiling = Tiling.exact(table["reach"], table["bytes_per_pixel"], options.memory)
        tiles = {"tile": "any, equal to the whole"}
    else:
        tiling = Tiling(table["tile"], table["overlap"])
        tiles = describe_tiling(tiling)
    networks, files = [], []
    for each in table["network"]:
        param, weights = (ensure(f"{each['weights']}.{kind}") for kind in ("param", "bin"))
        networks.append(NcnnNetwork(name, param, weights, face, each["scale"], tiling))
        files += [param, weights]
    return FixedScale(
        name,
        tuple(networks),
        Weights(name, file_sha256(*files)),
        options.memory,
        read_passes(given),
        _settings(tiles),
    )


srmdnf = partial(_registered, "srmdnf")
realesrgan_x4plus = partial(_registered, "realesrgan-x4plus")


def ncnn_files(options: Options, argument: str) -> FixedScale:
    """Load a network from a ``.param`` and a ``.bin`` file.

    Args:
        options: The budget of memory.
        argument: ``PATH?scale=N`` with the path of the ``.param`` file or of both without their
            suffix; further options: ``input``, ``output``, ``range``, ``tile``, ``overlap``,
            ``passes``.

    Raises:
        LiifBenchError: Files missing or damaged, an option that is not possible, a blob that the
            network does not have, or a network of another scale.
    """
    known = ("scale", "input", "output", "range", "passes", *TILE_OPTIONS)
    path, given = split_options(argument, known)
    param, weights = _pair(path)
    if "scale" not in given:
        raise LiifBenchError(f"model 'ncnn:{argument}' needs its scale: write ncnn:{path}?scale=N")
    scale = whole_number("scale", given["scale"], 2, _LARGEST_SCALE)
    graph = read_graph(param)
    face = Face(
        graph.choose("input", given.get("input", ""), graph.inputs[0]),
        graph.choose("output", given.get("output", ""), graph.outputs[-1]),
        peak=float(choose("range", given.get("range", "1"), ("1", "255"))),
    )
    channels = graph.channels(face.input)
    if channels not in (None, 3):
        raise LiifBenchError(
            f"'{param}' takes {channels} channels at '{face.input}': only RGB networks can be run"
        )
    tiling = read_tiling(given)
    label = f"ncnn:{param.stem}"
    _try_out(param, weights, face)
    network = NcnnNetwork(label, param, weights, face, scale, tiling)
    network.run(torch.full((3, _PROBE, _PROBE), 0.5))
    settings = _settings(describe_tiling(tiling))
    settings |= {"input": face.input, "output": face.output, "range": f"0..{face.peak:g}"}
    return FixedScale(
        label,
        (network,),
        Weights(str(param), file_sha256(param, weights)),
        options.memory,
        read_passes(given),
        settings,
    )


def _try_out(param: Path, weights: Path, face: Face) -> None:
    """Run a network in a process of its own first: what ncnn dies of must not end this one.

    Raises:
        LiifBenchError: It died of it, or did not come to an end.
    """
    argv = [sys.executable, str(_TRIAL), str(param.absolute()), str(weights.absolute())]
    ended = run_limited([*argv, face.input, face.output, str(_PROBE)], _TRIAL_SECONDS)
    if ended.code != 0:
        how = "took too long" if ended.code is None else describe_status(ended.code)
        raise LiifBenchError(
            f"ncnn cannot run '{param}' with '{weights}' ({how} on {_PROBE}x{_PROBE} pixels):"
            " damaged, or no pair"
        )


def _settings(tiles: Mapping[str, str]) -> dict[str, str]:
    """Return what is true of every network here, with its tiles."""
    return {**tiles, "device": "cpu", "precision": "float32", "ncnn": metadata.version("ncnn")}


def _options_alone(name: str, argument: str) -> dict[str, str]:
    """Return the options of a model that has no path."""
    rest, given = split_options(f"?{argument}", ("passes",))
    if rest and argument:
        raise LiifBenchError(f"model '{name}:{argument}' is not possible: write {name}:passes=N")
    return given


def _pair(path: str) -> tuple[Path, Path]:
    """Return the ``.param`` and the ``.bin`` file that a path names."""
    named = user_path(path)
    stem = named.with_suffix("") if named.suffix in (".param", ".bin") else named
    pair = stem.with_name(f"{stem.name}.param"), stem.with_name(f"{stem.name}.bin")
    for file in pair:
        if not file.is_file():
            raise LiifBenchError(
                f"'{file}' does not exist: an ncnn network is a .param and a .bin file of one name"
            )
    return pair
