"""The LIIF decoder: a local implicit image function (arXiv 2012.09161, sections 3 and 3.1).

The paper's MLP f(z, x - v, cell) is evaluated for up to four latent codes z around every output
pixel and the results are blended by area. Two rearrangements leave every value as it is and spare
about half of the arithmetic:

- The first layer is linear in [unfolded features | relative coordinate | cell]. Its feature part
  is a 3x3 convolution of the feature map, done once per LR pixel instead of once per query; the
  rest is the sum of a vector per output row and a vector per output column.
- The last layer is linear too, so the four codes' hidden vectors are blended before it.

Output is made tile by tile, from the LR rows that the tile sees, so that memory does not grow
with the output.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

# The paper's code moves the four queries by this much (in [-1, 1] coordinates), so that a pixel on
# the line between two latent codes has a definite side.
_SIDE = 1e-6

# Measured on a CPU: large enough that the matrix products run at speed, small enough for its cache.
_TILE_ROWS = 32
_TILE_COLUMNS = 64
_BAND_BYTES = 48 << 20


@dataclass(frozen=True)
class DecoderConfig:
    """The switches of the paper's ablation (Table 3).

    Attributes:
        feat_unfold: Latent codes are concatenated with their 3x3 neighbourhood.
        cell_decode: The MLP is told the size of the output pixel.
        local_ensemble: Four latent codes are blended; otherwise the nearest one decides.
        cell_rule: "exact", or "clip": the cell never gets smaller than at x4.
    """

    feat_unfold: bool = True
    cell_decode: bool = True
    local_ensemble: bool = True
    cell_rule: str = "exact"


@dataclass(frozen=True)
class Axis:
    """Where the output pixels of one axis fall between latent codes.

    Attributes:
        indices: For each shift, the `(n,)` indices of latent codes.
        offsets: For each shift, the `(n,)` distances to them, in units of half an LR pixel.
        shares: For each shift, the `(n,)` weights of the blend; they add up to 1. The paper's
            area of a rectangle is the product of its sides, so its weights are these, multiplied.
        cell: Size of an output pixel in the same units.
    """

    indices: tuple[Tensor, ...]
    offsets: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]
    cell: float


def locate(length: int, size: int, start: float, end: float, config: DecoderConfig) -> Axis:
    """Locate the output pixels of one axis between the latent codes.

    Args:
        length: Number of latent codes (LR pixels) along the axis.
        size: Number of output pixels along the window.
        start: Where the window starts, in [0, 1].
        end: Where it ends.
        config: Local ensemble and cell rule.

    Returns:
        The geometry, in float64 on the CPU.
    """
    pixel = (end - start) / size
    centres = 2 * (start + (torch.arange(size, dtype=torch.float64) + 0.5) * pixel) - 1
    shifts = (-1 / length + _SIDE, 1 / length + _SIDE) if config.local_ensemble else (0.0,)
    indices, offsets = [], []
    for shift in shifts:
        moved = (centres + shift).clamp(-1 + _SIDE, 1 - _SIDE)
        index = ((moved + 1) * length / 2).floor().long().clamp(0, length - 1)
        indices.append(index)
        offsets.append((centres - ((2 * index.double() + 1) / length - 1)) * length)
    cell = 2 * pixel * length
    if config.cell_rule == "clip":
        cell = max(cell, 2 / 4)
    return Axis(tuple(indices), tuple(offsets), _shares(indices, offsets), cell)


def _shares(indices: list[Tensor], offsets: list[Tensor]) -> tuple[Tensor, ...]:
    """Return the weight of each code: the distance to its neighbour over their sum.

    Beyond the last code both shifts find that same code; how the blend is split does not matter
    then, and an even split avoids the 0 / 0 of a pixel on its centre.
    """
    if len(offsets) == 1:
        return (torch.ones_like(offsets[0]),)
    first, second = (offset.abs() for offset in offsets)
    alone = indices[0] == indices[1]
    share = torch.where(alone, 0.5, second / torch.where(alone, 1.0, first + second))
    return share, 1 - share


class Decoder:
    """A trained LIIF MLP, ready to render.

    Args:
        layers: `(weight, bias)` of the MLP's linear layers, first to last.
        channels: Channels of the feature map.
        config: The switches that fit the weights.
        device: Where to compute.
        dtype: What to compute in.
    """

    def __init__(
        self,
        layers: list[tuple[Tensor, Tensor]],
        channels: int,
        config: DecoderConfig,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self.config = config
        first, self.first_bias = (part.to(device, torch.float32) for part in layers[0])
        kernel = 3 if config.feat_unfold else 1
        split = channels * kernel * kernel
        self.kernel = first[:, :split].reshape(-1, channels, kernel, kernel).to(dtype)
        self.coordinate = first[:, split : split + 2]
        self.cell = first[:, split + 2 :] if config.cell_decode else None
        self.hidden = [
            (weight.to(device, dtype).t().contiguous(), bias.to(device, dtype))
            for weight, bias in layers[1:-1]
        ]
        self.last = tuple(part.to(device, torch.float32) for part in layers[-1])

    def render(self, features: Tensor, rows: Axis, columns: Axis) -> Tensor:
        """Decode a grid of output pixels.

        Args:
            features: `(C, h, w)` feature map.
            rows: Geometry of the output rows.
            columns: Geometry of the output columns.

        Returns:
            `(3, H, W)` float32 in the range of the training targets, on the features' device.
        """
        height, width = len(rows.offsets[0]), len(columns.offsets[0])
        device = features.device
        row_terms = self._first_layer_terms(rows, 0, device)
        column_terms = self._first_layer_terms(columns, 1, device)
        column_indices = [index.to(device) for index in columns.indices]
        row_shares = [share.to(device, torch.float32) for share in rows.shares]
        column_shares = [share.to(device, torch.float32) for share in columns.shares]
        out = torch.empty(3, height, width, device=device)
        weight, bias = self.last

        @torch.inference_mode()  # which holds for one thread only
        def decode(projected: Tensor, first_row: int, place: tuple[slice, slice]) -> None:
            y, x = place
            lowest, highest = int(rows.indices[0][y.start]), int(rows.indices[-1][y.stop - 1])
            tile = Tile(
                projected[lowest - first_row : highest - first_row + 1],
                [(index[y] - lowest).to(device) for index in rows.indices],
                [index[x] for index in column_indices],
                [term[y] for term in row_terms],
                [term[x] for term in column_terms],
                [share[y] for share in row_shares],
                [share[x] for share in column_shares],
            )
            rgb = torch.addmm(bias, self._blend(tile), weight.t())
            out[:, y, x] = rgb.view(y.stop - y.start, x.stop - x.start, 3).permute(2, 0, 1)

        with _workers(device) as pool:
            for top, bottom, band in self._bands(rows, features.shape):
                projected = self._project(features, band)
                places = _tiles(top, bottom, width)
                # map, since it drops what has not begun when an error or Ctrl-C ends the loop
                for _ in pool.map(partial(decode, projected, band.start), places):
                    pass
        return out

    def _first_layer_terms(self, axis: Axis, dimension: int, device: torch.device) -> list[Tensor]:
        """Return, for each shift, what one axis adds to the first layer: `(n, hidden)`."""
        constant = torch.zeros_like(self.first_bias)
        if self.cell is not None:
            constant = constant + self.cell[:, dimension] * axis.cell
        if dimension == 0:
            constant = constant + self.first_bias
        return [
            (offset.to(device, torch.float32)[:, None] * self.coordinate[:, dimension] + constant)
            for offset in axis.offsets
        ]

    def _bands(self, rows: Axis, shape: torch.Size) -> Iterator[tuple[int, int, slice]]:
        """Split the output rows so that the LR rows under each part fit the memory of a band."""
        hidden, width = len(self.first_bias), shape[2]
        most = max(2, _BAND_BYTES // (hidden * width * self.kernel.element_size()))
        lowest, highest = rows.indices[0].tolist(), rows.indices[-1].tolist()
        top = 0
        while top < len(lowest):
            bottom = top + 1
            while bottom < len(lowest) and highest[bottom] - lowest[top] < most:
                bottom += 1
            yield top, bottom, slice(lowest[top], highest[bottom - 1] + 1)
            top = bottom

    def _project(self, features: Tensor, band: slice) -> Tensor:
        """Apply the first layer's feature part to some LR rows: `(rows, w, hidden)`."""
        reach = self.kernel.shape[-1] // 2
        height = features.shape[1]
        above, below = max(0, band.start - reach), min(height, band.stop + reach)
        missing = (reach, reach, above - (band.start - reach), band.stop + reach - below)
        seen = F.pad(features[:, above:below], missing)
        return F.conv2d(seen[None], self.kernel)[0].permute(1, 2, 0).contiguous()

    def _blend(self, tile: Tile) -> Tensor:
        """Return the blended last hidden vectors of a tile, `(queries, hidden)` float32."""
        dtype = tile.codes.dtype
        queries = len(tile.row_shares[0]) * len(tile.column_shares[0])
        blended = torch.zeros(queries, tile.codes.shape[-1], device=tile.codes.device)
        for j, column_share in enumerate(tile.column_shares):
            # LR rows by output columns, shared by every output row between these LR rows
            lines = tile.codes[:, tile.column_indices[j]] + tile.column_terms[j]
            for i, row_share in enumerate(tile.row_shares):
                hidden = lines[tile.row_indices[i]].add_(tile.row_terms[i][:, None]).relu_()
                vectors = hidden.flatten(0, 1).to(dtype)
                for weight, bias in self.hidden:
                    vectors = torch.addmm(bias, vectors, weight).relu_()
                share = torch.outer(row_share, column_share).flatten()[:, None]
                blended.addcmul_(vectors.float(), share)
        return blended


@dataclass(frozen=True)
class Tile:
    """One tile of output pixels.

    Attributes:
        codes: `(rows, w, hidden)` projected latent codes of the LR rows that the tile sees.
        row_indices: For each shift, the index within `codes` of each output row.
        column_indices: For each shift, the LR column of each output column.
        row_terms: For each shift, what an output row adds to the first layer.
        column_terms: For each shift, what an output column adds to it.
        row_shares: For each shift, the weights of the blend along the rows.
        column_shares: For each shift, the weights of the blend along the columns.
    """

    codes: Tensor
    row_indices: list[Tensor]
    column_indices: list[Tensor]
    row_terms: list[Tensor]
    column_terms: list[Tensor]
    row_shares: list[Tensor]
    column_shares: list[Tensor]


def _workers(device: torch.device) -> ThreadPoolExecutor:
    """Return threads that each decode whole tiles, one per core on the CPU, one on a GPU.

    Each runs its matrix products alone. That is faster than letting torch split every small product
    among its own threads, which wait for each other each time, and much faster on a busy machine.
    """
    count = torch.get_num_threads() if device.type == "cpu" else 1
    return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))


def _tiles(top: int, bottom: int, width: int) -> Iterator[tuple[slice, slice]]:
    """Cut output rows into tiles."""
    for x in range(0, width, _TILE_COLUMNS):
        for y in range(top, bottom, _TILE_ROWS):
            yield slice(y, min(y + _TILE_ROWS, bottom)), slice(x, min(x + _TILE_COLUMNS, width))
