"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]

Memory = Annotated[
    str | None,
    typer.Option(
        help="What an upsampler may hold beyond LR and output, as 256MiB; 512MiB by default.",
        show_default=False,
    ),
]

DataRoot = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the data sets; LIIF_BENCH_DATA, or else a folder of the cache, by default.",
        show_default=False,
    ),
]

Models = Annotated[str | None, typer.Option(help="Such as bicubic,liif-edsr; see 'list models'.")]

Model = Annotated[
    list[str] | None,
    typer.Option("--model", help="One model, taken as it stands, commas and all; may be repeated."),
]

AcrossProtocols = Annotated[
    bool,
    typer.Option(
        "--across-protocols", help="Show numbers of different protocols side by side all the same."
    ),
]


def chosen_models(models: str | None, model: list[str] | None) -> list[str] | None:
    """Return the models of --models and --model together; None where neither was given."""
    from liif_bench.suite import split_names

    if models is None and model is None:
        return None
    listed = [] if models is None else split_names(models, "model")
    return listed + [each.strip() for each in model or []]
