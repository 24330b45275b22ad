"""``merge``, ``status`` and ``run --dry-run``: long runs, from the outside."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from liif_bench.cli.output import plain

if TYPE_CHECKING:
    from liif_bench.engines import EngineOptions
    from liif_bench.shards import Shard
    from liif_bench.suite import Plan


def merge(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of the runs to put together.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="Folder of the merged run, new.", show_default=False)],
) -> None:
    """Make one run of the parts that 'run --shard' measured.

    Cases that no part holds are named; the command that measures them
    is that of the parts, without --shard and with --out of the merged run.
    """
    from liif_bench.merge import merge_runs

    merged = merge_runs(runs, out)
    total, done = merged.manifest["cases"], merged.cases_done
    print(f"{out}: {done} of {total} cases, {merged.manifest['errors']} values missing")
    if done < total:
        print(f"{total - done} cases are not measured: give the parts' command with --out {out}")


def status(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
) -> None:
    """Show how far a run is, also while another process writes it."""
    from rich.console import Console

    from liif_bench.progress import live_view
    from liif_bench.status import read_status

    found = read_status(run)
    console = Console()
    of = "" if found.total is None else f" of {found.total}"
    who = ""
    if found.process:
        who = f" by process {found.process.get('pid')} on {found.process.get('host')}"
    console.print(
        f"[bold]{plain(str(run))}[/]: {found.state}{plain(who)}, {found.done}{of} cases,"
        f" {found.failures} value{'' if found.failures == 1 else 's'} missing",
        highlight=False,
        soft_wrap=True,
    )
    if found.snapshot is not None:
        console.print(live_view(found.snapshot))
        console.print(f"[dim]as of {found.age:.0f} s ago[/]", highlight=False)
    if found.state == "stopped":
        command = shlex.join(found.command)
        out = "" if "--out" in found.command else f" --out {shlex.quote(str(run))}"
        console.print(f"to go on: {plain(command)}{plain(out)}", highlight=False, soft_wrap=True)


def show_plan(plan: Plan, engine: EngineOptions, shard: Shard | None) -> None:
    """Print what a plan will measure and what that will take; see `liif_bench.estimate`."""
    from rich.console import Console

    from liif_bench.estimate import estimate
    from liif_bench.reports.estimate import estimate_grids
    from liif_bench.reports.grids import print_grids

    print_grids(estimate_grids(estimate(plan, engine, shard)), Console())
