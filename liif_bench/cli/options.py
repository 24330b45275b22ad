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

AcrossProtocols = Annotated[
    bool,
    typer.Option(
        "--across-protocols", help="Show numbers of different protocols side by side all the same."
    ),
]
