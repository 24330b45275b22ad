"""``liif-bench weights``: what is registered, fetched and intact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from liif_bench.cli.output import plain
from liif_bench.errors import LiifBenchError

app = typer.Typer(
    help="Pre-trained weights: what is registered, fetched and intact.", no_args_is_help=True
)

Ids = Annotated[
    list[str] | None,
    typer.Argument(help="Ids, see 'weights list'; all by default.", show_default=False),
]


@app.command("list")
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
        grid.add_row(name, f"{weights.size / 1e6:.1f}", cached, plain(weights.description))
    console = Console()
    console.print(grid, highlight=False)
    console.print(f"cache: {plain(str(cache_dir()))}", soft_wrap=True, highlight=False)


@app.command("fetch")
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


@app.command("verify")
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
