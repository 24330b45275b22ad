"""A module beside `models`, as such repositories have one."""

import torch


def make_coord(shape):
    """Centres of the cells of a grid in [-1, 1], `(h, w, 2)`."""
    axes = [(torch.arange(side).float() * 2 + 1) / side - 1 for side in shape]
    return torch.stack(torch.meshgrid(*axes, indexing="ij"), dim=-1)
