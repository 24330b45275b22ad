import csv

import pytest
from commands import call, refused


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "scenes"
    done = call(
        "run", "scenes", "--data", "scenes", "--models", "hr,bicubic,nearest",
        "--metrics", "mtf50,mtf50-lr", "--scales", "2,4,8", "--limit", "3",
        "--out", str(folder), "-q",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder


def test_from_scenes_to_the_table(finished):
    done = call("resolution", str(finished), "--format", "csv")
    assert done.returncode == 0, done.stderr
    rows = {
        model: cells
        for title, model, *cells in csv.reader(done.stdout.splitlines())
        if title == "scenes: MTF50 in cycles per LR pixel"
    }
    assert [float(text) for text in rows["hr"][:3]] == pytest.approx([1.2, 2.4, 4.8], rel=0.03)
    assert rows["hr"][3] == "beyond x8"
    assert all(0.35 < float(text) < 0.5 for text in rows["bicubic"][:3])
    assert rows["bicubic"][3] in ("x2", "x4")
    assert "| bicubic |" in call("resolution", str(finished), "--format", "markdown").stdout
    assert "real zoom" in call("resolution", str(finished)).stdout


def test_refusals_are_one_line(finished, tmp_path):
    for words, said in (
        ([str(tmp_path)], str(tmp_path)),
        ([str(finished), "-o", str(tmp_path / "x")], "--output needs"),
    ):
        assert said in refused("resolution", *words)
