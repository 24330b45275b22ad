"""Networks of one scale, or a few, as images of any size: the network first, then bicubic.

A network of native scale s enlarges LR by s; what it gives is resampled to the size asked for. At
the native size it is returned untouched. The rule is part of the upsampler's name, as in
``realesrgan-x4plus+bicubic``. Only native scales are in distribution.

The network's output is made tile by tile when it is first needed, and held within the budget of
memory. Tiles overlap by what the network sees; whether that is all of it, and tiling exact, is for
each network to say.
"""

from __future__ import annotations

import itertools
import math
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import torch
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import FULL, TrainingScales, Weights, Window, check_lr
from liif_bench.upsamplers.bicubic import Pixels, resample_bicubic
from liif_bench.upsamplers.options import whole_number

TILE_OPTIONS = ("tile", "overlap")
MOST_PASSES = 8

_SHARE_OF_TILE = 0.3  # of the budget of memory, for the network at work on one tile
_SHARE_OF_HELD = 0.3  # for finished tiles
_LARGEST_TILE = 1 << 16
_DEFAULT_OVERLAP = 16
# Sizes are whole and windows are fractions: a scale that differs by less is the same.
_SAME = 1e-6


@dataclass(frozen=True)
class Tiling:
    """How an image is cut for a network.

    Attributes:
        longest: Longest side that the network is given, in pixels of its input; None for any.
        overlap: How many pixels a tile shares with its neighbour, on each side.
    """

    longest: int | None = None
    overlap: int = 0

    @classmethod
    def exact(cls, reach: int, bytes_per_pixel: int, memory: int) -> Tiling:
        """Return tiles within a budget of memory that equal that part of the whole.

        Args:
            reach: How many input pixels away an output pixel still answers to.
            bytes_per_pixel: What the network holds per input pixel.
            memory: The budget in bytes.
        """
        side = math.isqrt(int(_SHARE_OF_TILE * memory / bytes_per_pixel))
        return cls(max(side, 2 * reach + 1), reach)

    def cuts(self, length: int) -> list[int]:
        """Return where the tiles of an axis begin, without their overlap, and its end."""
        if self.longest is None or length <= self.longest:
            return [0, length]
        count = math.ceil(length / (self.longest - 2 * self.overlap))
        return [number * length // count for number in range(count + 1)]


class Network(Protocol):
    """A network that enlarges by its native scale.

    Attributes:
        scale: The native scale.
        tiling: How its input is cut.
    """

    @property
    def scale(self) -> int:
        """The native scale."""
        ...

    @property
    def tiling(self) -> Tiling:
        """How its input is cut."""
        ...

    def run(self, lr: Tensor) -> Tensor:
        """Enlarge `(3, h, w)` to `(3, scale * h, scale * w)`, float32 RGB on the CPU."""
        ...


@dataclass(frozen=True)
class GivenPixels:
    """Pixels that are there already.

    Attributes:
        pixels: `(3, H, W)` float32 on the CPU.
    """

    pixels: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` in pixels."""
        return self.pixels.shape[1], self.pixels.shape[2]

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return some pixels; see `Pixels.part`."""
        return self.pixels[:, rows, columns]


class Tiles:
    """Finished tiles, held up to a number of bytes; the one unused for longest goes first.

    Args:
        budget: The number of bytes. One tile is held whatever its size.
    """

    def __init__(self, budget: int) -> None:
        self._left = budget
        self._held: OrderedDict[Hashable, Tensor] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """Return the tile of that key, made now if it is not held."""
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        made = make()
        self._held[key] = made
        self._left -= made.nbytes
        while self._left < 0 and len(self._held) > 1:
            self._left += self._held.popitem(last=False)[1].nbytes
        return made


@dataclass(frozen=True)
class EnlargedPixels:
    """What a network makes of an image, clamped to [0, 1].

    Attributes:
        source: The image.
        network: The network.
        tiles: Holds what is finished.
        stage: Tells its tiles from those of other networks and passes.
    """

    source: Pixels
    network: Network
    tiles: Tiles
    stage: Hashable

    @property
    def size(self) -> tuple[int, int]:
        """`(H, W)` in pixels."""
        height, width = self.source.size
        return height * self.network.scale, width * self.network.scale

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return some pixels; see `Pixels.part`."""
        result = torch.empty(3, rows.stop - rows.start, columns.stop - columns.start)
        scale, (height, width) = self.network.scale, self.source.size
        across = list(itertools.pairwise(self.network.tiling.cuts(width)))
        for top, bottom in itertools.pairwise(self.network.tiling.cuts(height)):
            tall = _common(rows, top * scale, bottom * scale)
            for left, right in across:
                wide = _common(columns, left * scale, right * scale)
                if tall is None or wide is None:
                    continue
                tile = self._tile(slice(top, bottom), slice(left, right))
                result[:, _moved(tall, rows.start), _moved(wide, columns.start)] = tile[
                    :, _moved(tall, top * scale), _moved(wide, left * scale)
                ]
        return result

    def _tile(self, rows: slice, columns: slice) -> Tensor:
        key = (self.stage, rows.start, columns.start)
        return self.tiles.get(key, partial(self._make, rows, columns))

    def _make(self, rows: slice, columns: slice) -> Tensor:
        """Run the network on a tile and its overlap; return the tile's share of the output."""
        scale, overlap = self.network.scale, self.network.tiling.overlap
        height, width = self.source.size
        top, left = max(0, rows.start - overlap), max(0, columns.start - overlap)
        bottom, right = min(height, rows.stop + overlap), min(width, columns.stop + overlap)
        made = self.network.run(self.source.part(slice(top, bottom), slice(left, right)))
        return made[
            :,
            (rows.start - top) * scale : (rows.stop - top) * scale,
            (columns.start - left) * scale : (columns.stop - left) * scale,
        ].clamp(0, 1)


def _common(part: slice, start: int, stop: int) -> slice | None:
    """Return what a part and a tile share along an axis; None where they do not meet."""
    first, last = max(part.start, start), min(part.stop, stop)
    return slice(first, last) if first < last else None


def _moved(part: slice, origin: int) -> slice:
    """Return a part as seen from an origin."""
    return slice(part.start - origin, part.stop - origin)


def choose_scales(native: Sequence[int], target: float, passes: int) -> tuple[int, ...]:
    """Choose the networks to run one after the other.

    Args:
        native: The native scales there are, smallest first.
        target: The scale asked for.
        passes: The most that may be run.

    Returns:
        Per pass the smallest native scale that reaches what is left of the target, or else the
        largest; no more passes than the target needs, and at least one.
    """
    chosen: list[int] = []
    left = target
    while not chosen or (len(chosen) < passes and left > 1 + _SAME):
        scale = next((each for each in native if each >= left * (1 - _SAME)), native[-1])
        chosen.append(scale)
        left /= scale
    return tuple(chosen)


@dataclass(frozen=True)
class FixedScaleImage:
    """An LR image under networks of fixed scales.

    Attributes:
        lr: The image.
        networks: By native scale, smallest first.
        passes: The most networks that are run one after the other.
        tiles: Holds what is finished.
    """

    lr: GivenPixels
    networks: Mapping[int, Network]
    passes: int
    tiles: Tiles

    @torch.inference_mode()
    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`."""
        height, width = self.lr.size
        target = max(
            size[0] / ((window.bottom - window.top) * height),
            size[1] / ((window.right - window.left) * width),
        )
        pixels = self._enlarged(choose_scales(list(self.networks), target, self.passes))
        if window == FULL and size == pixels.size:
            return pixels.part(slice(0, size[0]), slice(0, size[1]))
        return resample_bicubic(pixels, size, window).clamp_(0, 1)

    def _enlarged(self, scales: tuple[int, ...]) -> Pixels:
        """Return LR after the networks of these scales, first to last."""
        if not scales:
            return self.lr
        source = self._enlarged(scales[:-1])
        return EnlargedPixels(source, self.networks[scales[-1]], self.tiles, scales)


@dataclass(frozen=True)
class FixedScale:
    """Networks of fixed scales as an upsampler.

    Attributes:
        label: The name of the network or its family.
        networks: The networks; one, or a family of several native scales.
        weights: What they were loaded from.
        memory: Bytes for finished tiles and, where tiling is exact, for the network at work.
        passes: The most networks that are run one after the other.
        choices: What else changes the output, for the manifest.
    """

    label: str
    networks: tuple[Network, ...]
    weights: Weights | None
    memory: int
    passes: int = 1
    choices: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """As in tables and records: network, passes where several are allowed, resampling."""
        power = f"^{self.passes}" if self.passes > 1 else ""
        return f"{self.label}{power}+bicubic"

    @property
    def training_scales(self) -> TrainingScales | None:
        """The native scales alone."""
        return tuple((float(scale), float(scale)) for scale in self._by_scale)

    @property
    def settings(self) -> Mapping[str, str]:
        """Passes, native scales, resampling and what the networks add."""
        return {
            "native_scales": ", ".join(f"x{scale}" for scale in self._by_scale),
            "passes": f"at most {self.passes}",
            "resampling": "bicubic (a = -1/2), antialiased, float32",
            **self.choices,
        }

    @property
    def _by_scale(self) -> dict[int, Network]:
        return {each.scale: each for each in sorted(self.networks, key=lambda each: each.scale)}

    def encode(self, lr: Tensor) -> FixedScaleImage:
        """Encode LR; see `Upsampler.encode`. The networks run when an image is rendered."""
        check_lr(lr)
        tiles = Tiles(int(_SHARE_OF_HELD * self.memory))
        given = GivenPixels(lr.detach().to("cpu", torch.float32, copy=True))  # read later
        return FixedScaleImage(given, self._by_scale, self.passes, tiles)


def read_passes(options: Mapping[str, str]) -> int:
    """Return the option ``passes``, 1 where it is not given.

    Raises:
        LiifBenchError: It is not a whole number from 1 to `MOST_PASSES`.
    """
    return whole_number("passes", options.get("passes", "1"), 1, MOST_PASSES)


def read_tiling(options: Mapping[str, str]) -> Tiling:
    """Return the tiling that the options ``tile`` and ``overlap`` ask for; whole without ``tile``.

    Raises:
        LiifBenchError: They are no whole numbers, or leave nothing of a tile.
    """
    if "tile" not in options:
        if "overlap" in options:
            raise LiifBenchError("option overlap needs the option tile: write ?tile=N&overlap=N")
        return Tiling()
    tile = whole_number("tile", options["tile"], 1, _LARGEST_TILE)
    given = options.get("overlap", str(_DEFAULT_OVERLAP))
    overlap = whole_number("overlap", given, 0, _LARGEST_TILE)
    if tile <= 2 * overlap:
        raise LiifBenchError(
            f"option tile={tile} leaves nothing between two overlaps of {overlap} pixels:"
            f" use a tile above {2 * overlap}"
        )
    return Tiling(tile, overlap)


def describe_tiling(tiling: Tiling) -> dict[str, str]:
    """Return a tiling as settings."""
    if tiling.longest is None:
        return {"tile": "whole"}
    return {"tile": str(tiling.longest), "overlap": str(tiling.overlap)}
