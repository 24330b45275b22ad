import io

import pandas as pd
import pytest
from commands import call, refused


@pytest.mark.parametrize("columns", [80, 120])
def test_a_run_is_compared_without_torch(finished, tmp_path, columns):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('torch was imported')")
    env = {"PYTHONPATH": str(tmp_path), "COLUMNS": str(columns)}
    done = call("compare", finished[0], env=env)
    assert done.returncode == 0, done.stderr
    for words in ("difference from bicubic", "mean rank of 2 models", "too few: on 2 images"):
        assert words in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= columns


def test_two_runs_are_compared_and_written(finished, tmp_path):
    out, _ = finished
    other = tmp_path / "other"
    other.symlink_to(out)
    assert "given twice" in refused("compare", out, other)
    other.unlink()
    other.mkdir()
    for name in ("manifest.json", "records.parquet"):
        (other / name).write_bytes((out / name).read_bytes())
    target = tmp_path / "t.csv"
    done = call(
        "compare", out, other, "--format", "csv", "-o", target,
        "--metrics", "psnr", "--scales", "2", "--models", "bicubic",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    table = pd.read_csv(target)
    cells = table[table["kind"] == "cell"]
    assert cells["model"].tolist() == ["bicubic · out", "bicubic · other"]
    assert cells["difference"].tolist()[1] == 0
    assert cells["p_holm"].tolist()[1] == 1
    shown = call("compare", out, other, "--baseline", "nearest · other", "--format", "markdown")
    assert "**out" not in shown.stdout
    assert "difference from nearest · other" in shown.stdout


def test_csv_on_the_screen_is_a_table(finished):
    done = call("compare", finished[0], "--front", "psnr,ssim", "--format", "csv")
    table = pd.read_csv(io.StringIO(done.stdout))
    assert set(table["kind"]) == {"cell", "summary", "rank", "front"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--baseline", "bicubik"], "did you mean bicubic"),
        (["--front", "psnr"], "two metrics"),
        (["--front", "psnr,lpips"], "unknown metric of"),
        (["--models", "bicubic"], "nothing to compare"),
        (["--scales", "7"], "unknown scale of the runs '7'"),
        (["-o", "x.txt"], "--output needs --format"),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_2(finished, arguments, message):
    assert message in refused("compare", finished[0], *arguments)
