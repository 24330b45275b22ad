"""Luma of an image, as the metrics of realism see it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from torch import Tensor

from liif_bench.images import channels


def luma(image: Tensor) -> npt.NDArray[np.float64]:
    """Return the full-range BT.601 luma of an image, `0.299 R + 0.587 G + 0.114 B`.

    Args:
        image: `(3, H, W)` RGB in [0, 1].

    Returns:
        `(H, W)` in [0, 1]. Metrics remember it under the key "luma".
    """
    plane: npt.NDArray[np.float64] = channels(image.double(), "y-full")[0].cpu().numpy()
    return plane
