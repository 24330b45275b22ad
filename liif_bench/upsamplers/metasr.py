"""Meta-SR: the weights of the last layer are predicted for each pixel (arXiv 1903.00875).

As LIIF's authors define it, to compare with: an output pixel belongs to the LR pixel that its top
left corner lies in. From where the corner lies within that LR pixel, and from the size of the
output pixel, an MLP predicts a matrix that maps the LR pixel's 3x3-unfolded features to RGB.

The MLP's last layer is linear, and so is what is done with the matrix. So features and that layer
are multiplied first: a 3x3 convolution, done once per LR pixel instead of once per output pixel,
gives for each hidden unit what it adds to RGB. Every value stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.upsamplers.base import (
    FULL,
    Options,
    TrainingScales,
    Weights,
    Window,
    check_lr,
    check_precision,
)
from liif_bench.upsamplers.liif.checkpoint import Parts, read_parts, user_checkpoint
from liif_bench.upsamplers.liif.encoders import (
    EDSR_BASELINE,
    ENCODERS,
    RDN,
    decoded,
    encode,
    ready_encoder,
)
from liif_bench.upsamplers.liif.features import Features

TRAINING_SCALES = ((1.0, 4.0),)

# The authors' code moves corners by this much (in [-1, 1] coordinates), so that one on the line
# between two LR pixels has a definite side.
_SIDE = 1e-6
_LARGEST_BLOCK = 32 << 20
_QUERIES = 8192


@dataclass(frozen=True)
class Corners:
    """Where the top left corners of the output pixels of one axis lie.

    Attributes:
        indices: `(n,)` the LR pixels that they lie in, ascending.
        offsets: `(n,)` how far into it, in LR pixels.
        pixel: Size of an output pixel, in LR pixels.
    """

    indices: Tensor
    offsets: Tensor
    pixel: float


def find_corners(length: int, size: int, start: float, end: float) -> Corners:
    """Find the corners of the output pixels of one axis.

    Args:
        length: LR pixels along the axis.
        size: Output pixels along the window.
        start: Where the window starts, in [0, 1].
        end: Where it ends.

    Returns:
        The geometry, in float64 on the CPU.
    """
    pixel = (end - start) / size
    places = (start + torch.arange(size, dtype=torch.float64) * pixel) * length
    indices = (places + _SIDE * length / 2).floor().long().clamp(0, length - 1)
    return Corners(indices, places - indices, pixel * length)


class MetaDecoder:
    """A trained Meta-SR MLP, ready to render.

    Args:
        layers: `(weight, bias)` of its two layers.
        channels: Channels of the feature map.
        options: Device, precision, cell rule and memory.
    """

    def __init__(
        self, layers: list[tuple[Tensor, Tensor]], channels: int, options: Options
    ) -> None:
        self.device = torch.device(options.device)
        self.memory = options.memory
        self.clip = options.cell_rule == "clip"
        (first, self.bias), (last, constant) = (
            (weight.to(self.device), bias.to(self.device)) for weight, bias in layers
        )
        self.by_row, self.by_column, self.by_pixel = first.unbind(dim=1)
        # rows of the matrix are [channel, 3x3 place], its columns RGB; hidden units come last
        parts = torch.cat((last, constant[:, None]), dim=1).view(channels, 3, 3, 3, -1)
        self.kernel = parts.permute(3, 4, 0, 1, 2).flatten(0, 1).to(options.dtype)

    def render(self, features: Features, rows: Corners, columns: Corners) -> Tensor:
        """Decode a grid of output pixels.

        Args:
            features: The features of LR.
            rows: Corners of the output rows.
            columns: Corners of the output columns.

        Returns:
            `(3, H, W)` float32 in the range of the training targets, on the features' device.
        """
        # the authors' code takes the size of a pixel from the rows alone
        pixel = max(rows.pixel, 1 / 4) if self.clip else rows.pixel
        row_terms = self._term(rows, self.by_row) + self.by_pixel * pixel + self.bias
        column_terms = self._term(columns, self.by_column)
        out = torch.empty(3, len(row_terms), len(column_terms), device=self.device)
        pixels = min(_LARGEST_BLOCK, self.memory // 8) // (len(self.kernel) * 4)
        side = max(1, min(features.longest - 2, int(pixels**0.5)))
        for ys, lr_rows in _blocks(rows, side):
            for xs, lr_columns in _blocks(columns, side):
                projected = self._project(features, lr_rows, lr_columns)
                self._decode(
                    projected,
                    (rows.indices[ys] - lr_rows.start, columns.indices[xs] - lr_columns.start),
                    (row_terms[ys], column_terms[xs]),
                    out[:, ys, xs],
                )
        return out

    def _term(self, corners: Corners, weight: Tensor) -> Tensor:
        """Return what the offsets of one axis add to the hidden layer: `(n, hidden)`."""
        return corners.offsets.to(self.device, torch.float32)[:, None] * weight

    def _project(self, features: Features, rows: slice, columns: slice) -> Tensor:
        """Return what each hidden unit, and the constant after them, adds to RGB.

        Returns:
            `(rows, columns, 3, hidden + 1)` float32.
        """
        height, width = features.size
        above, below = min(1, rows.start), min(1, height - rows.stop)
        before, behind = min(1, columns.start), min(1, width - columns.stop)
        part = features.part(
            slice(rows.start - above, rows.stop + below),
            slice(columns.start - before, columns.stop + behind),
        )
        # beyond LR features are zero
        padded = F.pad(part, (1 - before, 1 - behind, 1 - above, 1 - below))
        made = F.conv2d(padded[None], self.kernel)[0].float()
        return made.permute(1, 2, 0).reshape(*made.shape[1:], 3, -1)

    def _decode(
        self,
        projected: Tensor,
        indices: tuple[Tensor, Tensor],
        terms: tuple[Tensor, Tensor],
        out: Tensor,
    ) -> None:
        """Decode a block of output pixels into its place.

        Args:
            projected: `(rows, columns, 3, hidden + 1)` of the LR pixels.
            indices: LR row of each output row, LR column of each output column.
            terms: What they add to the hidden layer.
            out: `(3, H, W)`.
        """
        of_columns = indices[1].to(projected.device)
        step = max(1, _QUERIES // len(of_columns))
        for row, ys in _runs(indices[0], step):
            codes = projected[row, of_columns]  # (W, 3, hidden + 1)
            hidden = (terms[0][ys, None] + terms[1]).relu_()  # (rows, W, hidden)
            rgb = torch.einsum("wch,ywh->cyw", codes[..., :-1], hidden)
            out[:, ys] = rgb + codes[..., -1].t()[:, None]


def _blocks(corners: Corners, most: int) -> Iterator[tuple[slice, slice]]:
    """Split an axis into output pixels, and the LR pixels, at most so many, that they lie in."""
    indices = corners.indices
    start = 0
    while start < len(indices):
        first = int(indices[start])
        stop = int(torch.searchsorted(indices, first + most))
        yield slice(start, stop), slice(first, int(indices[stop - 1]) + 1)
        start = stop


def _runs(indices: Tensor, most: int) -> Iterator[tuple[int, slice]]:
    """Split ascending indices into runs of equal ones, none longer than so many."""
    start = 0
    for index, count in zip(*torch.unique_consecutive(indices, return_counts=True), strict=True):
        stop = start + int(count)
        for begin in range(start, stop, most):
            yield int(index), slice(begin, min(begin + most, stop))
        start = stop


@dataclass(frozen=True)
class MetaImage:
    """An LR image under Meta-SR.

    Attributes:
        features: The features of LR.
        decoder: What predicts and applies the matrices.
    """

    features: Features
    decoder: MetaDecoder

    @torch.inference_mode()
    def render(self, size: tuple[int, int], window: Window = FULL) -> Tensor:
        """Render a window; see `ContinuousImage.render`."""
        height, width = self.features.size
        rows = find_corners(height, size[0], window.top, window.bottom)
        columns = find_corners(width, size[1], window.left, window.right)
        return decoded(self.decoder.render(self.features, rows, columns))


class MetaSr:
    """Meta-SR as an upsampler.

    Args:
        name: As in tables and records.
        encoder: A name of `ENCODERS`.
        parts: Trained weights.
        weights: Their identity.
        options: Device, precision, cell rule and memory. There is no ensemble to switch off.
    """

    training_scales: TrainingScales | None = TRAINING_SCALES

    def __init__(
        self, name: str, encoder: str, parts: Parts, weights: Weights, options: Options
    ) -> None:
        self.name = name
        self.weights = weights
        self.settings: Mapping[str, str] = {}  # the protocol holds them all
        self.options = options
        self.encoder = ready_encoder(encoder, parts.encoder, options)
        self.decoder = MetaDecoder(parts.layers, self.encoder.channels, options)

    @torch.inference_mode()
    def encode(self, lr: Tensor) -> MetaImage:
        """Encode LR; see `Upsampler.encode`."""
        check_lr(lr)
        (features,) = encode(lr[None], self.encoder, self.options)
        return MetaImage(features, self.decoder)


def metasr_edsr(options: Options, checkpoint: str) -> MetaSr:
    """Load Meta-SR with the EDSR-baseline encoder.

    Args:
        options: Device, precision, cell rule and memory.
        checkpoint: Path of a checkpoint, such as the authors' EDSR-baseline-MetaSR.

    Raises:
        LiifBenchError: Weights missing, or of another architecture; float16 asked for on the CPU.
    """
    return _metasr(options, "metasr-edsr", EDSR_BASELINE, checkpoint)


def metasr_rdn(options: Options, checkpoint: str) -> MetaSr:
    """Load Meta-SR with the RDN encoder; see `metasr_edsr`."""
    return _metasr(options, "metasr-rdn", RDN, checkpoint)


def _metasr(options: Options, name: str, encoder: str, checkpoint: str) -> MetaSr:
    check_precision(options)
    path, shown, weights = user_checkpoint(name, checkpoint)
    parts = read_parts(path, "metasr", encoder, name)
    _check_mlp(parts, ENCODERS[encoder].channels, path)
    return MetaSr(shown, encoder, parts, weights, options)


def _check_mlp(parts: Parts, channels: int, path: Path) -> None:
    inputs, outputs = parts.layers[0][0].shape[1], parts.layers[-1][0].shape[0]
    expected = (2, 3, channels * 27)
    if (len(parts.layers), inputs, outputs) != expected:
        raise LiifBenchError(
            f"'{path}' has an MLP of {len(parts.layers)} layers from {inputs} to {outputs} values;"
            f" Meta-SR has {expected[0]}, from {expected[1]} to {expected[2]}"
        )
