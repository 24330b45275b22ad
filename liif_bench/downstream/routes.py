"""Routes: ways from an upsampler's answer, or from LR, to features on HR's grid.

- `image`: sharpen the image, then encode: the encoder sees SR as a whole.
- `tiles`: the same, but it sees SR in squares of its native size, whose grids are stitched.
- `bilinear`: encode, then sharpen the features: it sees LR, and its grid is interpolated.
- `bilateral`: it sees LR, and joint bilateral upsampling (Kopf et al., ACM Transactions on Graphics
  26(3), 2007) follows the edges of SR.

Token centres lie in the middle of their squares: token `i` of a grid of stride `s` is at pixel
`(i + 0.5) s`, and pixel `x` of LR is at pixel `x H / h` of HR.
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from liif_bench.downstream.encoders import Encoder, cut_to, filled_to

Route = Literal["image", "tiles", "bilinear", "bilateral"]
ROUTES: tuple[Route, ...] = get_args(Route)

RADIUS = 2
SPATIAL_SIGMA = 0.5
RANGE_SIGMA = 0.1

Size = tuple[int, int]


def whole(encoder: Encoder, image: Tensor) -> Tensor:
    """Encode an image as a whole.

    Args:
        encoder: The encoder.
        image: `(3, H, W)` RGB in [0, 1]; cut to multiples of the stride.

    Returns:
        `(C, H // stride, W // stride)`.
    """
    return encoder.features(cut_to(image, encoder.stride)[None])[0]


def tiled(encoder: Encoder, image: Tensor) -> Tensor:
    """Encode an image in tiles of the encoder's native size and stitch their grids.

    Tiles lie side by side from the top left; the last of a row or column is moved back into the
    image, and gives only the tokens that no tile before it gave. An image that is smaller than a
    tile is a tile along that side.

    Args:
        encoder: The encoder.
        image: `(3, H, W)` RGB in [0, 1]; cut to multiples of the stride.

    Returns:
        `(C, H // stride, W // stride)`.
    """
    stride = encoder.stride
    image = cut_to(image, stride)
    sides = [min(encoder.native // stride * stride or stride, side) for side in image.shape[1:]]
    tops, lefts = (
        _starts(length, side) for length, side in zip(image.shape[1:], sides, strict=True)
    )
    places = [(top, left) for top in tops for left in lefts]
    tiles = torch.stack(
        [image[:, top : top + sides[0], left : left + sides[1]] for top, left in places]
    )
    grids = encoder.features(tiles)
    height, width = (side // stride for side in image.shape[1:])
    stitched = grids.new_empty(grids.shape[1], height, width)
    for (top, left), grid in reversed([*zip(places, grids, strict=True)]):
        y, x = top // stride, left // stride
        stitched[:, y : y + grid.shape[1], x : x + grid.shape[2]] = grid
    return stitched


def _starts(length: int, side: int) -> list[int]:
    """Return where tiles begin along a side; the last ends where the image does."""
    return [min(start, length - side) for start in range(0, length, side)]


def low(encoder: Encoder, lr: Tensor) -> Tensor:
    """Encode LR, filled up to multiples of the stride.

    Returns:
        `(C, ceil(h / stride), ceil(w / stride))`.
    """
    return encoder.features(filled_to(lr, encoder.stride)[None])[0]


def bilinear(grid: Tensor, lr: Size, hr: Size, stride: int) -> Tensor:
    """Interpolate features of LR between their tokens; beyond the outermost ones they go on.

    Args:
        grid: `(C, rows, columns)` of LR.
        lr: `(h, w)` of LR in pixels.
        hr: `(H, W)` of HR in pixels.
        stride: Of the encoder.

    Returns:
        `(C, H // stride, W // stride)`.
    """
    rows, columns = (
        _centres(large // stride, small / large) for small, large in zip(lr, hr, strict=True)
    )
    return _sampled(grid, rows, columns)


def bilateral(grid: Tensor, guide: Tensor, lr: Size, stride: int) -> Tensor:
    """Upsample features of LR along the edges of an image.

    The guide is the image's mean colour in each token's square. A token of HR's grid is a weighted
    mean of the 5x5 tokens of LR around it: Gaussian weights of their distance (sigma 0.5 tokens of
    LR) and of the difference of the guide there (sigma 0.1 of the range, over the three channels).

    Args:
        grid: `(C, rows, columns)` of LR.
        guide: `(3, H, W)` RGB in [0, 1], the size of HR.
        lr: `(h, w)` of LR in pixels.
        stride: Of the encoder.

    Returns:
        `(C, H // stride, W // stride)`.
    """
    height, width = guide.shape[1:]
    colours = F.avg_pool2d(cut_to(guide, stride)[None], stride)[0]
    shape = (colours.shape[1], colours.shape[2])
    # where HR's tokens lie among LR's, and LR's among HR's
    rows, columns = _centres(shape[0], lr[0] / height), _centres(shape[1], lr[1] / width)
    theirs = _sampled(
        colours,
        _centres(grid.shape[1], height / lr[0]),
        _centres(grid.shape[2], width / lr[1]),
    )
    total = grid.new_zeros(grid.shape[0], *shape)
    weights = grid.new_zeros(shape)
    for down in range(-RADIUS, RADIUS + 1):
        y, vertical = _neighbours(rows, down, grid.shape[1])
        for right in range(-RADIUS, RADIUS + 1):
            x, horizontal = _neighbours(columns, right, grid.shape[2])
            difference = (colours - theirs[:, y][:, :, x]).square().sum(dim=0)
            near = (vertical[:, None] * horizontal[None]).to(grid.dtype)
            weight = near * torch.exp(-difference / (2 * RANGE_SIGMA**2)).clamp_min(1e-12)
            total += weight * grid[:, y][:, :, x]
            weights += weight
    return total / weights


def _neighbours(places: Tensor, offset: int, count: int) -> tuple[Tensor, Tensor]:
    """Return the token at an offset from the nearest one, and its weight: 0 outside the grid."""
    wanted = places.round().long().clamp(0, count - 1) + offset
    weight = torch.exp(-((places - wanted) ** 2) / (2 * SPATIAL_SIGMA**2))
    inside = (wanted >= 0) & (wanted < count)
    return wanted.clamp(0, count - 1), weight * inside


def _centres(count: int, ratio: float) -> Tensor:
    """Return where token centres lie on another grid of the same stride, `(count,)` float64."""
    return (torch.arange(count, dtype=torch.float64) + 0.5) * ratio - 0.5


def _sampled(grid: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Interpolate a grid `(C, rows, columns)` bilinearly at places along its sides."""
    return _along(_along(grid, rows, 1), columns, 2)


def _along(grid: Tensor, places: Tensor, dimension: int) -> Tensor:
    last = grid.shape[dimension] - 1
    inside = places.clamp(0, last)
    first = inside.floor().long()
    share = (inside - first).to(grid.dtype)
    share = share[:, None] if dimension == 1 else share
    before = grid.index_select(dimension, first)
    return before + share * (grid.index_select(dimension, (first + 1).clamp_max(last)) - before)


def shifted(grid: Tensor, down: float, right: float) -> Tensor:
    """Return a grid `(C, rows, columns)` read at places moved by fractions of its spacing."""
    rows, columns = (torch.arange(side, dtype=torch.float64) for side in grid.shape[1:])
    return _sampled(grid, rows + down, columns + right)
