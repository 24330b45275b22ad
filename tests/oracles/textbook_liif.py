"""LIIF as the paper writes it (arXiv 2012.09161, equations 1 to 6), with no rearrangement.

Every query visits its four latent codes; each visit sends [unfolded code | relative coordinate |
cell] through the whole MLP; the results are blended by the areas of the opposite rectangles. Slow
and plain on purpose: what the production decoder is tested against.
"""

import itertools

import torch
import torch.nn.functional as F
from torch import nn


def pixel_centres(count, start=0.0, end=1.0):
    """Centres of `count` pixels between two fractions of a side, in [-1, 1]."""
    edges = torch.linspace(start, end, count + 1, dtype=torch.float64) * 2 - 1
    return (edges[1:] + edges[:-1]) / 2


def decode(
    features,
    layers,
    size,
    *,
    window=(0.0, 0.0, 1.0, 1.0),
    local_ensemble=True,
    cell=True,
    cell_scale=None,
    coordinate=True,
    unfold=True,
    dtype=torch.float64,
):
    """Render `(C, h, w)` features at `size`; returns `(3, H, W)`, still normalised.

    Positions are float64; features, MLP and blend are `dtype`. `cell_scale` tells the MLP that the
    output pixel is that of this scale; without `coordinate` each code answers for its own centre.
    """
    features = features.to(dtype)
    modules = []
    for weight, bias in layers:
        linear = nn.Linear(*reversed(weight.shape), dtype=dtype)
        linear.weight.data, linear.bias.data = weight.to(dtype), bias.to(dtype)
        modules += [linear, nn.ReLU()]
    mlp = nn.Sequential(*modules[:-1])

    channels, h, w = features.shape
    if unfold:
        features = F.unfold(features[None], 3, padding=1).view(channels * 9, h, w)
    codes = torch.stack(
        torch.meshgrid(pixel_centres(h), pixel_centres(w), indexing="ij")
    )  # where each latent code sits
    top, left, bottom, right = window
    grid = torch.meshgrid(
        pixel_centres(size[0], top, bottom), pixel_centres(size[1], left, right), indexing="ij"
    )
    query = torch.stack(grid, dim=-1).view(-1, 2)
    extent = torch.tensor([2 * (bottom - top) / size[0], 2 * (right - left) / size[1]]).double()
    unit = torch.tensor([h, w]).double()
    if cell_scale is not None:
        extent = 2 / (unit * cell_scale)

    signs = [(-1, -1), (-1, 1), (1, -1), (1, 1)] if local_ensemble else [(0, 0)]
    answers, areas = [], []
    for sign in signs:
        moved = query + torch.tensor(sign).double() / unit + (1e-6 if local_ensemble else 0)
        moved = moved.clamp(-1 + 1e-6, 1 - 1e-6)
        lookup = moved.flip(-1)[None, None]  # grid_sample wants (x, y)

        def pick(maps, lookup=lookup):
            place = lookup.to(maps.dtype)
            picked = F.grid_sample(maps[None], place, mode="nearest", align_corners=False)
            return picked[0, :, 0].t()

        relative = (query - pick(codes)) * unit
        inputs = [pick(features), relative if coordinate else torch.zeros_like(relative)]
        if cell:
            inputs.append((extent * unit).expand_as(relative))
        answers.append(mlp(torch.cat([part.to(dtype) for part in inputs], dim=-1)))
        # 0 / 0 where a pixel sits on a code at the border: a hair on each side gives the limit
        areas.append((relative.abs() + 1e-12).prod(dim=-1))
    opposite = areas[::-1]
    blended = sum(
        answer * (area / sum(areas))[:, None].to(dtype)
        for answer, area in itertools.zip_longest(answers, opposite)
    )
    return blended.t().reshape(3, *size)
