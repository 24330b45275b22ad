"""Workers in processes of their own, and what happens when they are lost."""

import os
import signal
import subprocess
import sys

import pandas as pd
import pytest
from processes_of import children, is_running, wait_until

import liif_bench
from liif_bench.errors import LiifBenchError

TWO = {"engine": "processes", "workers": 2, "threads": 1}
ONE = {"engine": "processes", "workers": 1, "threads": 1}


def comparable(run):
    """The records without what may differ between two equal runs."""
    return run.records.drop(columns=["run", "seconds"])


def test_workers_give_the_records_of_one_process_byte_for_byte(small_run, journal_of):
    alone = small_run("alone", threads=1)
    together = small_run("together", **TWO)
    pd.testing.assert_frame_equal(comparable(alone), comparable(together), check_exact=True)
    assert sorted(journal_of(alone)) == sorted(journal_of(together))
    assert together.manifest["engine"] == {"name": "processes", "workers": 2, "threads": 1}
    assert {path.name for path in (alone.path / "crops").iterdir()} == {
        path.name for path in (together.path / "crops").iterdir()
    }
    for path in (alone.path / "crops").glob("*.png"):
        assert path.read_bytes() == (together.path / "crops" / path.name).read_bytes()


def test_a_run_of_one_engine_is_continued_by_another(small_run, journal_of):
    whole = small_run("whole", threads=1)
    lines = (whole.path / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (whole.path / "journal.jsonl").write_bytes(b"".join(lines[1::2]))
    again = small_run("whole", **ONE)
    pd.testing.assert_frame_equal(comparable(whole), comparable(again), check_exact=True)
    assert len(journal_of(again)) == 6
    assert again.manifest["engine"]["name"] == "processes"


def test_a_killed_worker_is_replaced_and_its_case_begun_again_with_half_the_memory(
    faulty, small_run, tmp_path, journal_of
):
    (tmp_path / "kills").mkdir()
    model = f"killed:{tmp_path / 'kills'},photo1.png,2"
    run = small_run(models=["bicubic", model], memory=512 << 20, **ONE)
    assert run.records["error"].isna().all()
    assert len(run.records) == 3 * 2 * 2 * 2
    assert len(journal_of(run)) == len(set(journal_of(run))) == 6
    kills = sorted(path.name for path in (tmp_path / "kills").iterdir())
    assert kills == [f"0-{512 << 20}", f"1-{256 << 20}"]


def test_a_case_that_kills_every_worker_is_an_error_and_the_rest_is_measured(
    faulty, small_run, tmp_path, journal_of
):
    (tmp_path / "kills").mkdir()
    model = f"killed:{tmp_path / 'kills'},photo1.png,99"
    run = small_run(models=["bicubic", model], **TWO)
    bad = run.records[run.records["error"].notna()]
    assert set(zip(bad["item"], bad["scale"], strict=True)) == {("photo1.png", 2.0)}
    assert set(bad["upsampler"]) == {"bicubic", "killed"}
    assert bad["error"].str.contains("ended 3 times, killed by SIGKILL, at photo1.png x2").all()
    assert len(list((tmp_path / "kills").iterdir())) == 3
    assert len(run.records) == 24
    assert len(journal_of(run)) == len(set(journal_of(run))) == 6


def test_a_case_that_takes_too_long_is_an_error_and_the_rest_is_measured(faulty, small_run):
    run = small_run(models=["hanging:photo1.png"], case_limit=3, **ONE)
    bad = run.records[run.records["error"].notna()]
    assert set(bad["item"]) == {"photo1.png"}
    assert bad["error"].str.fullmatch(r"took longer than 3 s, at photo1.png x[23] · hanging").all()
    assert len(run.records) == 12


def test_a_worker_that_holds_too_much_is_replaced_between_cases(faulty, small_run, capfd):
    run = small_run(models=["leaking"], most_rss=64 << 20, progress=True, limit=2, **ONE)
    assert run.records["error"].isna().all()
    assert capfd.readouterr().err.count("and was replaced") == 3  # after all cases but the last


def test_a_model_that_loads_in_no_worker_stops_the_run_in_one_line(faulty, small_run, monkeypatch):
    monkeypatch.setenv("FAULTY_LOADER", str(os.getpid()))
    before = children()
    with pytest.raises(LiifBenchError, match="this model loads only once"):
        small_run(models=["unloadable"], **TWO)
    assert children() <= before


def test_workers_that_are_killed_while_they_start_are_given_up(faulty, small_run, monkeypatch):
    from faulty import end_at_once

    from liif_bench.engines import processes

    monkeypatch.setattr(processes, "_serve", end_at_once)
    with pytest.raises(LiifBenchError, match=r"while they start \(killed by SIGKILL.*fewer --work"):
        small_run(**ONE)


def test_workers_that_hang_while_they_start_are_given_up(faulty, small_run, monkeypatch):
    from faulty import hang_at_once

    from liif_bench.engines import processes

    monkeypatch.setattr(processes, "_serve", hang_at_once)
    monkeypatch.setattr(processes, "_LONGEST_START", 1.0)
    before = children()
    with pytest.raises(LiifBenchError, match=r"start \(took longer than 1 s, at starting"):
        small_run(**TWO)
    assert children() <= before


@pytest.fixture
def command(photo_folder, tmp_path, site):
    """A run of two workers, one of which never comes back, as a process; and its folder."""
    photos = photo_folder(count=2)
    out = tmp_path / "out"
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    words = (
        f"run --scales 2 --metrics psnr --data folder:{photos} --model hanging:photo1.png"
        f" --device cpu --engine processes --workers 2 --threads 1 --out {out}"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "liif_bench", *words.split()],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    journal = out / "journal.jsonl"
    wait_until(lambda: journal.exists() and journal.read_text().count("\n") == 1, 90)
    yield process, out
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


def test_workers_end_with_a_run_that_is_killed(command):
    process, out = command
    workers = children(process.pid)
    assert workers
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(is_running, workers)))
    assert len(liif_bench.load_run(out).records) == 1


def test_ctrl_c_ends_the_workers_and_says_how_to_go_on(command):
    process, out = command
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    error = process.communicate(timeout=30)[1]
    assert process.returncode == 130
    assert f"interrupted: to go on, give the same command with --out {out}" in error
    assert "Traceback" not in error
    wait_until(lambda: not any(map(is_running, workers)))  # what tracks shared memory ends last
    assert liif_bench.load_run(out).manifest["wall_seconds"] > 0
