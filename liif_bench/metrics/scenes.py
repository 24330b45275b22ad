"""What metrics on analytic scenes share: which scene a case shows, and how its pixels lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.metrics.base import Case
from liif_bench.scenes import Scene, find_drawn
from liif_bench.scenes.pixels import Array, Pixels
from liif_bench.upsamplers.base import pixel_window

S = TypeVar("S", bound=Scene)
Cell = TypeVar("Cell", bound=np.generic)

_ROUNDING = 0.5 / 255
_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Shown(Generic[S]):
    """What the HR of a case shows.

    Attributes:
        scene: The scene.
        side: Height and width of the whole scene in HR pixels.
        pixels: The pixels of HR, which may be cropped below and on the right.
    """

    scene: S
    side: int
    pixels: Pixels


def shown(case: Case, kind: type[S], what: str) -> Shown[S]:
    """Return the scene that a case shows.

    Args:
        case: Its item's name says which scene, and how large.
        kind: The scenes on which the metric has a meaning.
        what: These in words, as in "slanted edges".

    Raises:
        NotApplicableError: It shows none of these.
        LiifBenchError: HR is not what the item's name says.
    """
    drawn = find_drawn(case.item)
    if drawn is None or not isinstance(drawn.scene, kind):
        raise NotApplicableError(f"only of {what}, of the data set 'scenes'")
    window = pixel_window((drawn.side, drawn.side), 0, 0, *case.size)
    pixels = Pixels(case.size, window)
    if not case.memo.once("shows its scene", lambda: _agrees(case.hr, drawn.scene, pixels)):
        raise LiifBenchError(
            f"HR of '{case.item}' is not the scene of that name: rename the image, or measure the"
            " data set 'scenes'"
        )
    return Shown(drawn.scene, drawn.side, pixels)


def _agrees(hr: Tensor, scene: Scene, pixels: Pixels) -> bool:
    if max(pixels.window) > 1:
        return False
    difference = (hr - scene.render(pixels.size, pixels.window)).abs().max()
    return float(difference) < _ROUNDING + _TOLERANCE


def grey(image: Tensor) -> Array:
    """Return the mean of R, G and B of a `(3, H, W)` image, `(H, W)` in float64."""
    plane: Array = np.asarray(image.double().mean(dim=0).cpu())
    return plane


def tiles(plane: npt.NDArray[Cell], side: int) -> npt.NDArray[Cell]:
    """Cut `(H, W)` into square tiles, `(tiles, side * side)`; what is left over is dropped."""
    rows, columns = (length // side for length in plane.shape)
    whole = plane[: rows * side, : columns * side].reshape(rows, side, columns, side)
    return whole.swapaxes(1, 2).reshape(rows * columns, side * side)
