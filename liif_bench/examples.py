"""Cuts the example crops of a run while it measures; see `liif_bench.crops`."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from liif_bench.crops import HR, LR, SIDE, Crop, CropFolder
from liif_bench.datasets.base import Dataset
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import ran_out_of_memory
from liif_bench.images import RgbArray, to_uint8
from liif_bench.metrics.base import Case, Output, as_scored
from liif_bench.records import CaseKey
from liif_bench.upsamplers.base import pixel_window, render_checked

_STEP = 16  # pixels between the windows that are looked at

Corner = tuple[int, int, int, int]
"""Top, left, height and width of a window in pixels."""


@dataclass(frozen=True)
class Picture:
    """A crop as it was cut, before it has a file.

    Attributes:
        model: Name of the upsampler, `HR` or `LR`.
        window: Top, left, height and width in pixels of HR.
        size: `(H, W)` of HR.
        png: The picture, encoded.
    """

    model: str
    window: Corner
    size: tuple[int, int]
    png: bytes


class Cutter:
    """Cuts the crops of one case, where it is measured."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []

    def keep(self, case: Case, model: str, output: Output) -> None:
        """Cut the window of an upsampler's output; before the first one those of HR and LR."""
        try:
            if not self.pictures:
                hr = to_uint8(case.hr)
                window = most_detailed(hr)
                lr = enlarged(case, window)
                self._add(HR, window, case, cut(hr, window))
                self._add(LR, window, case, lr)
            if model.upper() in (HR, LR):  # HR among the upsamplers, or a name that misleads
                return
            window = self.pictures[0].window
            self._add(model, window, case, _part(case, output, window))
        except LiifBenchError:  # it renders nothing, of which the records know
            return
        except (MemoryError, RuntimeError) as error:  # a picture is not worth a run
            if not ran_out_of_memory(error):
                raise

    def _add(self, model: str, window: Corner, case: Case, pixels: RgbArray) -> None:
        self.pictures.append(Picture(model, window, case.size, png(pixels)))


class Examples:
    """The crops that a run keeps.

    Args:
        run: Folder of the run.
        datasets: Its data sets.
        count: Images of each that crops are kept of, the first ones; 0 for none.
    """

    def __init__(self, run: Path, datasets: Sequence[Dataset], count: int) -> None:
        self._wanted = {
            (dataset.name, item.name) for dataset in datasets for item in dataset.items[:count]
        }
        self._folder = CropFolder(run) if self._wanted else None

    def wanted(self, key: CaseKey) -> bool:
        """Whether crops are kept of a case."""
        return key[:2] in self._wanted

    def write(self, key: CaseKey, pictures: Sequence[Picture]) -> None:
        """Write what was cut from a case.

        Raises:
            LiifBenchError: The folder cannot be written.
        """
        if self._folder is None or not pictures:
            return
        self._folder.add_named(
            (Crop(*key, each.model, "", *each.window, *each.size), each.png) for each in pictures
        )


def most_detailed(hr: RgbArray, side: int = SIDE) -> Corner:
    """Return the window of an image with the strongest gradients.

    Windows lie on a grid of 16 pixels, so that the crops of one image at several scales, whose HR
    differ by a few rows, show the same place; of equal ones the first counts.

    Args:
        hr: `(H, W, 3)` uint8.
        side: Of the window in pixels, a multiple of 16; the image's own where that is less.
    """
    height, width = min(side, hr.shape[0]), min(side, hr.shape[1])
    brightness = hr.sum(axis=2, dtype=np.int16)
    strength = np.zeros_like(brightness)
    strength[1:] += np.abs(np.diff(brightness, axis=0))
    strength[:, 1:] += np.abs(np.diff(brightness, axis=1))
    found = _window_sums(_window_sums(strength, height).T, width).T
    row, column = np.unravel_index(int(found.argmax()), found.shape)
    return int(row) * _STEP, int(column) * _STEP, height, width


def _window_sums(strength: npt.NDArray[np.integer[Any]], length: int) -> npt.NDArray[np.int64]:
    """Return the sums of columns over windows of rows, one row per window."""
    starts = np.arange(0, strength.shape[0], _STEP)
    blocks = np.add.reduceat(strength, starts, axis=0, dtype=np.int64)
    windows = 1 + (strength.shape[0] - length) // _STEP
    each = len(blocks) if windows == 1 else length // _STEP
    return np.stack([blocks[n : n + each].sum(axis=0) for n in range(windows)])


def cut(image: RgbArray, window: Corner) -> RgbArray:
    """Return a window of an `(H, W, 3)` image."""
    top, left, height, width = window
    return image[top : top + height, left : left + width]


def enlarged(case: Case, window: Corner) -> RgbArray:
    """Return LR under a window of HR, every pixel as large as it is there; `(height, width, 3)`."""
    lr = to_uint8(case.lr)
    top, left, height, width = window
    rows, columns = (
        ((start + np.arange(count) + 0.5) * small / large).astype(int)
        for start, count, small, large in (
            (top, height, lr.shape[0], case.size[0]),
            (left, width, lr.shape[1], case.size[1]),
        )
    )
    return lr[np.ix_(rows, columns)]


def _part(case: Case, output: Output, window: Corner) -> RgbArray:
    """Return a window of SR; rendered alone where nothing of the run looks at SR as a whole."""
    if output.image is None or output.rendered:
        return cut(to_uint8(output.sr), window)
    devices = range(torch.cuda.device_count())
    with torch.random.fork_rng(devices):  # numbers drawn for a picture move no measurement
        try:
            part = render_checked(output.image, window[2:], pixel_window(case.size, *window))
        except Exception as error:  # an upsampler may be anybody's code
            raise LiifBenchError(str(error)) from error
    return to_uint8(as_scored(part, case.protocol))


def png(pixels: RgbArray) -> bytes:
    """Return an `(H, W, 3)` uint8 image as PNG, the same bytes every time."""
    content = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, format="PNG", optimize=True)
    return content.getvalue()
