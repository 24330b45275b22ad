"""RDN as its paper writes it (arXiv 1802.08797, section 3), from a state dict.

No rearrangement: every block's output is kept, and all are concatenated for the global fusion.
"""

import math

import torch
import torch.nn.functional as F

BLOCKS, LAYERS, CHANNELS = 16, 8, 64


def shapes():
    """Name and shape of every tensor of configuration B without its upsampling tail."""

    def conv(name, inputs, outputs, side):
        return {f"{name}.weight": (outputs, inputs, side, side), f"{name}.bias": (outputs,)}

    found = conv("SFENet1", 3, CHANNELS, 3) | conv("SFENet2", CHANNELS, CHANNELS, 3)
    for d in range(BLOCKS):
        for c in range(LAYERS):
            found |= conv(f"RDBs.{d}.convs.{c}.conv.0", CHANNELS * (c + 1), CHANNELS, 3)
        found |= conv(f"RDBs.{d}.LFF", CHANNELS * (LAYERS + 1), CHANNELS, 1)
    return (
        found | conv("GFF.0", CHANNELS * BLOCKS, CHANNELS, 1) | conv("GFF.1", CHANNELS, CHANNELS, 3)
    )


def random_state(seed=0):
    """Random weights that keep the size of what passes through them."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in shapes().items():
        spread = 0.05 if name.endswith("bias") else math.prod(shape[1:]) ** -0.5
        state[name] = torch.randn(shape, generator=generator) * spread
    return state


def encode(state, x):
    """Features `(N, 64, h, w)` of `(N, 3, h, w)`, in the format of `x`."""

    def conv(name, y):
        weight, bias = (state[f"{name}.{part}"].to(x) for part in ("weight", "bias"))
        return F.conv2d(y, weight, bias, padding=weight.shape[-1] // 2)

    first = conv("SFENet1", x)
    passed, outputs = conv("SFENet2", first), []
    for d in range(BLOCKS):
        dense = passed
        for c in range(LAYERS):
            dense = torch.cat([dense, F.relu(conv(f"RDBs.{d}.convs.{c}.conv.0", dense))], dim=1)
        passed = passed + conv(f"RDBs.{d}.LFF", dense)
        outputs.append(passed)
    return conv("GFF.1", conv("GFF.0", torch.cat(outputs, dim=1))) + first
