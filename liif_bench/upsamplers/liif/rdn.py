"""The RDN encoder without its upsampling tail (arXiv 1802.08797, configuration B, as LIIF uses it).

Two rearrangements keep memory low and every value as it is:

- The fusion of all blocks is a 1x1 convolution of their concatenation: each block adds its share
  as soon as it is there, and is forgotten.
- A large map goes through a block in tiles. A block looks as far as its convolutions do, so tiles
  overlap by that much.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_CHANNELS = 64
_BLOCKS = 16
_LAYERS = 8

# Larger maps go through a block in tiles of this side. The overlap costs a third more arithmetic
# and hardly any time (measured); a tile of twice the side takes four times the memory.
_TILE = 96


class DenseLayer(nn.Module):
    """A 3x3 convolution with a ReLU, appended to its input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(nn.Conv2d(channels, _CHANNELS, 3, padding=1), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, C, h, w)` to `(N, C + 64, h, w)`."""
        return torch.cat((x, self.conv(x)), dim=1)


class ResidualDenseBlock(nn.Module):
    """Eight dense layers, fused by a 1x1 convolution and added to their input."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.Sequential(*(DenseLayer(_CHANNELS * (n + 1)) for n in range(_LAYERS)))
        self.LFF = nn.Conv2d(_CHANNELS * (_LAYERS + 1), _CHANNELS, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(N, 64, h, w)` to the same shape."""
        fused: Tensor = self.LFF(self.convs(x))
        return fused.add_(x)


class Rdn(nn.Module):
    """RDN: 16 residual dense blocks of 8 layers, 64 channels, growth 64.

    Module names follow the authors' checkpoints, so that their state dicts load as they are.
    """

    label = "RDN"
    channels = _CHANNELS
    reach = _BLOCKS * _LAYERS + 3
    """How far a feature sees: each of the 3x3 convolutions adds one LR pixel."""

    live_maps = 10.0
    """Feature maps held at once, with what the convolutions need besides (measured at 320x320; of
    a smaller map a tile's dense block is most, up to 65 MiB)."""

    def __init__(self) -> None:
        super().__init__()
        self.SFENet1 = nn.Conv2d(3, _CHANNELS, 3, padding=1)
        self.SFENet2 = nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1)
        self.RDBs = nn.ModuleList(ResidualDenseBlock() for _ in range(_BLOCKS))
        self.GFF = nn.Sequential(
            nn.Conv2d(_CHANNELS * _BLOCKS, _CHANNELS, 1),
            nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Encode.

        Args:
            x: `(N, 3, h, w)`, RGB in [-1, 1].

        Returns:
            `(N, 64, h, w)` features.
        """
        shallow = self.SFENet1(x)
        passed = self.SFENet2(shallow)
        bias = self.GFF.get_parameter("0.bias")
        shares = self.GFF.get_parameter("0.weight").split(_CHANNELS, dim=1)
        fused = bias[:, None, None].expand_as(shallow).clone()
        for block, share in zip(self.RDBs, shares, strict=True):
            passed = _by_tiles(block, passed)
            fused += F.conv2d(passed, share)
        features: Tensor = self.GFF[1](fused)
        return features.add_(shallow)


def _by_tiles(block: nn.Module, x: Tensor) -> Tensor:
    """Apply a block to a map, tile by tile where the map is large."""
    height, width = x.shape[2:]
    if height <= _TILE and width <= _TILE:
        whole: Tensor = block(x)
        return whole
    out = torch.empty_like(x)
    for top, bottom in _cut(height):
        for left, right in _cut(width):
            above, before = min(top, _LAYERS), min(left, _LAYERS)
            made = block(x[:, :, top - above : bottom + _LAYERS, left - before : right + _LAYERS])
            out[:, :, top:bottom, left:right] = made[
                :, :, above : above + bottom - top, before : before + right - left
            ]
    return out


def _cut(length: int) -> Iterator[tuple[int, int]]:
    """Cut an axis into parts of equal length, none longer than a tile."""
    parts = -(-length // _TILE)
    for number in range(parts):
        yield number * length // parts, (number + 1) * length // parts
