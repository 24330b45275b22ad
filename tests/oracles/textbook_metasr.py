"""Meta-SR as LIIF's authors evaluate it (arXiv 1903.00875), query by query, with no rearrangement.

For every query the MLP predicts a whole matrix, by which the unfolded features are multiplied. The
conventions, in [-1, 1] coordinates: the corner of a query is its centre less half its cell; the
corner moved by 1e-6 decides the LR pixel; the MLP sees the corner's distance from the LR pixel's
own corner in LR pixels, rows first, and the rows' cell in LR pixels.
"""

import torch
import torch.nn.functional as F


def edges(count, start=0.0, end=1.0):
    """First edges of `count` pixels between two fractions of a side, in [-1, 1]."""
    return 2 * (start + (end - start) / count * torch.arange(count).double()) - 1


def decode(features, layers, size, *, window=(0.0, 0.0, 1.0, 1.0), smallest_pixel=0.0):
    """Render `(C, h, w)` features at `size`; returns `(3, H, W)` float64, still normalised."""
    features = features.double()
    channels, h, w = features.shape
    codes = F.unfold(features[None], 3, padding=1).view(channels * 9, h, w)
    own = torch.stack(torch.meshgrid(edges(h), edges(w), indexing="ij"))
    top, left, bottom, right = window
    grid = torch.meshgrid(edges(size[0], top, bottom), edges(size[1], left, right), indexing="ij")
    corner = torch.stack(grid, dim=-1).view(-1, 2)
    moved = (corner + 1e-6).clamp(-1 + 1e-6, 1 - 1e-6).flip(-1)[None, None]

    def pick(maps):
        found = F.grid_sample(maps[None], moved, mode="nearest", align_corners=False)
        return found[0, :, 0].t()

    distance = (corner - pick(own)) * torch.tensor([h, w]).double() / 2
    cell = max((bottom - top) / size[0] * h, smallest_pixel)
    inputs = torch.cat([distance, torch.full((len(corner), 1), cell).double()], dim=-1)
    (first, first_bias), (last, last_bias) = layers
    hidden = F.relu(F.linear(inputs, first.double(), first_bias.double()))
    answers = []
    for code, unit in zip(pick(codes).split(500), hidden.split(500), strict=True):
        matrix = F.linear(unit, last.double(), last_bias.double()).view(-1, channels * 9, 3)
        answers.append(torch.einsum("qf,qfc->qc", code, matrix))
    return torch.cat(answers).t().reshape(3, *size)
