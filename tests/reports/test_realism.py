import csv
import subprocess
import sys

import pytest
from commands import call, refused
from patches import made_up_patches, run_of_patches

from liif_bench.analysis.distribution import AUC, FID, KID, patch_results
from liif_bench.reports.realism import FLOOR, realism_grids
from liif_bench.reports.tables import DASH


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return run_of_patches(tmp_path_factory.mktemp("run") / "made", made_up_patches(items=44))


@pytest.fixture(scope="module")
def results(run):
    return patch_results(run)[0]


def row(grid, name):
    (found,) = (each for each in grid.rows if each[0] == name)
    return found[1:]


def shown(estimate, digits):
    return " ".join(f"{value:{digits}}" for value in (estimate.mean, estimate.low, estimate.high))


def bare(text):
    return text.replace("[", "").replace(",", "").replace("]", "")


def test_tables_of_a_data_set(results):
    probability, auc, kid, fid = realism_grids(results)
    assert [name for name, *_ in probability.rows] == ["hr", "near", "far"]
    assert probability.columns == ("model", "x2", "x4")
    assert bare(row(probability, "near")[0]) == shown(results.probability("near", 2.0), ".3f")
    for grid, distance, digits in ((auc, AUC, ".3f"), (kid, KID, ".3g")):
        assert [name for name, *_ in grid.rows] == ["near", "far", FLOOR]
        found = distance.measure(results.compared("far", 4.0))
        assert bare(row(grid, "far")[1]) == shown(found, digits)
        assert bare(row(grid, FLOOR)[1]) == shown(distance.measure(results.halves(4.0)), digits)
    assert row(fid, FLOOR) == (DASH, DASH)
    assert bare(row(fid, "near")[0]) == shown(FID.measure(results.compared("near", 2.0)), ".3g")
    assert FID.refusal(22) in fid.notes  # half of the images
    assert [each for each in fid.notes if "needs" in each] == [FID.refusal(22)]
    assert not any("needs" in each or "narrow" in each for each in (*kid.notes, *auc.notes))


def test_cmmd_is_an_option(results):
    assert len(realism_grids(results)) == 4
    grids = realism_grids(results, cmmd=True)
    assert "CMMD" in grids[-1].title
    assert any("not on CLIP" in note for note in grids[-1].notes)


def test_without_hr_there_are_probabilities_alone(tmp_path):
    table = made_up_patches(models=("near", "far"))
    (results,) = patch_results(run_of_patches(tmp_path / "run", table))
    (grid,) = realism_grids(results)
    assert "AUC and distances need the model hr in the run" in grid.notes


def test_models_that_lack_images_are_named(tmp_path):
    table = made_up_patches(items=8)
    keep = [
        (item, name) != ("image3", "near")
        for item, name in zip(table["item"], table["upsampler"], strict=True)
    ]
    short = {
        name: [value for value, kept in zip(values, keep, strict=True) if kept]
        for name, values in table.items()
    }
    (results,) = patch_results(run_of_patches(tmp_path / "run", short))
    probability, auc, kid, _ = realism_grids(results)
    assert "near: 7 of 8 images; the run's records say why" in probability.notes
    assert "of fewer than 20 images the intervals are too narrow" in auc.notes
    assert [row[1] for row in kid.rows] == [DASH] * 3
    assert {KID.refusal(4), KID.refusal(7), KID.refusal(8)} <= set(kid.notes)
    assert row(auc, FLOOR) == (DASH, DASH)
    assert AUC.refusal(4) in auc.notes


def test_the_command(run, tmp_path):
    done = call("realism", run.path, "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(done.stdout.splitlines()))
    assert rows[0] == ["table", "model", "x2", "x4"]
    title = "photos: AUC against HR ↓ with 95 % intervals"
    assert [name for table, name, *_ in rows if table == title] == ["near", "far", FLOOR]
    assert "CMMD" not in done.stdout
    out = tmp_path / "realism.md"
    done = call("realism", run.path, "--cmmd", "--format", "markdown", "-o", out)
    assert done.returncode == 0, done.stderr
    assert "**photos: CMMD against HR" in out.read_text()
    assert "0.5: not to be told from photographs" in call("realism", run.path).stdout


def test_refusals_are_one_line(run, tmp_path):
    assert "is not a run" in refused("realism", tmp_path)
    assert "--output needs" in refused("realism", run.path, "-o", tmp_path / "x")
    empty = run_of_patches(tmp_path / "empty")
    assert "has no patches" in refused("realism", empty.path)


def test_the_report_does_without_torch(run):
    code = (
        "import sys; from liif_bench.analysis.distribution import patch_results;"
        "from liif_bench.records import load_run;"
        "from liif_bench.reports.realism import realism_grids;"
        f"realism_grids(patch_results(load_run({str(run.path)!r}))[0]);"
        "assert not {'torch', 'scipy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
