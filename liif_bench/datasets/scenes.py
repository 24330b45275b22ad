"""``scenes``: analytic scenes drawn as HR, so that the truth is known at every zoom."""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path

import liif_bench.scenes
from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.images import to_uint8, write_rgb
from liif_bench.paths import cache_root
from liif_bench.scenes import SCENES, drawn_name

SIDE = 480
"""Height and width in pixels; x2, x3, x4, x8 and x30 divide it. Fewer could not hold the waves."""

_STEP = 240  # so that the cells of text are whole pixels
_LARGEST = 1920


def scenes(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Return a file for every scene, which is drawn when it is first read.

    The files lie in the cache, named after the code that draws them. LR is made of them as the
    protocol says, as of any image.

    Args:
        root: Not used: the scenes lie in the cache, not below the data root.
        argument: Height and width in pixels; "" for `SIDE`.

    Returns:
        One item per scene, in the order of `SCENES`.

    Raises:
        LiifBenchError: The argument is no such size.
    """
    del root
    side = _side(argument) if argument else SIDE
    folder = cache_root() / "scenes" / _drawing_code()
    items = []
    for name in SCENES:
        path = folder / f"{drawn_name(name, side)}.png"
        items.append(Item(drawn_name(name, side), path, make=partial(_draw, path, name, side)))
    return tuple(items)


def _side(argument: str) -> int:
    side = int(argument) if argument.isascii() and argument.isdigit() else 0
    if side % _STEP or not SIDE <= side <= _LARGEST:
        raise LiifBenchError(
            f"scenes:{argument} is not possible: give the side in pixels, a multiple of {_STEP}"
            f" from {SIDE} to {_LARGEST}"
        )
    return side


def _draw(path: Path, name: str, side: int) -> None:
    """Draw a scene, unless that has been done.

    Raises:
        LiifBenchError: The cache cannot be written.
    """
    if path.is_file():
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path.parent}': {error.strerror}") from error
    write_rgb(to_uint8(SCENES[name].render((side, side))), path)


@cache
def _drawing_code() -> str:
    """Return a hash of what draws the scenes: other code draws other files."""
    folder = Path(liif_bench.scenes.__file__).parent
    files = sorted(path for path in folder.iterdir() if path.suffix in (".py", ".toml"))
    digest = hashlib.sha256("".join(map(file_sha256, files)).encode())
    return digest.hexdigest()[:12]
