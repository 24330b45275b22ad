"""Views: what a classifier is shown of an image at one zoom, as "ImageNet-Hard" cuts it.

After arXiv 2304.05538 and its repository: the shorter side of the image is resized to S pixels,
and a crop of 224x224 is cut around the centre of one of 3x3 tiles, zero padded beyond the edges. A
zoom grid is some sizes S with nine views each.

Views of HR are made as there: Pillow's bicubic resize of 8-bit pixels, then the crop. Of an answer
to LR, the upsampler takes the place of the resize wherever something is enlarged: if S is larger
than the shorter side of LR, it renders what the views show at that zoom, and nothing else. If S is
not larger, nothing is enlarged, and Pillow resizes LR for every upsampler.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from PIL import Image
from torch import Tensor

from liif_bench.downstream import ONE_CROP
from liif_bench.errors import LiifBenchError
from liif_bench.images import to_uint8
from liif_bench.metrics.base import Case, Output, as_scored
from liif_bench.upsamplers.base import ContinuousImage, Window, pixel_window, render_checked
from liif_bench.upsamplers.finished import FinishedImage
from liif_bench.upsamplers.interpolation import InterpolatedImage
from liif_bench.upsamplers.truth import TrueImage

CROP = 224
GRID = 3
MOST_ELONGATED = 20

Span = tuple[int, int]
"""First pixel and the one behind the last."""

Part = Callable[[int, int, int, int], Tensor]
"""Top, left, height and width of a part of a zoomed image -> its pixels, `(3, height, width)`."""


@dataclass(frozen=True)
class View:
    """One crop of a zoom grid.

    Attributes:
        size: Pixels of the image's shorter side.
        row: Which of the three rows of tiles, from the top.
        column: Which of the three columns, from the left.
    """

    size: int
    row: int
    column: int

    @property
    def centre(self) -> bool:
        """Whether it is cut around the middle tile."""
        return self.row == self.column == GRID // 2

    @property
    def one_crop(self) -> bool:
        """Whether it is the view that ImageNet classifiers are usually scored with."""
        return self.centre and self.size == ONE_CROP


def grid(sizes: Sequence[int]) -> tuple[View, ...]:
    """Return the views of a zoom grid: size by size, rows before columns."""
    return tuple(
        View(size, row, column) for size in sizes for row in range(GRID) for column in range(GRID)
    )


def anchors(length: int) -> list[int]:
    """Return the tile centres along one axis: ``tile = length // 3; i * tile + tile // 2``."""
    tile = length // GRID
    return [i * tile + tile // 2 for i in range(GRID)]


def zoomed_size(size: tuple[int, int], shorter: int) -> tuple[int, int]:
    """Return `(H, W)` of an image whose shorter side is resized, as torchvision rounds the other.

    Args:
        size: `(H, W)` of the image.
        shorter: Pixels of the shorter side afterwards.

    Raises:
        LiifBenchError: The image is so narrow that its resized version would be huge.
    """
    height, width = size
    if max(size) > MOST_ELONGATED * min(size):
        raise LiifBenchError(
            f"{width}x{height} pixels are too elongated for zoomed crops: at most"
            f" {MOST_ELONGATED}:1"
        )
    if width <= height:
        return int(shorter * height / width), shorter
    return shorter, int(shorter * width / height)


def cut(part: Part, size: tuple[int, int]) -> Tensor:
    """Cut the nine views of a zoomed image.

    Views that overlap share what they show: each pixel of the zoomed image is asked for at most
    once, and one that no view shows not at all.

    Args:
        part: Gives parts of the zoomed image.
        size: `(H, W)` of the zoomed image.

    Returns:
        `(9, 3, 224, 224)`, rows before columns; black beyond the edges.
    """
    rows, columns = (_visible(length) for length in size)
    views = torch.zeros(GRID, GRID, 3, CROP, CROP)
    starts = [[anchor - CROP // 2 for anchor in anchors(length)] for length in size]
    for top, bottom in _merged(rows):
        for left, right in _merged(columns):
            block = part(top, left, bottom - top, right - left)
            for i, (first, last) in enumerate(rows):
                for j, (begin, end) in enumerate(columns):
                    if top <= first < bottom and left <= begin < right:
                        y, x = starts[0][i], starts[1][j]
                        views[i, j, :, first - y : last - y, begin - x : end - x] = block[
                            :, first - top : last - top, begin - left : end - left
                        ]
    return views.flatten(0, 1)


def _visible(length: int) -> list[Span]:
    """Return what each of the three crops along an axis shows of the image."""
    half = CROP // 2
    return [(max(0, anchor - half), min(length, anchor + half)) for anchor in anchors(length)]


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Join spans that overlap or touch."""
    joined: list[Span] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def picture(pixels: Tensor) -> InterpolatedImage:
    """Return `(3, H, W)` pixels as 8 bits that Pillow zooms, as the paper's pipeline does."""
    return InterpolatedImage(Image.fromarray(to_uint8(pixels)), Image.Resampling.BICUBIC)


class Sources:
    """What is shown of an output: its own pixels and rendering, or LR where nothing is enlarged.

    Finished images cannot be rendered at another size: they are zoomed by Pillow, as HR is.

    Args:
        case: Its LR is shown where nothing is enlarged.
        output: The upsampler's answer.
    """

    def __init__(self, case: Case, output: Output) -> None:
        self._case = case
        self._output = output

    @cached_property
    def _low(self) -> InterpolatedImage:
        return picture(self._case.lr)

    @cached_property
    def _pixels(self) -> InterpolatedImage:
        return picture(self._output.sr)

    @property
    def finished(self) -> bool:
        """Whether the output has its pixels, and nothing that renders others."""
        image = self._output.image
        return image is None or isinstance(image, FinishedImage)

    def shows_lr(self, *, enlarges: bool) -> bool:
        """Whether LR itself is shown. Of HR no LR is shown, however small the view."""
        return not enlarges and not isinstance(self._output.image, TrueImage)

    def source(self, *, enlarges: bool) -> ContinuousImage:
        """Return what renders a zoomed image, or a part of one.

        Args:
            enlarges: Whether more pixels are wanted than LR has.
        """
        if self.shows_lr(enlarges=enlarges):
            return self._low
        image = self._output.image
        return self._pixels if image is None or self.finished else image

    def render(self, source: ContinuousImage, size: tuple[int, int], window: Window) -> Tensor:
        """Render a window of a source at `size` `(H, W)`, scored as SR is; its time is counted.

        Raises:
            LiifBenchError: What was rendered is no picture of that size.
        """
        with self._output.watch():
            part = render_checked(source, size, window)
        return as_scored(part, self._case.protocol)


def _parts(image: InterpolatedImage, size: tuple[int, int]) -> Part:
    """Return the parts of an image that Pillow resizes once, as a whole, to `size` `(H, W)`.

    That takes milliseconds, and leaves no rounding at the edges of windows.
    """
    whole = image.render(size)
    return lambda top, left, height, width: whole[:, top : top + height, left : left + width]


def views_of_truth(case: Case, sizes: Sequence[int]) -> Iterator[Tensor]:
    """Yield the nine views of HR at each size, `(9, 3, 224, 224)` in [0, 1].

    Raises:
        LiifBenchError: HR is too elongated.
    """
    truth = picture(case.hr)
    for shorter in sizes:
        size = zoomed_size(case.size, shorter)
        yield cut(_parts(truth, size), size)


def views_of_answer(case: Case, output: Output, sizes: Sequence[int]) -> Iterator[Tensor]:
    """Yield the nine views of what an upsampler made of a case at each size.

    Args:
        case: Its HR fixes the geometry, so that the views show what those of HR show.
        output: The upsampler's answer.
        sizes: Pixels of the shorter side.

    Yields:
        `(9, 3, 224, 224)` in [0, 1], rounded as the protocol rounds SR.

    Raises:
        LiifBenchError: HR is too elongated, or the upsampler rendered no picture.
    """
    for shorter in sizes:
        size = zoomed_size(case.size, shorter)
        yield cut(_part_of_answer(case, output, shorter), size)


def one_crop_of_answer(case: Case, output: Output) -> Tensor:
    """Return the one-crop view of what an upsampler made of a case, `(3, 224, 224)` in [0, 1].

    It is that of `views_of_answer`; nothing else is rendered.

    Raises:
        LiifBenchError: As `views_of_answer`.
    """
    size = zoomed_size(case.size, ONE_CROP)
    part = _part_of_answer(case, output, ONE_CROP)
    view = torch.zeros(3, CROP, CROP)
    (top, bottom), (left, right) = (_visible(length)[GRID // 2] for length in size)
    y, x = (anchors(length)[GRID // 2] - CROP // 2 for length in size)
    view[:, top - y : bottom - y, left - x : right - x] = part(
        top, left, bottom - top, right - left
    )
    return view


def _part_of_answer(case: Case, output: Output, shorter: int) -> Part:
    """Return the parts of what an upsampler made of a case, zoomed to a shorter side."""
    size = zoomed_size(case.size, shorter)
    sources = output.memo.once("sources of views", lambda: Sources(case, output))
    source = sources.source(enlarges=shorter > min(case.lr.shape[1:]))
    if isinstance(source, InterpolatedImage):
        return _parts(source, size)

    def part(top: int, left: int, height: int, width: int) -> Tensor:
        window = pixel_window(size, top, left, height, width)
        return sources.render(source, (height, width), window)

    return part
