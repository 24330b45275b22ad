import json
import os

from commands import call

from liif_bench.weights.registry import lookup


def test_it_names_what_is_there_and_what_is_not(tmp_path):
    empty = {"LIIF_BENCH_CACHE": str(tmp_path / "cache"), "LIIF_BENCH_DATA": ""}
    done = call("doctor", env=empty)
    assert done.returncode == 0, done.stderr
    shown = " ".join(done.stdout.split())  # however the lines are broken
    for words in ("auto takes", "liif-bench weights fetch liif-edsr", "data fetch urban100"):
        assert words in shown
    assert "(suite sample) is ready to run" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_default_run_that_cannot_be_whole_is_1(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / lookup("lpips-alex").file).write_bytes(b"damaged")
    done = call("doctor", "--json", env={"LIIF_BENCH_CACHE": str(tmp_path)})
    assert done.returncode == 1
    found = json.loads(done.stdout)
    (problem,) = found["problems"]
    assert problem.startswith("metric 'lpips': weights lpips-alex in the cache are not")
    (lpips,) = (part for part in found["parts"] if part["name"] == "lpips")
    assert lpips["state"] == "broken"
    assert found["machine"]["python"]


def test_without_torch_it_says_so_and_looks_at_the_rest(tmp_path):
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('libcudart is gone')")
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = call("doctor", env={"PYTHONPATH": os.pathsep.join(paths)})
    assert done.returncode == 1
    assert "problem: torch cannot be imported: ImportError: libcudart is gone" in done.stdout
    assert "unknown, since torch cannot be imported" in done.stdout
    assert "bicubic" in done.stdout


def test_the_data_root_can_be_named(tmp_path):
    done = call("doctor", "--data-root", tmp_path / "here", "--json")
    assert json.loads(done.stdout)["data_root"]["path"] == str(tmp_path / "here")
