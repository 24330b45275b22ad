"""``liif-bench figure``: a run as a picture."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.options import Model, Models, chosen_models
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    import pandas as pd


class Kind(str, Enum):
    """What is drawn."""

    plane = "plane"
    scales = "scales"
    images = "images"
    errors = "errors"
    crops = "crops"
    spectra = "spectra"


def figure(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    kind: Annotated[
        Kind,
        typer.Option(
            help="plane: two metrics; scales: a metric against the scale; images: two models,"
            " image by image. Of the crops that the run kept of one image: errors: where models"
            " differ from HR; crops: LR, models and HR side by side; spectra: their power spectra."
        ),
    ] = Kind.plane,
    out: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write: .png, .svg or .pdf. By default a PNG here, named after what it"
            " shows.",
            show_default=False,
        ),
    ] = None,
    metric: Annotated[str, typer.Option(help="Metric of scales and images.")] = "psnr",
    baseline: Annotated[
        str | None,
        typer.Option(
            help="Model that differences are from: none by default in scales, bicubic in images.",
            show_default=False,
        ),
    ] = None,
    x: Annotated[str, typer.Option("--x", help="Metric along the plane's horizontal axis.")] = (
        "psnr"
    ),
    y: Annotated[str, typer.Option("--y", help="Metric along its vertical axis.")] = "lpips",
    models: Models = None,
    model: Model = None,
    scales: Annotated[
        str | None, typer.Option(help="Only these of the run's.", show_default=False)
    ] = None,
    item: Annotated[
        str | None,
        typer.Option(
            help="Image of errors, crops and spectra: the first that there are crops of by"
            " default.",
            show_default=False,
        ),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option("--data", help="Which of the run's data sets, if it has several.")
    ] = None,
) -> None:
    """Draw a run: models in the plane of two metrics, over scales, image by image, or its crops.

    By default perception (LPIPS) against distortion (PSNR): what is sharp and
    natural lies high, what is close to the original lies right.
    """
    from liif_bench.analysis.compare import chosen
    from liif_bench.analysis.crops import kept_of
    from liif_bench.paths import file_stem
    from liif_bench.records import load_run
    from liif_bench.reports.crops import draw_crops, draw_errors, draw_spectra
    from liif_bench.reports.figures import (
        FORMATS,
        draw_images,
        draw_plane,
        draw_scales,
        literal_names,
        write_figure,
    )
    from liif_bench.reports.tables import build_tables
    from liif_bench.suite import parse_scales

    if out is not None and out.suffix not in FORMATS:
        raise LiifBenchError(f"'{out}' is no figure: end it with {', '.join(FORMATS)}")
    names = chosen_models(models, model)
    over = baseline or "bicubic"
    beside = baseline if kind is Kind.scales else over if kind is Kind.images else None
    opened = load_run(run)
    records = chosen(
        _of_dataset(opened.records, dataset),
        models=names if names is None or beside is None else [*names, beside],
        scales=None if scales is None else parse_scales(scales),
    )
    with literal_names():
        if kind is Kind.plane:
            (table,) = build_tables(records)
            drawn, stem = draw_plane(table, x, y), file_stem(["perception-distortion"])
        elif kind is Kind.scales:
            drawn, stem = draw_scales(records, metric, baseline), file_stem([metric, "scales"])
        elif kind is Kind.images:
            one = _single(records, over)
            drawn = draw_images(records, metric, one, over)
            stem = file_stem([metric, "images", one, over])
        else:
            draws = {
                Kind.errors: draw_errors,
                Kind.crops: draw_crops,
                Kind.spectra: draw_spectra,
            }
            kept = kept_of(opened, records, item)
            drawn, stem = draws[kind](kept), file_stem([kept.item, kind.value])
        path = out or Path(f"{stem}.png")
        write_figure(drawn, path)
    print(path)


def _of_dataset(records: pd.DataFrame, name: str | None) -> pd.DataFrame:
    """Return the records of the data set that was asked for, or of the only one.

    Raises:
        LiifBenchError: There are several and none was named, or none of that name; there are no
            records.
    """
    from liif_bench.errors import unknown_name

    known = [str(each) for each in records["dataset"].unique()]
    if not known:
        raise LiifBenchError("there are no records yet: continue the run first")
    if name is None and len(known) > 1:
        raise LiifBenchError(
            f"the run has several data sets: choose with --data one of {', '.join(known)}"
        )
    if name is not None and name not in known:
        raise unknown_name("data set", name, known)
    return records[records["dataset"] == (name or known[0])]


def _single(records: pd.DataFrame, baseline: str) -> str:
    """Return the one model beside the baseline.

    Raises:
        LiifBenchError: There is none, or there are several.
    """
    others = [str(each) for each in records["upsampler"].unique() if each != baseline]
    if len(others) == 1:
        return others[0]
    if not others:
        raise LiifBenchError(f"there is no model to hold against {baseline}: name another baseline")
    raise LiifBenchError(f"name one with --model, to hold against {baseline}: {', '.join(others)}")
