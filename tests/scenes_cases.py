"""Cases that show analytic scenes, as the data set `scenes` makes them."""

import numpy as np
import torch

from liif_bench.images import to_tensor, to_uint8
from liif_bench.metrics.base import Case, Output
from liif_bench.protocol import load_protocol
from liif_bench.scenes import SCENES, drawn_name

PROTOCOL = load_protocol("liif-div2k")


def scene_case(name, scale=4.0, side=480, size=None, hr=None):
    """A case of a scene in 8 bits, cropped to a size."""
    height, width = size or (side, side)
    if hr is None:
        hr = to_tensor(to_uint8(SCENES[name].render((side, side))))
    lr = torch.zeros(3, round(height / scale), round(width / scale))
    item = drawn_name(name, side)
    return Case(PROTOCOL, scale, lr, hr[:, :height, :width].contiguous(), "given", item=item)


def answer(plane):
    """The output that shows a grey `(H, W)` plane or a `(3, H, W)` tensor."""
    if isinstance(plane, np.ndarray):
        plane = torch.from_numpy(np.ascontiguousarray(plane)).float().expand(3, -1, -1)
    return Output(plane)
