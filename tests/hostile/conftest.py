"""Prints what became of the inputs, as the table of docs/robustness.md."""

from hostile.campaign import TALLIES


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
