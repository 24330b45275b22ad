"""``liif-bench protocol``: every choice that moves a number, shown and compared."""

from __future__ import annotations

from typing import Annotated

import typer

from liif_bench.cli.output import plain

app = typer.Typer(
    help="Protocols: every choice that moves a number, shown and compared.", no_args_is_help=True
)

Name = Annotated[
    str, typer.Argument(help="Preset, see 'list protocols', or a .toml file.", show_default=False)
]


@app.command()
def show(name: Name) -> None:
    """Print a preset with the meaning of each field; the text is a preset file itself.

    To make your own: save it as mine.toml, change it, and name it with
    --protocol mine.toml.
    """
    from liif_bench.protocol import load_protocol, to_toml

    print(to_toml(load_protocol(name)), end="")


@app.command()
def diff(
    first: Name,
    second: Annotated[
        str | None,
        typer.Argument(help="Another; every shipped preset by default.", show_default=False),
    ] = None,
) -> None:
    """Print the fields in which a protocol differs from another, or from each preset."""
    from rich.console import Console
    from rich.table import Table

    from liif_bench.protocol import differences, field_meanings, load_protocol, protocol_names

    one = load_protocol(first)
    names = [second] if second else [name for name in protocol_names() if name != one.name]
    meanings = field_meanings()
    console = Console()
    for name in names:
        other = load_protocol(name)
        found = differences(one, other)
        if not found:
            console.print(
                f"{plain(one.name)} and {plain(other.name)} give the same numbers"
                f" (hash {one.hash})\n",
                highlight=False,
            )
            continue
        grid = Table(box=None, padding=(0, 2, 0, 0))
        grid.add_column("field", style="bold", no_wrap=True)
        grid.add_column(plain(one.name), overflow="fold")
        grid.add_column(plain(other.name), overflow="fold")
        grid.add_column("what it says", overflow="fold", style="dim")
        for field, ours, theirs in found:
            grid.add_row(field, plain(_shown(ours)), plain(_shown(theirs)), meanings[field])
        console.print(grid, highlight=False)
        console.print()


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
