"""How far a run is, asked from another process."""

import subprocess
import sys

import pytest
from commands import call, refused
from processes_of import wait_until

import liif_bench
from liif_bench.board import Board
from liif_bench.lock import claimed, is_claimed
from liif_bench.status import STATUS, read_status, reporting

FAST = {"models": ["bicubic"], "metrics": ["psnr"], "device": "cpu", "progress": False}


@pytest.fixture
def run(photo_folder, tmp_path):
    return liif_bench.run(
        scales=[2], data=[f"folder:{photo_folder()}"], out=tmp_path / "out", **FAST
    )  # fmt: skip


def test_a_finished_run(run):
    found = read_status(run.path)
    assert (found.state, found.done, found.total, found.failures) == ("finished", 3, 3, 0)
    assert found.snapshot is None
    shown = call("status", run.path)
    assert shown.returncode == 0
    assert f"{run.path}: finished, 3 of 3 cases, 0 values missing" in shown.stdout


def test_a_run_that_was_killed_says_how_to_go_on(run):
    journal = run.path / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:2]))
    manifest = run.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"finished": "', '"finished": null, "x": "'))
    found = read_status(run.path)
    assert (found.state, found.done, found.total) == ("stopped", 2, 3)
    shown = call("status", run.path).stdout
    assert "stopped, 2 of 3 cases" in shown
    assert f"to go on: liif_bench.run --out {run.path}" in shown


def test_a_run_at_work_shows_what_its_process_is_at(run):
    code = (
        "import sys; from pathlib import Path; from liif_bench.board import Board;"
        "from liif_bench.lock import claimed; from liif_bench.status import reporting;"
        f"folder = Path({str(run.path)!r}); board = Board(3, 1, 2.0);"
        "board.step(0, 'photo2.png x2 · liif');"
        "board.finished('photo1.png x2', 1.0, 0.5, 1, {'liif: render': 0.4});\n"
        "with claimed(folder), reporting(folder, board):\n print('here', flush=True)\n"
        " sys.stdin.read()"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"here\n"
        wait_until((run.path / STATUS).exists)
        found = read_status(run.path)
        assert found.state == "at work"
        assert found.process["pid"] == other.pid
        assert found.snapshot.at_work == {0: "photo2.png x2 · liif"}
        assert (found.snapshot.done, found.snapshot.failures) == (2, 1)
        shown = call("status", run.path).stdout
        assert f"at work by process {other.pid} on " in shown
        assert "photo2.png x2 · liif" in shown
        assert "liif: render 0.4" in shown
        with pytest.raises(liif_bench.LiifBenchError, match=rf"process \({other.pid} on "):
            liif_bench.run(scales=[2], data=["sample"], out=run.path, **FAST)
    finally:
        other.communicate(b"")
    assert not is_claimed(run.path)
    assert not (run.path / STATUS).exists()


def test_what_a_killed_process_leaves_keeps_nobody_out(run):
    code = (
        "import os, signal; from pathlib import Path; from liif_bench.lock import claimed;"
        f"held = claimed(Path({str(run.path)!r})); held.__enter__();"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    assert (run.path / ".lock").exists()
    assert (run.path / ".holder.json").exists()
    assert not is_claimed(run.path)
    with claimed(run.path):
        assert is_claimed(run.path)


def test_a_status_that_cannot_be_written_stops_no_run(tmp_path):
    with reporting(tmp_path / "gone", Board(1, 0, 1.0)):
        pass


def test_what_is_no_run_is_refused(tmp_path):
    assert "is not a run" in refused("status", tmp_path)
