import json

import pytest
from commands import call, refused

import liif_bench


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run of interpolation, which needs no weights."""
    return liif_bench.run(
        scales=[2], models=["bicubic", "nearest"], metrics=["psnr"], limit=3,
        out=tmp_path_factory.mktemp("runs") / "run", progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def baseline(run):
    """The run's baseline, written by the command."""
    path = run.path.parent / "baseline.json"
    done = call("baseline", "save", run.path, "-o", path)
    assert done.returncode == 0
    assert "6 values in 2 cells" in done.stdout
    return path


def test_a_run_passes_its_own_baseline(run, baseline):
    done = call("gate", run.path, "--baseline", baseline)
    assert done.returncode == 0, done.stderr
    assert "gate passed: run against run: 2 same" in done.stdout


def test_a_worse_run_fails_with_exit_code_1_and_writes_its_files(run, baseline, tmp_path):
    better = json.loads(baseline.read_text())
    for cell in better["cells"]:
        cell["values"] = {item: value + 0.5 for item, value in cell["values"].items()}
    (tmp_path / "better.json").write_text(json.dumps(better))
    files = {name: tmp_path / name for name in ("junit", "summary", "json")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    done = call("gate", run.path, "-b", tmp_path / "better.json", *options)
    assert done.returncode == 1
    assert "gate FAILED: run against run: 2 worse" in done.stdout
    assert 'failures="2"' in files["junit"].read_text()
    assert "FAILED" in files["summary"].read_text()
    assert json.loads(files["json"].read_text())["counts"] == {"worse": 2}
    shown = call("baseline", "diff", tmp_path / "better.json", run.path)
    assert "2 cells differ" in shown.stdout


def test_what_is_wrong_is_one_line(run, baseline, tmp_path):
    assert "does not exist" in refused("gate", run.path, "--baseline", tmp_path / "gone.json")
    assert "gone.toml" in refused(
        "gate", run.path, "-b", baseline, "--rules", tmp_path / "gone.toml"
    )
    assert "already there" in refused("baseline", "save", run.path, "-o", baseline)
    assert "Is a directory" in refused("baseline", "save", run.path, "-o", ".", "--overwrite")
