"""Parts of a plan, measured apart, become one run."""

import json

import pandas as pd
import pytest
from commands import call, refused

import liif_bench
from liif_bench.errors import LiifBenchError
from liif_bench.merge import merge_runs

WISHES = {
    "scales": [2, 3], "models": ["bicubic", "nearest"], "metrics": ["psnr", "ssim"],
    "device": "cpu", "progress": False,
}  # fmt: skip


@pytest.fixture
def photos(photo_folder):
    return f"folder:{photo_folder()}"


@pytest.fixture
def part(photos, tmp_path):
    """A function that measures a part of the plan."""

    def go(shard, name=None, **wishes):
        out = tmp_path / (name or f"part{shard[0]}")
        return liif_bench.run(
            data=[photos], out=out, shard=shard or None, **(WISHES | wishes)
        )  # fmt: skip

    return go


def comparable(run):
    return run.records.drop(columns=["run", "seconds"])


def test_three_parts_are_the_whole_byte_for_byte(part, tmp_path):
    whole = part("", "whole")
    parts = [part(f"{n}/3").path for n in (3, 1, 2)]
    merged = merge_runs(parts, tmp_path / "merged")
    assert merged.finished
    pd.testing.assert_frame_equal(comparable(merged), comparable(whole), check_exact=True)
    assert set(merged.records["run"]) == {"merged"}
    assert merged.manifest["plan"] == whole.manifest["plan"]
    assert [each["shard"] for each in merged.manifest["merged"]] == ["3/3", "1/3", "2/3"]
    assert merged.manifest["errors"] == 0
    ours, theirs = (
        {path.name: path.read_bytes() for path in (run.path / "crops").glob("*.png")}
        for run in (merged, whole)
    )
    assert ours == theirs


def test_what_is_missing_is_measured_by_the_plans_own_command(part, tmp_path):
    whole = part("", "whole")
    half = part("1/2").path
    merged = merge_runs([half], tmp_path / "merged")
    assert not merged.finished
    assert (merged.cases_done, merged.manifest["cases"]) == (3, 6)
    done = part("", "merged")
    assert done.finished
    pd.testing.assert_frame_equal(comparable(done), comparable(whole), check_exact=True)


def test_a_part_is_continued_as_that_part_alone(part):
    part("1/2")
    with pytest.raises(LiifBenchError, match="another shard"):
        part("2/2", "part1")
    with pytest.raises(LiifBenchError, match=r"another shard \(shard there: 1/2, here: None\)"):
        part("", "part1")


def test_parts_that_hold_the_same_cases_are_one(part, tmp_path):
    first, again = part("1/2").path, part("1/2", "again").path
    merged = merge_runs([first, again, part("2/2").path], tmp_path / "merged")
    assert len(merged.records) == 3 * 2 * 2 * 2
    assert not merged.records.duplicated(["item", "scale", "upsampler", "metric"]).any()


def test_different_results_for_one_case_are_refused_and_nothing_is_written(part, tmp_path):
    first, again = part("1/2").path, part("1/2", "again").path
    lines = (again / "journal.jsonl").read_text().splitlines()
    entry = json.loads(lines[0])
    entry["records"][0]["value"] += 1e-3
    (again / "journal.jsonl").write_text("\n".join([json.dumps(entry), *lines[1:], ""]))
    with pytest.raises(LiifBenchError, match=rf"measured {entry['item']} x.*different results"):
        merge_runs([first, again], tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_parts_of_another_plan_are_refused(part, tmp_path):
    other = part("2/2", scales=[2, 4]).path
    with pytest.raises(LiifBenchError, match=r"another scales \(scales here: \[2.0, 4.0\]"):
        merge_runs([part("1/2").path, other], tmp_path / "merged")


def test_the_command_says_what_is_missing_and_refuses_a_folder_that_is_taken(part, tmp_path):
    half = part("1/2").path
    done = call("merge", half, "--out", tmp_path / "merged")
    assert done.returncode == 0, done.stderr
    assert "3 of 6 cases, 0 values missing" in done.stdout
    assert "3 cases are not measured: give the parts' command with --out" in done.stdout
    assert "is there and not empty" in refused("merge", half, "--out", tmp_path / "merged")
    assert "is not a run" in refused("merge", tmp_path, "--out", tmp_path / "new")
