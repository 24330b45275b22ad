import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from gates import PROTOCOL, made_up_cell, made_up_snapshot
from screens import assert_shown_whole

from liif_bench.analysis.gate import gate, read_rules
from liif_bench.crops import Crop, CropFolder
from liif_bench.reports.gate import (
    crops_of,
    diff_grids,
    gate_grids,
    json_text,
    junit_text,
    markdown_summary,
    verdict_line,
)

BEFORE = [30.0, 31.5, 28.2, 33.1, 29.9]
DROPPED = [29.9, 31.4, 28.05, 33.0, 29.82]
NASTY = "<script>alert('&\"_%|*`')</script> ünï \x07"

ROOT = Path(__file__).parents[2]


def report_of(after, before, **fields):
    return gate(made_up_snapshot(*after, **fields), made_up_snapshot(*before), read_rules())


@pytest.fixture
def report():
    """A cell of each kind."""
    same, gone = made_up_cell(BEFORE), made_up_cell(BEFORE, scale=8.0)
    before = [same, gone, made_up_cell(BEFORE, scale=2.0), made_up_cell(BEFORE, scale=3.0)]
    after = [
        same,
        made_up_cell(DROPPED, scale=2.0),
        made_up_cell(BEFORE[:4], scale=3.0, errors={"image4": "out of memory"}),
        made_up_cell(BEFORE, scale=12.0),
    ]
    return report_of(after, before)


def test_the_verdict_is_one_line(report):
    expected = "gate FAILED: run against run: 1 worse, 1 error, 1 missing, 1 new, 1 same"
    assert verdict_line(report) == expected


def test_tables_show_what_changed_and_on_demand_everything(report):
    (grid,) = gate_grids(report)
    assert [row[0] for row in grid.rows] == ["worse", "error", "missing", "new"]
    assert len(gate_grids(report, everything=True)[0].rows) == 5
    worse = grid.rows[0]
    assert worse[1:7] == ("mine x2", "PSNR (dB)", "30.54", "30.43", "-0.106", "0.02")


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_the_screen(report, width):
    assert_shown_whole(gate_grids(report, everything=True), width)


# JUnit XML: what the schema of Ant and Jenkins asks for, which common viewers read


def check_junit(text):
    root = ElementTree.fromstring(text)
    assert root.tag == "testsuites"
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in root:
        assert suite.tag == "testsuite"
        assert set(suite.attrib) == {"name", "tests", "failures", "errors", "skipped", "time"}
        kinds = {"failure": 0, "error": 0, "skipped": 0}
        for case in suite:
            assert case.tag == "testcase"
            assert set(case.attrib) == {"classname", "name", "time"}
            assert len(case) <= 1
            for told in case:
                kinds[told.tag] += 1
                assert set(told.attrib) == {"message"} | (
                    {"type"} if told.tag != "skipped" else set()
                )
        assert suite.get("tests") == str(len(suite))
        assert suite.get("failures") == str(kinds["failure"])
        assert suite.get("errors") == str(kinds["error"])
        assert suite.get("skipped") == str(kinds["skipped"])
        for total in totals:
            totals[total] += int(suite.get(total))
    assert {total: int(root.get(total)) for total in totals} == totals
    return root


def test_junit_has_a_case_per_cell(report):
    root = check_junit(junit_text(report))
    found = {case.get("name"): [told.tag for told in case] for case in root.iter("testcase")}
    assert found == {
        "psnr x4": [], "psnr x2": ["failure"], "psnr x3": ["error"], "psnr x8": ["failure"],
        "psnr x12": ["skipped"],
    }  # fmt: skip


def test_junit_of_what_cannot_be_compared_fails():
    other = PROTOCOL.changed({"psnr.shave_extra": 0})
    report = report_of(
        [made_up_cell(BEFORE)], [made_up_cell(BEFORE)],
        protocol=other.model_dump(), protocol_hash=other.hash,
    )  # fmt: skip
    assert check_junit(junit_text(report)).get("failures") == "1"
    assert r"psnr.shave\_extra: 6 before, 0 now" in markdown_summary(report, Path("run"))


def test_nasty_names_stay_text_everywhere():
    cells = [made_up_cell(BEFORE, upsampler=NASTY)], [made_up_cell(DROPPED, upsampler=NASTY)]
    report = report_of(cells[1], cells[0])
    root = check_junit(junit_text(report))
    (suite,) = root
    assert suite.get("name") == f"photos.{NASTY}".replace("\x07", "\N{REPLACEMENT CHARACTER}")
    summary = markdown_summary(report, Path("run"))
    assert "<script>" not in summary.replace("\\<script>", "")
    assert json.loads(json_text(report))["verdicts"][0]["upsampler"] == NASTY


# The summary of a job


def test_the_summary_names_the_worst_cells_with_their_crops(report, tmp_path):
    crop = Crop("photos", "image2", 2.0, "mine", "photos_image2_x2_mine.png", 0, 0, 8, 8, 16, 16)
    CropFolder(tmp_path).add([(crop, b"picture")])
    text = markdown_summary(report, tmp_path)
    assert text.startswith("### ❌ gate FAILED")
    assert "most on image2, see `" in text
    assert "photos_image2_x2_mine.png" in text
    assert crops_of(tmp_path / "nowhere", report.verdicts[0]) == []


def test_the_json_is_plain_and_holds_every_verdict(report):
    content = json.loads(json_text(report), parse_constant=pytest.fail)
    assert content["passed"] is False
    assert [verdict["outcome"] for verdict in content["verdicts"]] == [
        "worse", "error", "missing", "new", "same",
    ]  # fmt: skip


# Differences of baselines


def test_a_diff_shows_every_mean_that_moved():
    before = made_up_snapshot(made_up_cell(BEFORE), made_up_cell(BEFORE, scale=2.0))
    after = made_up_snapshot(
        made_up_cell(BEFORE), made_up_cell(DROPPED, scale=2.0), weights={"mine": "n3w"}
    )
    how, moved = diff_grids(before, after)
    assert how.notes == ("weights of mine: w3ights before, n3w now",)
    assert moved.title == "1 cells differ, 1 are the same"
    assert moved.rows[0][1:] == ("mine x2", "PSNR (dB)", "30.54", "30.43", "-0.106")
    assert diff_grids(before, before)[0].rows == ()


# The files that users copy


@pytest.mark.parametrize("name", ["github-workflow.yml", "action.yml", "gitlab.yml"])
def test_files_for_ci_are_yaml_and_call_commands_that_there_are(name):
    from typer.testing import CliRunner

    from liif_bench.cli import app

    text = (ROOT / "docs" / "ci" / name).read_text(encoding="utf-8")
    assert yaml.safe_load(text)
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["gate", "--help"]).output
    for option in ("--baseline", "--rules", "--junit", "--summary"):
        if option in text:
            assert option in shown
