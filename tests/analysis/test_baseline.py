import json
import math

import pytest
from gates import made_up_cell, made_up_snapshot
from made_runs import usual, write_run

import liif_bench
from liif_bench.analysis.baseline import (
    baseline_text,
    load_snapshot,
    snapshot,
    write_baseline,
)
from liif_bench.errors import LiifBenchError
from liif_bench.records import load_run
from liif_bench.testing import assert_no_regression


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run of interpolation, which needs no weights; HR has infinite PSNR."""
    return liif_bench.run(
        scales=[2, 4], models=["hr", "bicubic", "nearest"], metrics=["psnr", "zoom-mean-top1"],
        limit=2, out=tmp_path_factory.mktemp("runs") / "first", progress=False,
    )  # fmt: skip


def test_a_baseline_comes_back_as_it_was_written(run, tmp_path):
    kept = snapshot(run)
    write_baseline(kept, tmp_path / "baseline.json")
    assert load_snapshot(tmp_path / "baseline.json") == kept
    assert load_snapshot(run.path) == kept


def test_a_baseline_holds_every_value_of_the_records(run):
    kept = {cell.key: cell for cell in snapshot(run).cells}
    psnr = run.records[run.records["metric"] == "psnr"]
    assert len(psnr) == 12
    for row in psnr.itertuples():
        value = kept[(row.dataset, row.scale, row.upsampler, "psnr")].values[row.item]
        assert value == pytest.approx(row.value, abs=5e-7)
    assert all(math.isinf(v) for v in kept[("sample", 2.0, "hr", "psnr")].values.values())


def test_a_baseline_has_a_line_per_cell_and_is_plain_json(run):
    text = baseline_text(snapshot(run))
    content = json.loads(text, parse_constant=pytest.fail)
    lines = [line for line in text.splitlines() if line.startswith('    {"dataset"')]
    assert len(lines) == len(content["cells"]) == 12


def test_a_run_passes_its_own_baseline(run, tmp_path):
    write_baseline(snapshot(run), tmp_path / "baseline.json")
    assert assert_no_regression(run, tmp_path / "baseline.json").passed
    assert assert_no_regression(str(run.path), run).passed


def test_a_worse_run_is_an_assertion_that_names_its_cells(run):
    kept = snapshot(run)
    worse = [
        cell.model_copy(update={"values": {k: v - 1 for k, v in cell.values.items()}})
        if (cell.upsampler, cell.metric) == ("bicubic", "psnr")
        else cell
        for cell in kept.cells
    ]
    path = run.path.parent / "better.json"
    write_baseline(kept, run.path.parent / "kept.json")
    write_baseline(kept.model_copy(update={"cells": tuple(worse)}), path)
    with pytest.raises(AssertionError, match="sample x2 bicubic psnr") as error:
        assert_no_regression(path, run.path.parent / "kept.json")
    assert "2 regressions" in str(error.value)


# What is refused


def test_an_unfinished_run_is_no_baseline(run, tmp_path):
    manifest = json.loads((run.path / "manifest.json").read_text()) | {"finished": None}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(LiifBenchError, match="is not finished"):
        snapshot(load_run(tmp_path))


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"baseline": 1}',
        '{"baseline": 99}',
        '{"baseline": "a"}',
        "[" * 100_000,  # more than Python's JSON follows
    ],
)
def test_a_file_that_is_no_baseline_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "baseline.json"
    path.write_text(content)
    with pytest.raises(LiifBenchError, match=r"baseline\.json") as error:
        load_snapshot(path)
    assert "\n" not in str(error.value)


def test_a_path_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(LiifBenchError, match="does not exist"):
        load_snapshot(tmp_path / "gone")


def test_a_cell_that_stands_twice_is_refused(tmp_path):
    cell = made_up_cell([1.0, 2.0])
    (tmp_path / "b.json").write_text(baseline_text(made_up_snapshot(cell, cell)))
    with pytest.raises(LiifBenchError, match="photos x4 mine psnr' twice"):
        load_snapshot(tmp_path / "b.json")


@pytest.mark.parametrize(
    ("good", "bad", "field"),
    [
        ('"a": 1.0', '"a": NaN', "cells.0.values.a: Value error, not a number"),
        ('"scale": 4.0', '"scale": Infinity', "cells.0.scale"),
        ('"a": 1.0', '"a": Infinity, "b": -Infinity', "cells.0: Value error, infinities of both"),
    ],
)
def test_a_value_that_no_run_can_have_is_refused(tmp_path, good, bad, field):
    text = baseline_text(made_up_snapshot(made_up_cell([1.0, 2.0])))
    text = text.replace('"image0"', '"a"')
    assert good in text
    (tmp_path / "b.json").write_text(text.replace(good, bad))
    with pytest.raises(LiifBenchError, match=field):
        load_snapshot(tmp_path / "b.json")


def test_a_run_with_an_impossible_value_is_no_baseline(tmp_path):
    run = write_run(tmp_path / "run", usual(images=2), crops=False)  # its data sets are not told
    with pytest.raises(LiifBenchError, match=r"run '.*run': datasets\.sample: Input should be"):
        snapshot(load_run(run))
