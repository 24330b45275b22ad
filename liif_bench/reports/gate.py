"""What the gate found: for a terminal, as JUnit XML, as a Markdown summary, as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from liif_bench.analysis.baseline import (
    Cell,
    Snapshot,
    data_changes,
    other_changes,
    protocol_changes,
)
from liif_bench.analysis.gate import FAILING, WARNING, Outcome, Report, Verdict
from liif_bench.crops import CropFolder, crops_by_case
from liif_bench.reports.escape import markdown
from liif_bench.reports.grids import Grid, render_grids
from liif_bench.reports.tables import DASH, style_of

_STYLES = dict.fromkeys(FAILING, "red") | dict.fromkeys(WARNING, "yellow")
_WORST = 3  # cells in a summary
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def verdict_line(report: Report) -> str:
    """Return the verdict in one line."""
    counts = ", ".join(f"{count} {outcome.value}" for outcome, count in report.counts.items())
    counts = counts or "nothing compared"
    word = "passed" if report.passed else "FAILED"
    return f"gate {word}: {report.candidate} against {report.baseline}: {counts}"


def gate_grids(report: Report, *, everything: bool = False) -> list[Grid]:
    """Lay out what a gate found.

    Args:
        report: The gate's.
        everything: Whether cells that stayed the same are shown, too.
    """
    grids = []
    if report.refusals:
        notes = tuple(str(change) for change in report.refusals)
        grids.append(
            Grid("not comparable: measure again, or save a new baseline", (), (), notes=notes)
        )
    shown = [v for v in report.verdicts if everything or v.outcome is not Outcome.same]
    for dataset, group in groupby(
        sorted(shown, key=lambda v: v.key.dataset), lambda v: v.key.dataset
    ):
        grids.append(_cells_grid(dataset, [*group], report))
    if report.costs:
        grids.append(Grid("costs more than allowed", (), (), notes=report.costs))
    if report.notes:
        notes = tuple(map(str, report.notes))
        grids.append(Grid("what else changed", (), (), notes=notes))
    return grids


def _cells_grid(dataset: str, verdicts: Sequence[Verdict], report: Report) -> Grid:
    rows = tuple(
        (
            verdict.outcome.value,
            f"{verdict.key.upsampler} x{verdict.key.scale:g}",
            style_of(verdict.key.metric).title,
            _shown(verdict, verdict.before),
            _shown(verdict, verdict.after),
            _signed(verdict),
            DASH if verdict.tolerance is None else f"{verdict.tolerance:g}",
            DASH if verdict.p is None else _p(verdict.p),
        )
        for verdict in verdicts
    )
    reasons = dict.fromkeys(
        verdict.says for verdict in verdicts if verdict.outcome is not Outcome.same
    )
    return Grid(
        title=f"{dataset}: {report.candidate} against {report.baseline}",
        columns=("outcome", "cell", "metric", "before", "after", "change", "tolerated", "p"),
        rows=rows,
        names=3,
        notes=(
            *reasons,
            f"change: up is better; p: of a drop, one-sided, Holm over all cells; worse needs p <"
            f" {report.alpha:g}",
        ),
        styles={
            number: _STYLES[verdict.outcome]
            for number, verdict in enumerate(verdicts)
            if verdict.outcome in _STYLES
        },
    )


def _shown(verdict: Verdict, value: float | None) -> str:
    if value is None:
        return DASH
    return "inf" if math.isinf(value) else f"{value:.{style_of(verdict.key.metric).decimals}f}"


def _signed(verdict: Verdict) -> str:
    if verdict.change is None:
        return DASH
    if verdict.change == 0:
        return "0"
    return f"{verdict.change:+.{style_of(verdict.key.metric).decimals + 1}f}"


def _p(value: float) -> str:
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"


def junit_text(report: Report) -> str:
    """Return a gate's report as JUnit XML: a suite per data set and model, a case per cell.

    Cells that fail are failures, those that could not be measured are errors, warnings are skipped
    cases that say why.
    """
    root = ElementTree.Element("testsuites", name="liif-bench gate")
    ordered = sorted(report.verdicts, key=lambda v: (v.key.dataset, v.key.upsampler))
    groups = groupby(ordered, lambda v: f"{v.key.dataset}.{v.key.upsampler}")
    for name, verdicts in groups:
        _junit_suite(root, name, [(_case_name(v), v.outcome, _case_text(v)) for v in verdicts])
    whole = [(change.what, Outcome.incomparable, str(change)) for change in report.refusals]
    whole += [("cost", Outcome.worse, cost) for cost in report.costs]
    if whole:
        _junit_suite(root, "run", whole)
    for total in ("tests", "failures", "errors", "skipped"):
        root.set(total, str(sum(int(suite.get(total, 0)) for suite in root)))
    ElementTree.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ElementTree.tostring(root, 'unicode')}\n"


def _junit_suite(
    root: ElementTree.Element, name: str, cases: Sequence[tuple[str, Outcome, str]]
) -> None:
    kinds = [_junit_kind(outcome) for _, outcome, _ in cases]
    suite = ElementTree.SubElement(
        root,
        "testsuite",
        name=_xml(name),
        tests=str(len(cases)),
        failures=str(kinds.count("failure")),
        errors=str(kinds.count("error")),
        skipped=str(kinds.count("skipped")),
        time="0",
    )
    for (case, outcome, text), kind in zip(cases, kinds, strict=True):
        made = ElementTree.SubElement(
            suite, "testcase", classname=_xml(name), name=_xml(case), time="0"
        )
        if kind:
            told = ElementTree.SubElement(made, kind, message=_xml(text))
            if kind != "skipped":
                told.set("type", outcome.value)


def _junit_kind(outcome: Outcome) -> str:
    if outcome is Outcome.error:
        return "error"
    if outcome in FAILING:
        return "failure"
    return "skipped" if outcome in WARNING else ""


def _xml(text: str) -> str:
    """Leave out what XML cannot hold."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)


def _case_name(verdict: Verdict) -> str:
    return f"{verdict.key.metric} x{verdict.key.scale:g}"


def _case_text(verdict: Verdict) -> str:
    if verdict.change is None or verdict.before is None or verdict.after is None:
        return verdict.says
    return (
        f"{verdict.says}: {_shown(verdict, verdict.before)} before,"
        f" {_shown(verdict, verdict.after)} now ({_signed(verdict)}, tolerated"
        f" {verdict.tolerance if verdict.tolerance is None else format(verdict.tolerance, 'g')})"
    )


def markdown_summary(report: Report, candidate: Path) -> str:
    """Return a gate's report as Markdown for a job's summary, with the three worst cells.

    Args:
        report: The gate's.
        candidate: The run, whose example crops are named if it has them.
    """
    mark = "✅" if report.passed else "❌"
    lines = [f"### {mark} {markdown(verdict_line(report))}", ""]
    worst = [
        verdict for verdict in report.verdicts if verdict.outcome in (*FAILING, Outcome.unsure)
    ][:_WORST]
    if worst:
        lines += ["Worst cells:", ""]
        lines += [f"- {_worst_line(verdict, candidate)}" for verdict in worst]
        lines.append("")
    return "\n".join(lines) + "\n" + render_grids(gate_grids(report), "markdown")


def _worst_line(verdict: Verdict, candidate: Path) -> str:
    line = f"**{markdown(str(verdict.key))}**: {markdown(_case_text(verdict))}"
    if verdict.worst:
        line += f"; most on {markdown(verdict.worst)}"
        crops = crops_of(candidate, verdict)
        if crops:
            line += ", see " + ", ".join(f"`{path}`" for path in crops)
    return line


def crops_of(run: Path, verdict: Verdict) -> list[Path]:
    """Return the example crops that a run kept of a cell's worst image."""
    folder = CropFolder(run)
    case = (verdict.key.dataset, verdict.worst, verdict.key.scale)
    kept = crops_by_case(folder.crops).get(case, {})
    return [folder.path / crop.file for crop in kept.values()]


def json_text(report: Report) -> str:
    """Return a gate's report as JSON; infinities and missing numbers are strings and null."""
    content = {
        "passed": report.passed,
        "candidate": report.candidate,
        "baseline": report.baseline,
        "alpha": report.alpha,
        "counts": {outcome.value: count for outcome, count in report.counts.items()},
        "refusals": [change._asdict() for change in report.refusals],
        "costs": list(report.costs),
        "notes": [change._asdict() for change in report.notes],
        "verdicts": [
            {
                **verdict.key._asdict(),
                **{
                    name: str(value) if isinstance(value, float) and math.isinf(value) else value
                    for name, value in asdict(verdict).items()
                    if name != "key"
                },
                "outcome": verdict.outcome.value,
            }
            for verdict in report.verdicts
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def diff_grids(before: Snapshot, after: Snapshot) -> list[Grid]:
    """Lay out what changed between two baselines: how they were made, and every mean that moved."""
    changes = [
        *protocol_changes(before, after),
        *data_changes(before, after),
        *other_changes(before, after),
    ]
    grids = []
    if changes:
        grids.append(Grid("how they were made", (), (), notes=tuple(map(str, changes))))
    one = {cell.key: cell for cell in before.cells}
    other = {cell.key: cell for cell in after.cells}
    rows = tuple(
        (
            key.dataset,
            f"{key.upsampler} x{key.scale:g}",
            style_of(key.metric).title,
            _mean(one.get(key)),
            _mean(other.get(key)),
            _moved(one.get(key), other.get(key)),
        )
        for key in dict.fromkeys([*one, *other])
        if _values(one.get(key)) != _values(other.get(key))
    )
    same = sum(_values(one[key]) == _values(other[key]) for key in one if key in other)
    title = f"{len(rows)} cells differ, {same} are the same"
    columns = ("data set", "cell", "metric", "before", "after", "moves by")
    grids.append(Grid(title, columns if rows else (), rows, names=3))
    return grids


def _values(cell: Cell | None) -> object:
    return None if cell is None else (cell.variant, dict(cell.values), dict(cell.errors))


def _mean(cell: Cell | None) -> str:
    if cell is None or cell.mean is None:
        return DASH
    return f"{cell.mean:.{style_of(cell.metric).decimals}f}"


def _moved(before: Cell | None, after: Cell | None) -> str:
    if before is None or after is None or before.mean is None or after.mean is None:
        return DASH
    moved = 0.0 if before.mean == after.mean else after.mean - before.mean
    return f"{moved:+.{style_of(after.metric).decimals + 1}f}"
