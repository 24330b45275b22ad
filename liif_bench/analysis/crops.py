"""What a run's crops of one image show: pixels, errors and spectra, beside the image's numbers."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from PIL import Image

from liif_bench.crops import HR, LR, Crop, CropFolder, crops_by_case
from liif_bench.errors import LiifBenchError, one_line
from liif_bench.metrics.realism.spectra import RadialSpectrum, radial_spectrum
from liif_bench.records import CaseKey, Run

Pixels = npt.NDArray[np.uint8]
"""An image, `(H, W, 3)` RGB."""

Floats = npt.NDArray[np.float64]

FIRST = "bicubic"
"""The model that stands before all others."""

METRICS = ("psnr", "lpips")
"""Whose values of the whole image stand beside crops, as far as the run has them."""

_LUMA = (0.299, 0.587, 0.114)  # full-range BT.601, as the metrics of realism see an image
_NOT_MEASURED = "not measured"
_NO_CROP = "no crop kept"


@dataclass(frozen=True)
class Number:
    """What a record says.

    Attributes:
        value: None where there is none.
        reason: Why there is none; "" where there is one.
    """

    value: float | None
    reason: str = ""


@dataclass(frozen=True)
class View:
    """One window of an image at one scale.

    Attributes:
        window: The crop of HR; says where the window lies.
        lr_size: Height and width of LR, None where no record says so.
        pixels: By `HR`, `LR` and model; models without a crop are missing.
        numbers: By model and metric.
        missing: Why a model has no crop, by model.
    """

    window: Crop
    lr_size: tuple[int, int] | None
    pixels: Mapping[str, Pixels]
    numbers: Mapping[tuple[str, str], Number]
    missing: Mapping[str, str]

    @property
    def scale(self) -> float:
        """HR size / LR size."""
        return self.window.scale

    @property
    def place(self) -> str:
        """Where the window lies, in words."""
        top, left = self.window.top, self.window.left
        rows, columns = top + self.window.height, left + self.window.width
        return f"rows {top} to {rows}, columns {left} to {columns}"


@dataclass(frozen=True)
class Kept:
    """The crops of one image.

    Attributes:
        dataset: Name of the data set.
        item: Name of the image.
        protocol: Name and hash of the protocol.
        models: Bicubic first, then in the order of the records.
        metrics: Those of `METRICS` that the records have.
        views: One per scale, ascending.
    """

    dataset: str
    item: str
    protocol: str
    models: tuple[str, ...]
    metrics: tuple[str, ...]
    views: tuple[View, ...]


def kept_of(run: Run, records: pd.DataFrame, item: str | None = None) -> Kept:
    """Read the crops that a run has kept of one image.

    Args:
        run: The run.
        records: Those of its records that count, of one data set: only their scales and models
            are read.
        item: Name of the image; the first that there are crops of where None.

    Raises:
        LiifBenchError: There are no crops, or none of that image; a file cannot be read.
    """
    folder = CropFolder(run.path)
    dataset = str(records["dataset"].iloc[0])
    known = set(records[["item", "scale"]].drop_duplicates().itertuples(index=False, name=None))
    cases = {
        case: crops
        for case, crops in crops_by_case(folder.crops).items()
        if case[0] == dataset and case[1:] in known and {HR, LR} <= set(crops)
    }
    items = list(dict.fromkeys(case[1] for case in cases))
    if not items:
        raise LiifBenchError(
            f"'{run.path}' has kept no crops of '{dataset}' at these scales: measure it into a new"
            " folder with liif-bench run --crops N, which keeps those of N images"
        )
    if item is not None and item not in items:
        raise LiifBenchError(
            f"'{run.path}' has kept no crops of '{item}': choose from {', '.join(items)}"
        )
    item = item or items[0]
    everyone = [str(name) for name in records["upsampler"].unique()]
    models = [name for name in everyone if name.upper() not in (HR, LR)]
    models.sort(key=lambda name: name != FIRST)
    measured = set(records["metric"].unique())
    metrics = tuple(metric for metric in METRICS if metric in measured)
    mine = records[records["item"] == item]
    protocols = mine[["protocol", "protocol_hash"]].drop_duplicates().itertuples(index=False)
    return Kept(
        dataset=dataset,
        item=item,
        protocol=" and ".join(f"{name} ({digest})" for name, digest in protocols),
        models=tuple(models),
        metrics=metrics,
        views=tuple(
            _view(folder, cases[case], mine[mine["scale"] == case[2]], models, metrics)
            for case in sorted((case for case in cases if case[1] == item), key=_scale)
        ),
    )


def _scale(case: CaseKey) -> float:
    return case[2]


def _view(
    folder: CropFolder,
    crops: Mapping[str, Crop],
    rows: pd.DataFrame,
    models: Sequence[str],
    metrics: Sequence[str],
) -> View:
    """Read one case; `rows` are its records."""
    sizes = rows[["lr_h", "lr_w"]].dropna()
    return View(
        window=crops[HR],
        lr_size=None if sizes.empty else (int(sizes.iloc[0, 0]), int(sizes.iloc[0, 1])),
        pixels={name: _pixels(folder, crops[name]) for name in (HR, LR, *models) if name in crops},
        numbers={
            (model, metric): _number(rows, model, metric) for model in models for metric in metrics
        },
        missing={model: _why(rows, model) for model in models if model not in crops},
    )


def _number(rows: pd.DataFrame, model: str, metric: str) -> Number:
    found = rows[(rows["upsampler"] == model) & (rows["metric"] == metric)]
    if found.empty:
        return Number(None, _NOT_MEASURED)
    value, error = found[["value", "error"]].iloc[0]
    return Number(None, str(error)) if pd.isna(value) else Number(float(value))


def _why(rows: pd.DataFrame, model: str) -> str:
    """Return why a model has no crop: its first error, if it has one."""
    errors = rows.loc[rows["upsampler"] == model, "error"].dropna()
    return _NO_CROP if errors.empty else str(errors.iloc[0])


def _pixels(folder: CropFolder, crop: Crop) -> Pixels:
    """Decode a crop.

    Raises:
        LiifBenchError: The file cannot be read, or is not an image of the size that the index says.
    """
    path = folder.path / crop.file
    try:
        with Image.open(io.BytesIO(folder.content(crop)), formats=["PNG"]) as image:
            _check_size(image, crop)  # before anything is decoded
            return np.asarray(image.convert("RGB"))
    except LiifBenchError:
        raise
    except Exception as error:  # decoders raise almost anything on damaged bytes
        raise LiifBenchError(f"'{path}' cannot be decoded: {one_line(error)}") from error


def _check_size(image: Image.Image, crop: Crop) -> None:
    if image.size != (crop.width, crop.height):
        raise LiifBenchError(
            f"'{crop.file}' has {image.width}x{image.height} pixels, the index of crops says"
            f" {crop.width}x{crop.height}: measure the run again"
        )


def error_map(sr: Pixels, hr: Pixels) -> Floats:
    """Return `|SR - HR|` by pixel, the mean over the three channels, in 8-bit levels.

    Args:
        sr: `(H, W, 3)`.
        hr: The same.

    Returns:
        `(H, W)` in [0, 255].
    """
    difference = np.abs(sr.astype(np.int16) - hr.astype(np.int16))
    levels: Floats = difference.mean(axis=2, dtype=np.float64)
    return levels


def spectrum_of(pixels: Pixels) -> RadialSpectrum:
    """Return the radial power spectrum of a crop's luma in [0, 1].

    Raises:
        LiifBenchError: A side is shorter than 32 pixels.
    """
    return radial_spectrum(pixels @ np.asarray(_LUMA) / 255)
