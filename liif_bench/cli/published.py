"""``liif-bench reproduce`` and ``liif-bench audit``: published numbers, met and explained."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids
from liif_bench.cli.options import DataRoot, Device, Model, chosen_models
from liif_bench.cli.output import plain
from liif_bench.errors import LiifBenchError


def reproduce(
    suite: Annotated[
        str,
        typer.Argument(
            help="Suite whose numbers are published: liif-table1, liif-table2, mmagic-liif.",
            show_default=False,
        ),
    ],
    scales: Annotated[
        str | None, typer.Option(help="Only these of the suite's, such as 2,4.")
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option("--data", help="Only this data set of the suite's; may be repeated."),
    ] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; a run found there is continued.", show_default=False),
    ] = None,
    style: Format = GridFormat.terminal,
    file: Output = None,
) -> None:
    """Measure a published table again and show ours beside it.

    Data sets that are not there are named with the way to get them, and the
    rest is measured. Exit code 1 where a confirmed value is missed by more
    than the rounding of its print.
    """
    from liif_bench.suite import make_plan, parse_scales

    check_output(style, file)
    plan = make_plan(
        suite,
        scales=None if scales is None else parse_scales(scales),
        data=datasets or None,
        data_root=data_root,
        device=device,
    )
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("starting torch"):
        from liif_bench.progress import Bars
        from liif_bench.reports.published import published_grid
        from liif_bench.reproduce import reproduce_plan
    done = reproduce_plan(plan, out, command=["liif-bench", *sys.argv[1:]], progress=Bars(console))
    put_grids([published_grid(plan.suite, done.comparisons, done.missing)], style, file)
    console.print(f"run: {plain(str(done.run.path))}", soft_wrap=True, highlight=False)
    if done.missed:
        raise typer.Exit(1)


def audit(
    target: Annotated[
        Path, typer.Argument(help="Folder of a run, or of SR images.", show_default=False)
    ],
    against: Annotated[
        str, typer.Option(help="Protocol that the others are held against.")
    ] = "liif-benchmark",
    protocols: Annotated[
        str | None,
        typer.Option(help="Presets or .toml files, comma-separated; every preset by default."),
    ] = None,
    metrics: Annotated[str, typer.Option(help="Some of psnr, ssim, lpips.")] = "psnr,ssim",
    scales: Annotated[str | None, typer.Option(help="Only these scales of the run.")] = None,
    models: Annotated[str | None, typer.Option(help="Only these models of the run.")] = None,
    model: Model = None,
    hr: Annotated[
        Path | None, typer.Option(help="For SR images: the folder of their HR images.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="For SR images: their scale.")] = None,
    data_root: DataRoot = None,
    device: Device = "auto",
    style: Format = GridFormat.terminal,
    file: Output = None,
) -> None:
    """Score the same outputs under every protocol and say which choice moves how much.

    A run's cases are rendered again, once for each way of making LR and of
    running the network. Images that you made elsewhere are audited with --hr
    and --scale; how their LR was made and their network run cannot be seen in
    them, so only the choices of scoring are compared.
    """
    from rich.console import Console

    from liif_bench.analysis.offsets import METRICS
    from liif_bench.errors import unknown_name
    from liif_bench.protocol import load_protocol, protocol_names
    from liif_bench.records import MANIFEST
    from liif_bench.suite import check_scale, parse_scales, split_names

    check_output(style, file)
    base = load_protocol(against)
    named = split_names(protocols, "protocol") if protocols else protocol_names()
    presets = [load_protocol(name) for name in named]
    wanted = split_names(metrics, "metric")
    for metric in wanted:
        if metric not in METRICS:
            raise unknown_name("audited metric", metric, METRICS)
    is_run = (target / MANIFEST).is_file()
    if is_run and (hr is not None or scale is not None):
        raise LiifBenchError(f"'{target}' is a run: --hr and --scale are for folders of images")
    if not is_run and (hr is None or scale is None):
        raise LiifBenchError(f"'{target}' is not a run: to audit images, add --hr and --scale")
    console = Console(stderr=True)
    with console.status("starting torch"):
        from liif_bench.audit import audit_images, audit_run
        from liif_bench.progress import Bars
        from liif_bench.records import load_run
        from liif_bench.reports.offsets import audit_grids
    if hr is not None and scale is not None:
        result = audit_images(
            target, hr, check_scale(scale), base, presets,
            metrics=wanted, device=device, progress=Bars(console),
        )  # fmt: skip
    else:
        result = audit_run(
            load_run(target), base, presets,
            metrics=wanted,
            scales=None if scales is None else parse_scales(scales),
            models=chosen_models(models, model),
            data_root=data_root, device=device, progress=Bars(console),
        )  # fmt: skip
    put_grids(audit_grids(result), style, file)
