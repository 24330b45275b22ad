"""Prints what became of the inputs, as the tables of docs/robustness.md."""

from hostile.campaign import STATED, TALLIES


def pytest_terminal_summary(terminalreporter):
    if TALLIES:
        terminalreporter.section("hostile input")
        terminalreporter.line("| target | inputs | refused | accepted | crashes |")
        terminalreporter.line("|---|---:|---:|---:|---:|")
    for name, tally in sorted(TALLIES.items()):
        terminalreporter.line(
            f"| {name} | {tally.inputs:,} | {tally.refused:,} | {tally.accepted:,} |"
            f" {len(tally.crashes)} |"
        )
    if STATED:
        terminalreporter.section("hostile input, single cases")
        terminalreporter.line("| case | outcome |")
        terminalreporter.line("|---|---|")
    for case, outcome in sorted(STATED.items()):
        terminalreporter.line(f"| {case} | {outcome} |")
