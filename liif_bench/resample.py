"""Pillow's resampling with its order of passes fixed: rows of pixels first, then columns.

Pillow rounds to 8 bits between the two passes, so their order shows in the result. Up to version
12 it was always horizontal first; since 13 Pillow picks the cheaper order by the sizes at hand,
and a window then differs from the same part of the whole. One pass per call leaves no choice.
"""

from __future__ import annotations

from PIL import Image

Box = tuple[float, float, float, float]


def resample(
    image: Image.Image, size: tuple[int, int], kernel: Image.Resampling, box: Box | None = None
) -> Image.Image:
    """Resize a part of an 8-bit image.

    Args:
        image: The source.
        size: `(H, W)` of the result in pixels.
        kernel: Pillow's filter; antialiased where it shrinks.
        box: `(left, top, right, bottom)` of the part in source pixels, all of it where None.

    Returns:
        The part at the new size.
    """
    left, top, right, bottom = box or (0, 0, image.width, image.height)
    height, width = size
    wide = image.resize((width, image.height), kernel, (left, 0, right, image.height))
    return wide.resize((width, height), kernel, (0, top, width, bottom))
