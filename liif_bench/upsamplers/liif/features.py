"""Feature maps: whole where they fit the budget of memory, made tile by tile where they do not.

A feature answers to the LR pixels within `Encoder.reach` of it. A tile is encoded with that
margin around it, or up to the image's edge, where the network pads with zeros as it would for the
whole; what the margin spoils is cut off. So a tile equals that part of the whole.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

_ANY_LENGTH = 1 << 40
_SHARE_OF_ENCODER = 0.5
_SHARE_OF_MAP = 0.4


class Encoder(Protocol):
    """A convolutional network that makes features of LR.

    Attributes:
        channels: Channels of a feature map.
        reach: How far a feature sees, in LR pixels.
        live_maps: Feature maps that it holds at once, with what its convolutions need besides
            (measured).
    """

    @property
    def channels(self) -> int:
        """Channels of a feature map."""
        ...

    @property
    def reach(self) -> int:
        """How far a feature sees."""
        ...

    @property
    def live_maps(self) -> float:
        """Feature maps that it holds at once."""
        ...

    def __call__(self, x: Tensor) -> Tensor:
        """Map `(N, 3, h, w)` in [-1, 1] to `(N, C, h, w)`."""
        ...


class Features(Protocol):
    """The features of an LR image.

    Attributes:
        size: `(h, w)` of LR in pixels.
        longest: Longest side of a part that may be asked for, in LR pixels.
    """

    @property
    def size(self) -> tuple[int, int]:
        """`(h, w)` of LR."""
        ...

    @property
    def longest(self) -> int:
        """Longest side of a part."""
        ...

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return the features of some LR pixels, `(C, rows, columns)`."""
        ...


@dataclass(frozen=True)
class WholeFeatures:
    """A feature map that is held.

    Attributes:
        map: `(C, h, w)`.
    """

    map: Tensor

    @property
    def size(self) -> tuple[int, int]:
        """`(h, w)` of LR."""
        return self.map.shape[1], self.map.shape[2]

    @property
    def longest(self) -> int:
        """Longest side of a part: any."""
        return _ANY_LENGTH

    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return the features of some LR pixels, `(C, rows, columns)`."""
        return self.map[:, rows, columns]


@dataclass(frozen=True)
class TiledFeatures:
    """A feature map that is made part by part, each time that a part is asked for.

    Attributes:
        lr: `(3, h, w)` in the encoder's format and range.
        encoder: The network.
        longest: Longest side of a part that keeps to the budget, in LR pixels.
    """

    lr: Tensor
    encoder: Encoder
    longest: int

    @property
    def size(self) -> tuple[int, int]:
        """`(h, w)` of LR."""
        return self.lr.shape[1], self.lr.shape[2]

    @torch.inference_mode()
    def part(self, rows: slice, columns: slice) -> Tensor:
        """Return the features of some LR pixels, `(C, rows, columns)`."""
        reach = self.encoder.reach
        top, left = max(0, rows.start - reach), max(0, columns.start - reach)
        seen = self.lr[None, :, top : rows.stop + reach, left : columns.stop + reach]
        made: Tensor = self.encoder(seen)[0]
        return made[
            :, rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]


@torch.inference_mode()
def make_features(batch: Tensor, encoder: Encoder, memory: int) -> list[Features]:
    """Encode LR images within a budget of memory.

    Args:
        batch: `(N, 3, h, w)` in the encoder's format, device and range.
        encoder: The network.
        memory: Bytes that may be held beyond `batch`.

    Returns:
        For each image its whole map if that fits in its share of the budget, however it was made;
        otherwise one that is made part by part when it is asked for.
    """
    count, _, height, width = batch.shape
    per_pixel = encoder.channels * batch.element_size()
    most = _SHARE_OF_ENCODER * memory / (encoder.live_maps * per_pixel)  # pixels encoded at once
    held = count * height * width * per_pixel <= _SHARE_OF_MAP * memory
    together = int(most / (height * width))
    if together and (held or count == 1):
        maps = [made for part in batch.split(together) for made in encoder(part)]
        return [WholeFeatures(each) for each in maps]
    longest = max(1, math.isqrt(int(most)) - 2 * encoder.reach)
    tiled = [TiledFeatures(lr, encoder, longest) for lr in batch]
    return [WholeFeatures(_assembled(each)) for each in tiled] if held else [*tiled]


def _assembled(tiled: TiledFeatures) -> Tensor:
    """Make a whole map of parts."""
    height, width = tiled.size
    whole = tiled.lr.new_empty(tiled.encoder.channels, height, width)
    for top in range(0, height, tiled.longest):
        for left in range(0, width, tiled.longest):
            rows = slice(top, min(top + tiled.longest, height))
            columns = slice(left, min(left + tiled.longest, width))
            whole[:, rows, columns] = tiled.part(rows, columns)
    return whole
