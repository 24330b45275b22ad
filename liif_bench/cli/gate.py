"""``liif-bench gate`` and ``liif-bench baseline``: may this change land?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from liif_bench.cli.grids import Format, GridFormat, Output, check_output, put_grids

app = typer.Typer(help="Save the values of a run to be committed, and compare them.")

Source = Annotated[
    Path, typer.Argument(help="Folder of a run, or a baseline file.", show_default=False)
]


def gate(
    candidate: Source,
    baseline: Annotated[
        Path,
        typer.Option("--baseline", "-b", help="Baseline file, or folder of a run."),
    ],
    rules: Annotated[
        Path | None,
        typer.Option(help="TOML file of tolerances instead of the default ones."),
    ] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML to write.")] = None,
    summary: Annotated[
        Path | None, typer.Option(help="Markdown to write, such as $GITHUB_STEP_SUMMARY.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="Every verdict as JSON to write.")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the cells that stayed the same, too.")
    ] = False,
) -> None:
    """Fail if a run got worse than its baseline.

    A cell (data set, scale, model, metric) fails where its mean dropped by
    more than its rule tolerates and the images agree that it did. Exit code
    0: passed; 1: failed; 2: wrong usage or data.
    """
    from rich.console import Console

    from liif_bench.analysis.baseline import load_snapshot
    from liif_bench.analysis.gate import gate as judge
    from liif_bench.analysis.gate import read_rules
    from liif_bench.cli.output import put_text
    from liif_bench.reports.gate import (
        gate_grids,
        json_text,
        junit_text,
        markdown_summary,
        verdict_line,
    )
    from liif_bench.reports.grids import print_grids

    asked = read_rules(rules)
    report = judge(load_snapshot(candidate), load_snapshot(baseline), asked)
    files: tuple[tuple[Path | None, Callable[[], str]], ...] = (
        (junit, lambda: junit_text(report)),
        (summary, lambda: markdown_summary(report, candidate)),
        (json, lambda: json_text(report)),
    )
    for path, text in files:
        if path is not None:
            put_text(text(), path)
    console = Console()
    print_grids(gate_grids(report, everything=everything), console)
    console.print(verdict_line(report), highlight=False, soft_wrap=True, markup=False)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def save(
    run: Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False)],
    out: Annotated[
        Path, typer.Option("--output", "-o", help="File to write, such as baseline.json.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace the file if it is there.")
    ] = False,
) -> None:
    """Save the values of a run as a small file to be committed."""
    from liif_bench.analysis.baseline import snapshot, write_baseline
    from liif_bench.errors import LiifBenchError
    from liif_bench.records import load_run

    if out.exists() and not overwrite:
        raise LiifBenchError(f"'{out}' is already there: add --overwrite, or name another -o")
    kept = snapshot(load_run(run))
    write_baseline(kept, out)
    values = sum(len(cell.values) for cell in kept.cells)
    print(f"{out}: {values} values in {len(kept.cells)} cells, {out.stat().st_size / 1024:.0f} KiB")


@app.command()
def diff(
    before: Source, after: Source, style: Format = GridFormat.terminal, out: Output = None
) -> None:
    """Show what changed between two baselines or runs."""
    from liif_bench.analysis.baseline import load_snapshot
    from liif_bench.reports.gate import diff_grids

    check_output(style, out)
    put_grids(diff_grids(load_snapshot(before), load_snapshot(after)), style, out)
