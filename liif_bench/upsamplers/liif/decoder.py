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

import copy
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from liif_bench.protocol import CellRule
from liif_bench.upsamplers.liif.features import Features
from liif_bench.upsamplers.liif.hidden import hidden_layers

# The paper's code moves the four queries by this much (in [-1, 1] coordinates), so that a pixel on
# the line between two latent codes has a definite side.
_SIDE = 1e-6

# Measured on a CPU: large enough that the matrix products run at speed, small enough for its cache.
# A GPU wants more rows at a time than a cache holds; not measured.
_TILE_ROWS = 16
_TILE_BYTES = 1 << 20  # of hidden vectors
_TILE_BUFFERS = 5  # of the size of a tile's hidden vectors in float32, at once
_BAND_BYTES = 48 << 20


@dataclass(frozen=True)
class Switches:
    """Ingredients that are switched off on weights that were trained with them.

    Attributes:
        ensemble: Whether four latent codes are blended, if the protocol says so too.
        coordinate: Whether the MLP is told where in its LR pixel the query lies; otherwise it
            answers for the centre, whatever the query.
        cell: "" for the protocol's rule, "clip", or "x1", "x2", "x4": the cell of that scale at
            every scale.
    """

    ensemble: bool = True
    coordinate: bool = True
    cell: str = ""


ALL_ON = Switches()


@dataclass(frozen=True)
class DecoderConfig:
    """The switches of the paper's ablation (Table 3), and those of the same weights.

    Attributes:
        feat_unfold: Latent codes are concatenated with their 3x3 neighbourhood.
        cell_decode: The MLP is told the size of the output pixel.
        local_ensemble: Four latent codes are blended; otherwise the nearest one decides.
        cell_rule: "exact", or "clip": the cell never gets smaller than at x4.
        switches: What is switched off whatever the protocol says.
    """

    feat_unfold: bool = True
    cell_decode: bool = True
    local_ensemble: bool = True
    cell_rule: CellRule = "exact"
    switches: Switches = ALL_ON

    @property
    def blends(self) -> bool:
        """Whether four latent codes are blended."""
        return self.local_ensemble and self.switches.ensemble

    def cell(self, exact: float) -> float:
        """Return the cell that the MLP is told for one axis, in units of half an LR pixel."""
        rule = self.switches.cell or self.cell_rule
        if rule.startswith("x"):
            return 2 / float(rule[1:])
        return max(exact, 2 / 4) if rule == "clip" else exact


@dataclass(frozen=True)
class Axis:
    """Where the output pixels of one axis fall between latent codes.

    Attributes:
        indices: For each shift, the `(n,)` indices of latent codes.
        offsets: For each shift, the `(n,)` distances to them that the MLP is told, in units of
            half an LR pixel.
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
        config: Local ensemble, cell rule and switches.

    Returns:
        The geometry, in float64 on the CPU.
    """
    pixel = (end - start) / size
    centres = 2 * (start + (torch.arange(size, dtype=torch.float64) + 0.5) * pixel) - 1
    shifts = (-1 / length + _SIDE, 1 / length + _SIDE) if config.blends else (0.0,)
    indices, offsets = [], []
    for shift in shifts:
        moved = (centres + shift).clamp(-1 + _SIDE, 1 - _SIDE)
        index = ((moved + 1) * length / 2).floor().long().clamp(0, length - 1)
        indices.append(index)
        offsets.append((centres - ((2 * index.double() + 1) / length - 1)) * length)
    shares = _shares(indices, offsets)
    if not config.switches.coordinate:
        offsets = [torch.zeros_like(offset) for offset in offsets]
    return Axis(tuple(indices), tuple(offsets), shares, config.cell(2 * pixel * length))


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
        memory: Bytes that may be held beyond features and output.
    """

    def __init__(
        self,
        layers: list[tuple[Tensor, Tensor]],
        channels: int,
        config: DecoderConfig,
        device: torch.device,
        dtype: torch.dtype,
        memory: int,
    ) -> None:
        self.config = config
        self.device = device
        self.memory = memory
        first, self.first_bias = (part.to(device, torch.float32) for part in layers[0])
        kernel = 3 if config.feat_unfold else 1
        split = channels * kernel * kernel
        self.kernel = first[:, :split].reshape(-1, channels, kernel, kernel).to(dtype)
        self.coordinate = first[:, split : split + 2]
        self.cell = first[:, split + 2 :] if config.cell_decode else None
        self.tile_columns = max(1, _TILE_BYTES // (_TILE_ROWS * self._hidden_bytes))
        self.hidden = hidden_layers(
            [(weight.to(device, dtype), bias.to(device, dtype)) for weight, bias in layers[1:-1]],
            _TILE_ROWS * self.tile_columns,
        )
        self.last = tuple(part.to(device, torch.float32) for part in layers[-1])

    def under(self, *, local_ensemble: bool, cell_rule: CellRule) -> Decoder:
        """Return a decoder of the same weights under another rule."""
        other = copy.copy(self)
        other.config = replace(self.config, local_ensemble=local_ensemble, cell_rule=cell_rule)
        return other

    def render(self, features: Features, rows: Axis, columns: Axis) -> Tensor:
        """Decode a grid of output pixels.

        Args:
            features: The features of LR.
            rows: Geometry of the output rows.
            columns: Geometry of the output columns.

        Returns:
            `(3, H, W)` float32 in the range of the training targets, on the features' device.
        """
        height, width = len(rows.offsets[0]), len(columns.offsets[0])
        sampled = Sampled(
            rows,
            columns,
            self._first_layer_terms(rows, 0),
            self._first_layer_terms(columns, 1),
            [share.to(self.device, torch.float32) for share in rows.shares],
            [share.to(self.device, torch.float32) for share in columns.shares],
        )
        out = torch.empty(3, height, width, device=self.device)
        most = features.longest - 2 * self._reach
        with self._workers() as pool:
            for ys in _split(rows, 0, height, most):
                for xs in _split(columns, 0, width, most):
                    self._render_block(features, sampled, ys, xs, out, pool)
        return out

    def _render_block(
        self,
        features: Features,
        sampled: Sampled,
        ys: Span,
        xs: Span,
        out: Tensor,
        pool: ThreadPoolExecutor,
    ) -> None:
        """Decode a block of output pixels from one part of the features, band by band."""
        height, width = features.size
        around_y, around_x = ys.lr(self._reach, height), xs.lr(self._reach, width)
        part = features.part(around_y, around_x)
        most = max(2, self._band_bytes // (self._hidden_bytes * (xs.highest - xs.lowest + 1)))
        for band in _split(sampled.rows, ys.start, ys.stop, most):
            codes = self._project(part, band, xs, (around_y.start, around_x.start), (height, width))
            decode = partial(self._decode, codes, sampled, band.lowest, xs.lowest, out)
            # map, since it drops what has not begun when an error or Ctrl-C ends the loop
            for _ in pool.map(decode, _tiles(band, xs, self.tile_columns)):
                pass

    @torch.inference_mode()  # which holds for one thread only
    def _decode(
        self,
        codes: Tensor,
        sampled: Sampled,
        first_row: int,
        first_column: int,
        out: Tensor,
        place: tuple[slice, slice],
    ) -> None:
        """Decode one tile of output pixels from projected codes, into its place."""
        y, x = place
        rows, columns = sampled.rows, sampled.columns
        lowest, highest = int(rows.indices[0][y.start]), int(rows.indices[-1][y.stop - 1])
        tile = Tile(
            codes[lowest - first_row : highest - first_row + 1],
            [(index[y] - lowest).to(self.device) for index in rows.indices],
            [(index[x] - first_column).to(self.device) for index in columns.indices],
            [term[y] for term in sampled.row_terms],
            [term[x] for term in sampled.column_terms],
            [share[y] for share in sampled.row_shares],
            [share[x] for share in sampled.column_shares],
        )
        weight, bias = self.last
        rgb = torch.addmm(bias, self._blend(tile), weight.t())
        out[:, y, x] = rgb.view(y.stop - y.start, x.stop - x.start, 3).permute(2, 0, 1)

    def _first_layer_terms(self, axis: Axis, dimension: int) -> list[Tensor]:
        """Return, for each shift, what one axis adds to the first layer: `(n, hidden)`."""
        constant = torch.zeros_like(self.first_bias)
        if self.cell is not None:
            constant = constant + self.cell[:, dimension] * axis.cell
        if dimension == 0:
            constant = constant + self.first_bias
        return [
            offset.to(self.device, torch.float32)[:, None] * self.coordinate[:, dimension]
            + constant
            for offset in axis.offsets
        ]

    def _project(
        self, part: Tensor, ys: Span, xs: Span, first: tuple[int, int], size: tuple[int, int]
    ) -> Tensor:
        """Apply the first layer's feature part to some LR pixels: `(rows, columns, hidden)`.

        Args:
            part: Features of these pixels and, unless they end at the image's edge, of those
                around them.
            ys: The rows.
            xs: The columns.
            first: Row and column of LR at which `part` begins.
            size: `(h, w)` of LR; beyond it features are zero.
        """
        spans = [span.lr(self._reach, side) for span, side in zip((ys, xs), size, strict=True)]
        seen = part[
            :,
            spans[0].start - first[0] : spans[0].stop - first[0],
            spans[1].start - first[1] : spans[1].stop - first[1],
        ]
        missing = [
            (span.start - (each.lowest - self._reach), each.highest + self._reach + 1 - span.stop)
            for span, each in zip(spans, (ys, xs), strict=True)
        ]
        seen = F.pad(seen, (*missing[1], *missing[0]))
        return F.conv2d(seen[None], self.kernel)[0].permute(1, 2, 0).contiguous()

    @property
    def _reach(self) -> int:
        """How far the first layer sees beyond a latent code's own pixel."""
        return self.kernel.shape[-1] // 2

    @property
    def _hidden_bytes(self) -> int:
        return len(self.first_bias) * self.kernel.element_size()

    @property
    def _band_bytes(self) -> int:
        """Bytes of projected codes that a band may have; making them takes as much again."""
        return min(_BAND_BYTES, self.memory // 8)

    def _workers(self) -> ThreadPoolExecutor:
        """Return threads that each decode whole tiles: on the CPU one per core that memory allows.

        Each runs its matrix products alone. That is faster than letting torch split every small
        product among its own threads, which wait for each other each time, and much faster on a
        busy machine.
        """
        of_a_tile = _TILE_ROWS * self.tile_columns * len(self.first_bias) * 4 * _TILE_BUFFERS
        allowed = max(1, self.memory // 4 // of_a_tile)
        count = min(torch.get_num_threads(), allowed) if self.device.type == "cpu" else 1
        return ThreadPoolExecutor(count, initializer=torch.set_num_threads, initargs=(1,))

    def _blend(self, tile: Tile) -> Tensor:
        """Return the blended last hidden vectors of a tile, `(queries, hidden)` float32."""
        height, width = len(tile.row_shares[0]), len(tile.column_shares[0])
        shape = (height * width, tile.codes.shape[-1])
        vectors = tile.codes.new_empty(shape)
        blended = torch.zeros(shape, device=tile.codes.device)
        for j, column_share in enumerate(tile.column_shares):
            # LR rows by output columns, shared by every output row between these LR rows
            lines = tile.codes[:, tile.column_indices[j]].float().add_(tile.column_terms[j])
            for i, row_share in enumerate(tile.row_shares):
                _add_rows(
                    lines, tile.row_indices[i], tile.row_terms[i], vectors.view(height, width, -1)
                )
                answers = self.hidden(vectors.relu_())
                share = torch.outer(row_share, column_share).flatten()[:, None]
                blended.addcmul_(answers.float(), share)
        return blended


def _add_rows(lines: Tensor, indices: Tensor, terms: Tensor, out: Tensor) -> None:
    """Write `lines[indices] + terms` row by row, rounded to the output's format.

    On the CPU one small sum per output row spares a pass over the tile; a GPU wants one large sum.

    Args:
        lines: `(LR rows, columns, hidden)` float32.
        indices: `(rows,)` the LR row of each output row.
        terms: `(rows, hidden)` float32.
        out: `(rows, columns, hidden)`.
    """
    if out.device.type == "cpu":
        for row, index in enumerate(indices.tolist()):
            torch.add(lines[index], terms[row], out=out[row])
    else:
        torch.add(lines[indices], terms[:, None], out=out)


@dataclass(frozen=True)
class Span:
    """Output pixels along an axis and the latent codes that they see.

    Attributes:
        start: First output pixel.
        stop: The one after the last.
        lowest: First latent code.
        highest: Last latent code.
    """

    start: int
    stop: int
    lowest: int
    highest: int

    def lr(self, reach: int, length: int) -> slice:
        """Return the LR pixels within reach of the codes, as far as there are any."""
        return slice(max(0, self.lowest - reach), min(length, self.highest + reach + 1))


@dataclass(frozen=True)
class Sampled:
    """What a grid of output pixels adds to the latent codes, on the decoder's device.

    Attributes:
        rows: Geometry of the output rows.
        columns: Geometry of the output columns.
        row_terms: For each shift, what an output row adds to the first layer.
        column_terms: For each shift, what an output column adds to it.
        row_shares: For each shift, the weights of the blend along the rows.
        column_shares: For each shift, the weights of the blend along the columns.
    """

    rows: Axis
    columns: Axis
    row_terms: list[Tensor]
    column_terms: list[Tensor]
    row_shares: list[Tensor]
    column_shares: list[Tensor]


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


def _split(axis: Axis, start: int, stop: int, most: int) -> Iterator[Span]:
    """Split output pixels along an axis so that each part sees at most so many latent codes."""
    lowest, highest = axis.indices[0], axis.indices[-1]
    while start < stop:
        # the first pixel may see two codes, however few are allowed
        limit = max(int(lowest[start]) + most, int(highest[start]) + 1)
        end = int(torch.searchsorted(highest[start:stop], limit)) + start
        yield Span(start, end, int(lowest[start]), int(highest[end - 1]))
        start = end


def _tiles(ys: Span, xs: Span, columns: int) -> Iterator[tuple[slice, slice]]:
    """Cut output pixels into tiles, so many columns wide."""
    for x in range(xs.start, xs.stop, columns):
        for y in range(ys.start, ys.stop, _TILE_ROWS):
            yield (
                slice(y, min(y + _TILE_ROWS, ys.stop)),
                slice(x, min(x + columns, xs.stop)),
            )
