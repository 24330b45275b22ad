"""For the test suites of others: a run must not be worse than its baseline.

from liif_bench.testing import assert_no_regression

def test_the_zoom_has_not_got_worse(tmp_path):
    run = liif_bench.run(suite="sample", scales=[4], models=["mine"], out=tmp_path / "run")
    assert_no_regression(run, "tests/baseline.json")
"""

from __future__ import annotations

from pathlib import Path

from liif_bench.analysis.baseline import load_snapshot, snapshot
from liif_bench.analysis.gate import Report, gate, read_rules
from liif_bench.records import Run

__all__ = ["assert_no_regression"]


def assert_no_regression(
    candidate: Run | str | Path, baseline: Run | str | Path, rules: str | Path | None = None
) -> Report:
    """Assert that the gate passes; see ``liif-bench gate``.

    Args:
        candidate: A run, or its folder.
        baseline: A baseline file, a run, or its folder.
        rules: TOML file of tolerances; the default ones without.

    Returns:
        The gate's report, whose warnings may be looked at.

    Raises:
        AssertionError: It fails; the message names what got worse, cell by cell.
        LiifBenchError: A file cannot be read.
    """
    ours, theirs = (
        snapshot(each) if isinstance(each, Run) else load_snapshot(each)
        for each in (candidate, baseline)
    )
    report = gate(ours, theirs, read_rules(None if rules is None else Path(rules)))
    if not report.passed:
        reasons = [
            *map(str, report.refusals),
            *(f"{verdict.key}: {verdict.says}" for verdict in report.failing),
            *report.costs,
        ]
        raise AssertionError("\n".join([f"{len(reasons)} regressions", *reasons]))
    return report
