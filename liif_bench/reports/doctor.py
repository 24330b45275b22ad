"""What `liif-bench doctor` found, on a screen."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from liif_bench.doctor import DEFAULT_SUITE, Diagnosis, Machine, Part, Place
from liif_bench.reports.escape import terminal

_STYLES = {"ready": "green", "to fetch": "yellow", "missing": "yellow", "broken": "red"}
_KINDS = {"model": "models", "metric": "metrics", "dataset": "data sets"}


def print_diagnosis(diagnosis: Diagnosis, console: Console) -> None:
    """Print facts, then the parts by kind, then what keeps the default run from being whole."""
    machine = diagnosis.machine
    console.print(
        f"[bold]liif-bench {terminal(diagnosis.version)}[/] on Python {machine.python},"
        f" {terminal(machine.system)}",
        highlight=False,
    )
    console.print(_facts(diagnosis), highlight=False)
    width = max(len(part.usage) for part in diagnosis.parts)
    for kind, title in _KINDS.items():
        console.print(f"\n[bold]{title}[/]")
        parts = [part for part in diagnosis.parts if part.kind == kind]
        console.print(_parts(parts, width), highlight=False)
    console.print()
    for remark in diagnosis.remarks:
        console.print(f"[yellow]note:[/] {terminal(remark)}", soft_wrap=True, highlight=False)
    for problem in diagnosis.problems:
        console.print(f"[red]problem:[/] {terminal(problem)}", soft_wrap=True, highlight=False)
    if not diagnosis.problems:
        console.print(
            f"[green]'liif-bench run' (suite {DEFAULT_SUITE}) is ready to run[/]", highlight=False
        )


def _facts(diagnosis: Diagnosis) -> Table:
    machine = diagnosis.machine
    settings = " ".join(f"{name}={value}" for name, value in machine.threading.items())
    threads = "" if machine.threads is None else f"{machine.threads} on "
    packages = ", ".join(f"{name} {version}" for name, version in diagnosis.packages.items())
    there = "" if diagnosis.data_root.exists else " (not there)"
    table = _table()
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, fact in (
        ("packages", packages),
        ("device", _device(machine)),
        ("precision", ", ".join(machine.precisions) or "unknown"),
        ("threads", f"{threads}{_many(machine.cores, 'core')}{settings and '; '}{settings}"),
        ("memory", _memory(machine)),
        ("cache", _cache(diagnosis.cache)),
        ("data root", f"{diagnosis.data_root.path}{there}"),
    ):
        table.add_row(name, terminal(fact))
    return table


def _parts(parts: list[Part], width: int) -> Table:
    table = _table()
    table.add_column(min_width=width, no_wrap=True)
    table.add_column(no_wrap=True, min_width=max(map(len, _STYLES)))
    table.add_column(overflow="fold")
    for part in parts:
        more = ": ".join(text for text in (part.remark, part.remedy) if text)
        table.add_row(
            terminal(part.usage), f"[{_STYLES[part.state]}]{part.state}[/]", terminal(more)
        )
    return table


def _table() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), show_header=False)


def _device(machine: Machine) -> str:
    if not machine.device:
        return "unknown, since torch cannot be imported"
    found = ", ".join(machine.gpus) or "no CUDA device"
    return f"auto takes {machine.device} ({found})"


def _memory(machine: Machine) -> str:
    if machine.memory is None:
        return "unknown"
    free = "" if machine.memory_free is None else f", {_size(machine.memory_free)} free"
    return f"{_size(machine.memory)}{free}"


def _cache(cache: Place) -> str:
    held = f"{_size(cache.size or 0)} held" if cache.exists else "not there yet"
    locked = "" if cache.writable else ", cannot be written to"
    return f"{cache.path} ({held}, {_size(cache.disk_free)} free on its disk{locked})"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.0f} MiB"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
