"""The command line: thin commands, each importing what it needs when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli import (
    agreement,
    compare,
    data,
    doctor,
    explain,
    features,
    figure,
    gate,
    protocol,
    published,
    realism,
    report,
    resolution,
    scale,
    utility,
    weights,
    zoom,
)
from liif_bench.cli.options import (
    AcrossProtocols,
    DataRoot,
    Device,
    Memory,
    Model,
    Models,
    chosen_models,
)
from liif_bench.cli.output import plain, put_text
from liif_bench.crops import DEFAULT_CROPS
from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from rich.console import Console

    from liif_bench.records import Run
    from liif_bench.reports.tables import Table

_ENGINES = "Engine: where and how many at a time"

app = typer.Typer(
    help=(
        "Measure what happens to an image when a network zooms into it: PSNR, SSIM, LPIPS and what"
        " a classifier still recognises, at scales a network was trained for and far beyond."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


class EngineChoice(str, Enum):
    """Where cases are measured."""

    local = "local"
    processes = "processes"
    ray = "ray"


class PrecisionChoice(str, Enum):
    """Number formats of the networks."""

    float32 = "float32"
    bfloat16 = "bfloat16"
    float16 = "float16"


class TableFormat(str, Enum):
    """Formats of a table."""

    terminal = "terminal"
    markdown = "markdown"
    csv = "csv"
    latex = "latex"
    html = "html"


class Layout(str, Enum):
    """Layouts of a table."""

    metrics = "metrics"
    paper = "paper"
    per_image = "per-image"


class Highlight(str, Enum):
    """What is marked in a table."""

    none = "none"
    best = "best"
    second = "second"


class Kind(str, Enum):
    """What can be listed."""

    suites = "suites"
    models = "models"
    metrics = "metrics"
    datasets = "datasets"
    classifiers = "classifiers"
    encoders = "encoders"
    protocols = "protocols"
    ratings = "ratings"
    weights = "weights"


def _version(wanted: bool) -> None:
    if wanted:
        from liif_bench import __version__

        print(f"liif-bench {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    del version


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or path of a .toml file.")] = (
        "sample"
    ),
    scales: Annotated[
        str | None, typer.Option(help="Such as 2,4,8,30; any real number >= 1.")
    ] = None,
    models: Models = None,
    model: Model = None,
    metrics: Annotated[
        str | None, typer.Option(help="Such as psnr,lpips; see 'list metrics'.")
    ] = None,
    datasets: Annotated[
        list[str] | None,
        typer.Option("--data", help="Data set, such as set5 or folder:photos; may be repeated."),
    ] = None,
    data_root: DataRoot = None,
    limit: Annotated[
        int | None, typer.Option(help="Use only the first N images of each data set.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        PrecisionChoice | None, typer.Option(help="Instead of the protocol's.")
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(
            help="Of the zoom metrics, instead of the protocol's; see 'list classifiers'."
        ),
    ] = None,
    scoring: Annotated[
        str | None,
        typer.Option(
            "--protocol", help="Preset or .toml file instead of the suite's; see 'list protocols'."
        ),
    ] = None,
    memory: Memory = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; a run found there is continued.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For whatever draws random numbers.")] = 0,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Measure again the cases that hold an error.")
    ] = False,
    crops: Annotated[
        int,
        typer.Option(
            min=0, help="Images of each data set that small example crops are kept of; 0: none."
        ),
    ] = DEFAULT_CROPS,
    engine: Annotated[
        EngineChoice,
        typer.Option(
            help="Where cases are measured: this process, several on this machine, or a Ray"
            " cluster. Numbers do not depend on it.",
            rich_help_panel=_ENGINES,
        ),
    ] = EngineChoice.local,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Cases at work at a time; one per core by default.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Of PyTorch, per worker; the cores shared evenly by default.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    case_limit: Annotated[
        float | None,
        typer.Option(
            help="Seconds after which a case is an error and its worker is replaced.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    recycle: Annotated[
        str | None,
        typer.Option(
            help="Replace a worker that has more memory resident after a case, as 4GiB.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            help="'auto' or HOST:PORT of a Ray cluster; one of this machine by default.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            help="GPUs that each worker of Ray asks for, such as 0.5.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    part: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Measure one part, such as 2/3; 'merge' makes one run of all parts.",
            show_default=False,
            rich_help_panel=_ENGINES,
        ),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the plan and what it will take; measure nothing."),
    ] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Show where the time went, after the results.")
    ] = False,
    json_log: Annotated[
        Path | None,
        typer.Option(
            help="File that gets a JSON object per event, '-' for standard error.",
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Measure models on images and print the table.

    Without arguments: LIIF-EDSR against interpolation on the sample
    photographs at x2 to x30. A run that was killed goes on when the same
    command is given its folder with --out.
    """
    from rich.console import Console

    from liif_bench.engines import EngineOptions, make_engine
    from liif_bench.shards import parse_shard
    from liif_bench.suite import make_plan, parse_memory, parse_scales, split_names

    options = EngineOptions(
        name=engine.value,
        workers=workers,
        threads=threads,
        case_limit=case_limit,
        most_rss=None if recycle is None else parse_memory(recycle),
        ray_address=ray_address,
        gpus_per_worker=gpus_per_worker,
    )
    shard = None if part is None else parse_shard(part)

    plan = make_plan(
        suite,
        scales=None if scales is None else parse_scales(scales),
        models=chosen_models(models, model),
        metrics=None if metrics is None else split_names(metrics, "metric"),
        data=datasets or None,
        data_root=data_root,
        memory=None if memory is None else parse_memory(memory),
        limit=limit,
        device=device,
        precision=None if precision is None else precision.value,
        classifier=classifier,
        protocol=scoring,
        seed=seed,
    )
    if dry_run:
        from liif_bench.cli.scale import show_plan

        show_plan(plan, options, shard)
        return
    console = Console(stderr=True, quiet=quiet)
    with console.status("starting torch"):
        from liif_bench.harness import fresh_folder, run_plan
        from liif_bench.progress import Bars, logging_to
        from liif_bench.reports.tables import build_tables
    folder = out or fresh_folder(plan.suite)
    try:
        with logging_to(json_log) as log:
            finished = run_plan(
                plan,
                folder,
                engine=make_engine(options),
                shard=shard,
                retry_errors=retry_errors,
                crops=crops,
                command=["liif-bench", *sys.argv[1:]],
                progress=Bars(console),
                log=log,
            )
    except KeyboardInterrupt:
        print(f"interrupted: to go on, give the same command with --out {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    tables = build_tables(finished.records)
    written = _write_tables(finished, tables)
    if not quiet:
        _show(finished, tables, written, console)
        if profile:
            _show_profile(finished)
    if finished.records["value"].notna().sum() == 0:
        raise LiifBenchError(f"nothing could be measured: '{finished.path}' holds the reasons")


def _write_tables(run: Run, tables: Sequence[Table]) -> list[Path]:
    from liif_bench.records import RECORDS, write_whole, writing
    from liif_bench.reports.formats import render

    written = [run.path / RECORDS]
    for name, style in (("table.md", "markdown"), ("table.csv", "csv")):
        with writing(run.path / name) as path:
            write_whole(path, render(tables, style).encode())
        written.append(path)
    return written


def _show(run: Run, tables: Sequence[Table], written: Sequence[Path], console: Console) -> None:
    from rich.console import Console

    from liif_bench.reports.formats import print_tables
    from liif_bench.reports.tables import failure_lines

    out = Console()
    print_tables(tables, out)
    for line in failure_lines(run.records):
        console.print(f"[yellow]no value:[/] {plain(line)}", soft_wrap=True, highlight=False)
    seconds = run.manifest["wall_seconds"]
    minutes = f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
    memory = run.manifest.get("peak_rss_bytes", 0) / 2**30
    each = " in a process" if run.manifest.get("engine", {}).get("workers", 1) > 1 else ""
    out.print(
        f"{len(run.records)} records in {minutes}, at most {memory:.1f} GiB resident{each}",
        highlight=False,
    )
    for path in written:
        out.print(f"  {plain(str(path))}", soft_wrap=True, highlight=False)


def _show_profile(run: Run) -> None:
    from rich.console import Console

    from liif_bench.reports.grids import print_grids
    from liif_bench.reports.profile import profile_grid

    out = Console()
    out.print()
    print_grids([profile_grid(run.manifest)], out)


@app.command()
def table(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of one or more runs.", show_default=False)
    ],
    style: Annotated[
        TableFormat, typer.Option("--format", help="Where the table will be read.")
    ] = TableFormat.terminal,
    layout: Annotated[
        Layout,
        typer.Option(help="Metrics together, a table per metric as in papers, or every image."),
    ] = Layout.metrics,
    highlight: Annotated[
        Highlight | None,
        typer.Option(
            help="What is marked; the second too in latex and html by default.", show_default=False
        ),
    ] = None,
    precision: Annotated[
        int | None, typer.Option(min=0, max=10, help="Decimals; each metric's own by default.")
    ] = None,
    references: Annotated[
        bool, typer.Option("--references", help="Show published rows beside the measured ones.")
    ] = False,
    across_protocols: AcrossProtocols = False,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of the screen.")
    ] = None,
) -> None:
    """Print the table of a run again, or of several runs side by side."""
    from rich.console import Console

    from liif_bench.analysis.combine import combine
    from liif_bench.records import load_run
    from liif_bench.references import shipped_references
    from liif_bench.reports.formats import print_tables, render
    from liif_bench.reports.tables import BEST, SECOND, build_tables

    if highlight is None:
        marks = SECOND if style in (TableFormat.latex, TableFormat.html) else BEST
    else:
        marks = highlight.value
    records = combine([load_run(run) for run in runs], across_protocols=across_protocols)
    tables = build_tables(
        records,
        precision,
        shipped_references() if references else (),
        across_protocols=across_protocols,
        layout=layout.value,
        highlight=marks,
    )
    if style is not TableFormat.terminal:
        put_text(render(tables, style.value), out)
    elif out is None:
        print_tables(tables, Console())
    else:
        raise LiifBenchError("--output needs --format markdown, csv, latex or html")


app.command()(compare.compare)
app.command()(figure.figure)
app.command()(zoom.zoom)
app.command()(features.features)
app.command()(resolution.resolution)
app.command()(agreement.agreement)
app.command()(explain.explain)
app.command()(realism.realism)
app.command()(utility.utility)
app.command()(report.report)
app.command()(published.reproduce)
app.command()(published.audit)
app.command()(gate.gate)
app.command()(scale.merge)
app.command()(scale.status)


@app.command()
def upscale(
    image: Annotated[Path, typer.Argument(help="PNG, JPEG, WebP, BMP or TIFF.")],
    scale: Annotated[float, typer.Option("--scale", "-s", help="Any real number >= 1.")] = 4.0,
    model: Annotated[str, typer.Option("--model", "-m", help="See 'list models'.")] = "liif-edsr",
    out: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File to write; IMAGE_xSCALE_MODEL.png here by default."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
    device: Device = "auto",
    precision: Annotated[
        PrecisionChoice, typer.Option(help="Number format of the network.")
    ] = PrecisionChoice.float32,
    memory: Memory = None,
) -> None:
    """Zoom one picture."""
    from rich.console import Console

    from liif_bench.suite import check_scale, parse_memory
    from liif_bench.upsamplers import UPSAMPLERS

    check_scale(scale)
    budget = None if memory is None else parse_memory(memory)
    UPSAMPLERS.parse(model)
    target = out or Path(f"{image.stem}_x{scale:g}_{model.partition(':')[0]}.png")
    if target.exists() and not overwrite:
        raise LiifBenchError(f"'{target}' is already there: add --overwrite, or name another -o")
    console = Console(stderr=True)
    with console.status("starting torch"):
        from liif_bench.upscale import upscale_file
    size = upscale_file(
        image, target, scale, model,
        device=device, precision=precision.value, memory=budget, console=console,
    )  # fmt: skip
    print(f"{target} ({size[1]}x{size[0]})")


@app.command("list")
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)],
) -> None:
    """List what can be named on the command line."""
    from rich.console import Console
    from rich.table import Table

    grid = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, summary in _listing(kind):
        grid.add_row(plain(name), plain(summary))
    Console().print(grid, highlight=False)


def _listing(kind: Kind) -> list[tuple[str, str]]:
    if kind is Kind.suites:
        from liif_bench.suite import load_suite, suite_names

        return [(name, load_suite(name).description) for name in suite_names()]
    if kind is Kind.protocols:
        from liif_bench.protocol import load_protocol, protocol_names

        return [(name, load_protocol(name).description) for name in protocol_names()]
    if kind is Kind.weights:
        from liif_bench.weights.registry import registry

        return [(name, weights.description) for name, weights in registry().items()]
    from liif_bench.datasets import DATASETS
    from liif_bench.downstream import CLASSIFIERS, ENCODERS
    from liif_bench.metrics import METRICS
    from liif_bench.ratings import RATINGS
    from liif_bench.upsamplers import UPSAMPLERS

    parts = {
        Kind.models: UPSAMPLERS,
        Kind.metrics: METRICS,
        Kind.datasets: DATASETS,
        Kind.ratings: RATINGS,
        Kind.classifiers: CLASSIFIERS,
        Kind.encoders: ENCODERS,
    }[kind]
    return [(entry.usage, entry.summary) for entry in parts.entries().values()]


app.command()(doctor.doctor)
app.add_typer(gate.app, name="baseline")
app.add_typer(protocol.app, name="protocol")
app.add_typer(data.app, name="data")
app.add_typer(weights.app, name="weights")
