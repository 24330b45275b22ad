"""The command line: thin commands, each importing what it needs when it is called."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.errors import LiifBenchError

if TYPE_CHECKING:
    from rich.console import Console

    from liif_bench.records import Run

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
weights_app = typer.Typer(
    help="Pre-trained weights: what is registered, fetched and intact.", no_args_is_help=True
)
app.add_typer(weights_app, name="weights")


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


class Kind(str, Enum):
    """What can be listed."""

    suites = "suites"
    models = "models"
    metrics = "metrics"
    datasets = "datasets"
    protocols = "protocols"
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


Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")]


@app.command()
def run(
    suite: Annotated[str, typer.Argument(help="Name of a suite, or path of a .toml file.")] = (
        "sample"
    ),
    scales: Annotated[
        str | None, typer.Option(help="Such as 2,4,8,30; any real number >= 1.")
    ] = None,
    models: Annotated[
        str | None, typer.Option(help="Such as bicubic,liif-edsr; see 'list models'.")
    ] = None,
    metrics: Annotated[
        str | None, typer.Option(help="Such as psnr,lpips; see 'list metrics'.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(help="Data set, such as folder:photos; may be repeated."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option(help="Use only the first N images of each data set.")
    ] = None,
    device: Device = "auto",
    precision: Annotated[
        PrecisionChoice | None, typer.Option(help="Instead of the protocol's.")
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="Instead of the suite's; see 'list protocols'.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder of the run; a run found there is continued.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option(help="For whatever draws random numbers.")] = 0,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="Measure again the cases that hold an error.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no table.")] = False,
) -> None:
    """Measure models on images and print the table.

    Without arguments: LIIF-EDSR against interpolation on the sample photographs at x2 to x30.
    A run that was killed goes on when the same command is given its folder with --out.
    """
    from rich.console import Console

    from liif_bench.suite import make_plan, parse_scales, split_names

    plan = make_plan(
        suite,
        scales=None if scales is None else parse_scales(scales),
        models=None if models is None else split_names(models, "model"),
        metrics=None if metrics is None else split_names(metrics, "metric"),
        data=data or None,
        limit=limit,
        device=device,
        precision=None if precision is None else precision.value,
        protocol=protocol,
        seed=seed,
    )
    console = Console(stderr=True, quiet=quiet)
    with console.status("starting torch"):
        from liif_bench.harness import fresh_folder, run_plan
        from liif_bench.progress import Bars
    folder = out or fresh_folder(plan.suite)
    try:
        finished = run_plan(
            plan,
            folder,
            retry_errors=retry_errors,
            command=["liif-bench", *sys.argv[1:]],
            progress=Bars(console),
        )
    except KeyboardInterrupt:
        print(f"interrupted: to go on, give the same command with --out {folder}", file=sys.stderr)
        raise typer.Exit(130) from None
    written = _write_tables(finished)
    if not quiet:
        _show(finished, written, console)
    if finished.records["value"].notna().sum() == 0:
        raise LiifBenchError(f"nothing could be measured: '{finished.path}' holds the reasons")


def _write_tables(run: Run) -> list[Path]:
    from liif_bench.records import RECORDS, write_whole
    from liif_bench.reports.tables import render

    written = [run.path / RECORDS]
    for name, style in (("table.md", "markdown"), ("table.csv", "csv")):
        write_whole(run.path / name, render(run, style).encode())
        written.append(run.path / name)
    return written


def _show(run: Run, written: Sequence[Path], console: Console) -> None:
    from rich.console import Console

    from liif_bench.reports.tables import failure_lines, print_tables

    out = Console()
    print_tables(run, out)
    for line in failure_lines(run):
        console.print(f"[yellow]no value:[/] {_plain(line)}", soft_wrap=True, highlight=False)
    seconds = run.manifest["wall_seconds"]
    minutes = f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
    memory = run.manifest.get("peak_rss_bytes", 0) / 2**30
    out.print(
        f"{len(run.records)} records in {minutes}, at most {memory:.1f} GiB resident",
        highlight=False,
    )
    for path in written:
        out.print(f"  {_plain(str(path))}", soft_wrap=True, highlight=False)


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@app.command()
def table(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    style: Annotated[
        TableFormat, typer.Option("--format", help="Where the table will be read.")
    ] = TableFormat.terminal,
    precision: Annotated[
        int | None, typer.Option(min=0, max=10, help="Decimals; each metric's own by default.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write instead of the screen.")
    ] = None,
) -> None:
    """Print a run's table again, for the terminal, Markdown, CSV or LaTeX."""
    from rich.console import Console

    from liif_bench.records import load_run, write_whole
    from liif_bench.reports.tables import print_tables, render

    finished = load_run(run)
    if style is TableFormat.terminal and out is None:
        print_tables(finished, Console(), precision)
        return
    if style is TableFormat.terminal:
        raise LiifBenchError("--output needs --format markdown, csv or latex")
    text = render(finished, style.value, precision)
    if out is None:
        print(text, end="")
        return
    try:
        write_whole(out, text.encode())
    except OSError as error:
        raise LiifBenchError(f"cannot write '{out}': {error.strerror}") from error


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
) -> None:
    """Zoom one picture."""
    from rich.console import Console

    from liif_bench.suite import check_scale
    from liif_bench.upsamplers import UPSAMPLERS

    check_scale(scale)
    UPSAMPLERS.parse(model)
    target = out or Path(f"{image.stem}_x{scale:g}_{model.partition(':')[0]}.png")
    if target.exists() and not overwrite:
        raise LiifBenchError(f"'{target}' is already there: add --overwrite, or name another -o")
    console = Console(stderr=True)
    with console.status("starting torch"):
        from liif_bench.upscale import upscale_file
    size = upscale_file(
        image, target, scale, model, device=device, precision=precision.value, console=console
    )
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
        grid.add_row(_plain(name), _plain(summary))
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
    from liif_bench.metrics import METRICS
    from liif_bench.upsamplers import UPSAMPLERS

    parts = {Kind.models: UPSAMPLERS, Kind.metrics: METRICS, Kind.datasets: DATASETS}[kind]
    return [(entry.usage, entry.summary) for entry in parts.entries().values()]


Ids = Annotated[
    list[str] | None,
    typer.Argument(help="Ids, see 'weights list'; all by default.", show_default=False),
]


@weights_app.command("list")
def weights_list() -> None:
    """Show every registered file: what it is, how large, and whether it is in the cache."""
    from rich.console import Console
    from rich.table import Table

    from liif_bench.weights.fetch import cache_dir, cached_path
    from liif_bench.weights.registry import registry

    grid = Table(box=None, padding=(0, 2, 0, 0))
    grid.add_column("id", style="bold", no_wrap=True)
    grid.add_column("MB", justify="right", no_wrap=True)
    grid.add_column("cached", no_wrap=True)
    grid.add_column("what it is", overflow="fold")
    for name, weights in registry().items():
        cached = "yes" if cached_path(name).is_file() else "-"
        grid.add_row(name, f"{weights.size / 1e6:.1f}", cached, _plain(weights.description))
    console = Console()
    console.print(grid, highlight=False)
    console.print(f"cache: {_plain(str(cache_dir()))}", soft_wrap=True, highlight=False)


@weights_app.command("fetch")
def weights_fetch(
    ids: Ids = None,
    force: Annotated[
        bool, typer.Option("--force", help="Fetch even what is cached and intact.")
    ] = False,
) -> None:
    """Fetch weights through your own package index and check both hashes."""
    from liif_bench.weights.fetch import fetch

    for name in _known_weights(ids):
        print(f"{name}: {fetch(name, force=force)}")


@weights_app.command("verify")
def weights_verify(ids: Ids = None) -> None:
    """Hash the cached files again; exit 2 if one is not what the registry says."""
    from liif_bench.weights.fetch import cached_path, verify

    states = verify(_known_weights(ids))
    for name, state in states:
        print(f"{name}: {state}")
    wrong = [name for name, state in states if state == "mismatch"]
    if ids:
        wrong += [name for name, state in states if state == "missing"]
    if wrong:
        raise LiifBenchError(
            f"not as registered: {', '.join(str(cached_path(name)) for name in wrong)};"
            f" run 'liif-bench weights fetch {' '.join(wrong)}'"
        )


def _known_weights(ids: Sequence[str] | None) -> list[str]:
    from liif_bench.weights.registry import lookup, registry

    return [lookup(name).id for name in ids] if ids else list(registry())
