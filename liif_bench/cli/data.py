"""``liif-bench data``: the named data sets, where they lie, and whether they are whole."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.options import DataRoot
from liif_bench.cli.output import plain
from liif_bench.errors import DataUnavailableError, LiifBenchError

if TYPE_CHECKING:
    from liif_bench.datasets.benchmarks import Benchmark

app = typer.Typer(
    help="Published data sets: what can be named, what is there, and how to get the rest.",
    no_args_is_help=True,
)


@app.command("list")
def data_list(data_root: DataRoot = None) -> None:
    """Show every named set: its size, the scales with LR files, and where it lies.

    Images are counted as found of published, where the two differ. '-' means
    that the set is not there; 'liif-bench data fetch' gets it, all but
    imagenet-sample, which is a folder of your own.
    """
    from rich.console import Console
    from rich.table import Table

    from liif_bench.datasets.benchmarks import read_benchmarks
    from liif_bench.datasets.imagenet import SAMPLE_FOLDER
    from liif_bench.datasets.imagenet_hard import NAME

    root = _root(data_root)
    grid = Table(box=None, padding=(0, 2, 0, 0))
    grid.add_column("name", style="bold", no_wrap=True)
    grid.add_column("title", no_wrap=True)
    grid.add_column("images", justify="right", no_wrap=True)
    grid.add_column("LR", no_wrap=True)
    grid.add_column("where", overflow="fold")
    for benchmark in read_benchmarks().values():
        images, scales, where = _found(benchmark, root)
        grid.add_row(benchmark.name, benchmark.title, images, scales, plain(where))
    for name, title, folder in (
        ("imagenet-sample", "ImageNet, your sample", root / SAMPLE_FOLDER),
        (NAME, "ImageNet-Hard", root / NAME),
    ):
        images, where = _found_labelled(name, folder)
        grid.add_row(name, title, images, "-", plain(where))
    console = Console()
    console.print(grid, highlight=False)
    console.print(f"data root: {plain(str(root))}", soft_wrap=True, highlight=False)


@app.command("fetch")
def data_fetch(
    names: Annotated[
        list[str],
        typer.Argument(help="Such as set5 div2k-valid; see 'data list'.", show_default=False),
    ],
    data_root: DataRoot = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Fetch even what is there; the folder in its place is kept aside."
        ),
    ] = False,
    keep_archive: Annotated[
        bool,
        typer.Option("--keep-archive", help="Leave what was downloaded in '.downloads'."),
    ] = False,
) -> None:
    """Download sets from their official addresses, check the hashes and store the images.

    A set that is there and whole is left alone. Set5, Set14, B100 and Urban100
    come in one file of 250 MB: name them together to download it once. DIV2K
    validation is 650 MB. ImageNet-Hard comes from the Hugging Face hub, through
    the library 'datasets', which checks what it gets.
    """
    from liif_bench.datasets import imagenet_hard
    from liif_bench.datasets.download import fetch

    benchmarks = _named([name for name in names if name != imagenet_hard.NAME])
    if imagenet_hard.NAME in names:
        _require(imagenet_hard.NAME)
    root = _root(data_root)
    for done in fetch(benchmarks, root, force=force, keep_archives=keep_archive):
        _print_place(done.benchmark.name, done.folder, done.is_new, done.aside)
    if imagenet_hard.NAME in names:
        placed = imagenet_hard.fetch(root, force=force)
        _print_place(imagenet_hard.NAME, placed.folder, placed.is_new, placed.aside)


@app.command("verify")
def data_verify(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Sets, see 'data list'; all that are there by default.", show_default=False
        ),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Check images, LR files, their sizes and, of fetched sets, the hashes; exit 2 if one fails."""
    benchmarks = _named(names or [])
    from liif_bench.datasets.benchmarks import read_benchmarks
    from liif_bench.datasets.verify import verify

    root = _root(data_root)
    wrong: list[str] = []
    for benchmark in benchmarks or read_benchmarks().values():
        try:
            problems = verify(benchmark, root)
        except DataUnavailableError:
            if names:
                raise
            print(f"{benchmark.name}: not there")
            continue
        print(f"{benchmark.name}: {'whole' if not problems else f'{len(problems)} wrong'}")
        for problem in problems:
            print(f"  {problem}")
        wrong += [benchmark.name] if problems else []
    if wrong:
        raise LiifBenchError(
            f"not as published, for the reasons above: {', '.join(wrong)}; 'liif-bench data fetch"
            f" {' '.join(wrong)} --force' gets the published files and keeps the old ones aside"
        )


def _root(data_root: Path | None) -> Path:
    from liif_bench.datasets.root import default_data_root
    from liif_bench.paths import user_path

    return default_data_root() if data_root is None else user_path(str(data_root)).absolute()


def _named(names: Sequence[str]) -> list[Benchmark]:
    from liif_bench.datasets import imagenet_hard
    from liif_bench.datasets.benchmarks import lookup

    for name in names:
        if name in ("imagenet-sample", imagenet_hard.NAME):
            raise LiifBenchError(
                f"'{name}' has no published listing to fetch or verify it by: see docs/data.md"
            )
    return [lookup(name) for name in names]


def _require(name: str) -> None:
    from liif_bench.datasets import DATASETS

    entry, _ = DATASETS.parse(name)
    if entry.missing:
        raise LiifBenchError(DATASETS.lack(entry))


def _print_place(name: str, folder: Path, is_new: bool, aside: Path | None) -> None:
    print(f"{name}: {folder}{'' if is_new else ' (already there)'}")
    if aside:
        print(f"  what was there before is now '{aside}'")


def _found_labelled(name: str, folder: Path) -> tuple[str, str]:
    """Return the cells of a set of labelled images: their number, and where they lie."""
    from liif_bench.datasets import load_dataset

    try:
        return str(len(load_dataset(name, folder.parent).items)), str(folder)
    except DataUnavailableError:
        return "-", "-"
    except LiifBenchError as error:
        return "?", str(error)


def _found(benchmark: Benchmark, root: Path) -> tuple[str, str, str]:
    """Return the cells of a set: images, scales with LR files, where it lies."""
    from liif_bench.datasets.benchmarks import locate
    from liif_bench.datasets.layouts import read_layout

    folder = locate(benchmark, root)
    if folder is None:
        return str(benchmark.images), "-", "-"
    try:
        items = read_layout(folder)
    except LiifBenchError:
        return f"? of {benchmark.images}", "?", f"{folder} (see 'data verify')"
    part = "" if len(items) == benchmark.images else f"{len(items)} of "
    scales = " ".join(f"x{scale:g}" for scale in items[0].lr_paths)
    return f"{part}{benchmark.images}", scales or "-", str(folder)
