import csv

import numpy as np
import pytest
from commands import call, refused
from crops_runs import made_up_crops, run_of_crops


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "made"
    features, scores = made_up_crops(np.random.default_rng(0), scales=(4.0,), images=8)
    return run_of_crops(folder, features, scores).path


def test_from_a_run_to_the_table(finished, tmp_path):
    quick = ("--seeds", "5", "--k", "1", "--resamples", "20")
    done = call("utility", finished, *quick, "--format", "csv")
    assert done.returncode == 0, done.stderr
    head, *rows = csv.reader(done.stdout.splitlines())
    assert head[1:] == ["added", "mean lpips", "macro-F1", "less random"]
    assert [row[1] for row in rows] == ["none", "top", "random", "bottom", "best", "worst", "real"]
    assert {row[0] for row in rows} == {"crops, made, x4: macro-F1 on HR after training"}


def test_refusals_are_one_line(finished, tmp_path):
    for words, said in (
        ([tmp_path], "is not a run"),
        ([finished, "--score", "psnr"], "unknown metric of the run 'psnr'"),
        ([finished, "-o", tmp_path / "x"], "--output needs"),
    ):
        assert said in refused("utility", *words)
