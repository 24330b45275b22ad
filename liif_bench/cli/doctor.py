"""``liif-bench doctor``: what is installed, what is ready, and how to get the rest."""

from __future__ import annotations

from typing import Annotated

import typer

from liif_bench.cli.options import DataRoot


def doctor(
    data_root: DataRoot = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print what was found as JSON, for machines.")
    ] = False,
) -> None:
    """Show what is installed, where things run and lie, and which parts are ready.

    What is missing is named with the command that gets it; nothing is
    fetched. Exit code 1 where 'liif-bench run' could not be run whole.
    """
    import json
    from dataclasses import asdict

    from rich.console import Console

    from liif_bench.paths import user_path

    root = None if data_root is None else user_path(str(data_root))
    with Console(stderr=True).status("looking around"):
        from liif_bench.doctor import diagnose
        from liif_bench.reports.doctor import print_diagnosis

        diagnosis = diagnose(root)
    if as_json:
        print(json.dumps(asdict(diagnosis), indent=2))
    else:
        print_diagnosis(diagnosis, Console())
    if diagnosis.problems:
        raise typer.Exit(1)
