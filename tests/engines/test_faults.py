"""What becomes of a run through faults: nothing is lost, doubled or wrong, and it goes on.

Lost workers, hanging and leaking models are in `test_processes`.
"""

import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from commands import call, call_process, refused
from processes_of import children, is_running, wait_until

import liif_bench
from liif_bench.engines.processes import Processes
from liif_bench.errors import LiifBenchError
from liif_bench.harness import run_plan
from liif_bench.lock import is_claimed
from liif_bench.records import Journal
from liif_bench.status import read_status
from liif_bench.suite import make_plan

ENGINES = {
    "local": ["--engine", "local"],
    "processes": ["--engine", "processes", "--workers", "2"],
}


def comparable(run):
    """The records without what may differ between two equal runs."""
    return run.records.drop(columns=["run", "seconds"])


def assert_whole(run, right, journal_of):
    """A run is finished, equal to an unbroken one, and no case stands in it twice."""
    assert run.finished
    pd.testing.assert_frame_equal(comparable(run), comparable(right), check_exact=True)
    assert len(journal_of(run)) == len(set(journal_of(run))) == len(right.records) // 4
    crops = {path.name: path.read_bytes() for path in (right.path / "crops").glob("*.png")}
    assert {path.name: path.read_bytes() for path in (run.path / "crops").glob("*.png")} == crops


@pytest.fixture
def whole(small_run):
    """An unbroken run."""
    return small_run("whole", threads=1)


@pytest.fixture
def words(photo_folder, tmp_path):
    """The command of `small_run`, without --out; the photographs are those of `whole`."""
    return [
        "run", "--scales", "2,3", "--models", "bicubic,nearest", "--metrics", "psnr,ssim",
        "--data", f"folder:{tmp_path / 'photos'}", "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


@pytest.fixture
def plan(tmp_path, whole):
    return make_plan(
        scales=[2, 3], models=["bicubic", "nearest"], metrics=["psnr", "ssim"],
        data=[f"folder:{tmp_path / 'photos'}"], device="cpu",
    )  # fmt: skip


def started(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "liif_bench", *map(str, words)],
        stderr=subprocess.PIPE, text=True, start_new_session=True, **options,
    )  # fmt: skip


class TestKills:
    @pytest.mark.slow
    @pytest.mark.parametrize("engine", ENGINES)
    def test_a_run_killed_at_random_moments_goes_on_to_what_it_would_have_been(
        self, engine, whole, words, tmp_path, journal_of
    ):
        command = [*words, *ENGINES[engine], "--quiet"]
        begun = time.monotonic()
        assert call(*command, "--out", tmp_path / "timed").returncode == 0
        took = time.monotonic() - begun
        chance = random.Random(11)
        out, before = tmp_path / "broken", 0
        for part in range(5):
            process = started(*command, "--out", out)
            try:
                process.wait((part + chance.random()) / 5 * took)
            except subprocess.TimeoutExpired:
                process.kill()
            process.communicate()
            done = len(Journal(out / "journal.jsonl").places())
            assert done >= before  # what was finished stays so
            before = done
        done = call(*command, "--out", out)
        assert done.returncode == 0, done.stderr
        assert_whole(liif_bench.load_run(out), whole, journal_of)

    def test_a_worker_that_is_killed_while_it_starts_is_replaced(
        self, whole, words, tmp_path, journal_of
    ):
        process = started(
            *words, "--engine", "processes", "--workers", "1", "--out", tmp_path / "out"
        )
        wait_until(lambda: _workers(process.pid), 90)
        os.kill(_workers(process.pid).pop(), signal.SIGKILL)
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 0, error
        assert_whole(liif_bench.load_run(tmp_path / "out"), whole, journal_of)

    def test_workers_that_are_killed_between_cases_lose_nothing(
        self, plan, whole, tmp_path, journal_of
    ):
        mine = children()
        kills = []

        def log(event):
            """While the run is busy with the first case, all workers end theirs, and are killed."""
            if event["event"] == "case" and not kills:
                time.sleep(2)
                kills.extend(children() - mine)
                for worker in kills:
                    if b"spawn_main" in Path(f"/proc/{worker}/cmdline").read_bytes():
                        os.kill(worker, signal.SIGKILL)

        run = run_plan(plan, tmp_path / "run", engine=Processes(2, 1), log=log)
        assert len(kills) >= 2
        assert_whole(run, whole, journal_of)

    def test_what_a_killed_run_leaves_keeps_nobody_out(
        self, site, photo_folder, tmp_path, monkeypatch
    ):
        monkeypatch.setenv("PYTHONPATH", f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
        out = tmp_path / "out"
        command = [
            "run", "--scales", "2", "--metrics", "psnr", "--model", "hanging:photo1.png",
            "--data", f"folder:{photo_folder(count=2)}", "--device", "cpu", "--out", out,
        ]  # fmt: skip
        process = started(*command)
        try:
            journal = out / "journal.jsonl"
            wait_until(lambda: journal.exists() and journal.read_text().count("\n") == 1, 90)
            said = refused(*command, how=call_process)  # which sees the package, as the run does
            assert f"another process ({process.pid} on " in said
            assert f"is writing '{out}': wait for it" in said
            assert read_status(out).state == "at work"
        finally:
            process.kill()
            process.communicate()
        assert not is_claimed(out)
        status = read_status(out)
        assert (status.state, status.done, status.total) == ("stopped", 1, 2)
        again = started(*command)
        wait_until(lambda: is_claimed(out), 90)
        again.kill()
        again.communicate()


def _workers(leader):
    """The workers of a run, which are its children but for what keeps track of shared memory."""
    found = set()
    for process in children(leader):
        try:
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes():
                found.add(process)
        except OSError:  # it has ended
            continue
    return {process for process in found if is_running(process)}


@pytest.fixture
def small_disk(tmp_path):
    """A function that mounts a file system of so many bytes, or gives it another size."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False

    def mount(options):
        nonlocal mounted
        again = ["-o", f"remount,{options}"] if mounted else ["-t", "tmpfs", "-o", options]
        done = subprocess.run(["mount", *again, "tmpfs", folder], capture_output=True, check=False)
        if done.returncode and not mounted:
            pytest.skip("no file system can be mounted here")
        assert done.returncode == 0, done.stderr
        mounted = True
        return folder

    yield mount
    if mounted:
        subprocess.run(["umount", folder], check=True)


class TestDisks:
    def test_a_disk_that_is_full_when_a_case_is_finished_stops_the_run_in_one_line(
        self, plan, whole, tmp_path, journal_of
    ):
        journal, kept = tmp_path / "run" / "journal.jsonl", tmp_path / "kept"

        def log(event):
            if event.get("done") == 2:
                journal.rename(kept)
                journal.symlink_to("/dev/full")

        with pytest.raises(LiifBenchError, match=r"journal\.jsonl': No space .*finished cases"):
            run_plan(plan, tmp_path / "run", log=log)
        journal.unlink()
        kept.rename(journal)
        assert len(Journal(journal).places()) == 2
        assert_whole(run_plan(plan, tmp_path / "run"), whole, journal_of)

    def test_a_line_that_finds_half_its_room_is_taken_back(self, whole, words, tmp_path):
        size = (whole.path / "journal.jsonl").stat().st_size
        most = size * 3 // 4  # in the midst of the fifth line of six
        out = tmp_path / "out"

        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        process = started(*words, "--crops", "0", "--out", out, preexec_fn=limit)
        error = process.communicate(timeout=120)[1]
        assert process.returncode == 2, error
        assert error.count("\n") == 1
        assert "journal.jsonl': File too large; finished cases are kept" in error
        kept = (out / "journal.jsonl").read_bytes()
        assert kept.count(b"\n") == 4
        assert kept.endswith(b"\n")
        done = call(*words, "--crops", "0", "--out", out)
        assert done.returncode == 0, done.stderr
        assert (out / "journal.jsonl").read_bytes().startswith(kept)
        run = liif_bench.load_run(out)
        pd.testing.assert_frame_equal(comparable(run), comparable(whole), check_exact=True)

    def test_a_disk_that_is_full_at_any_file_keeps_what_is_finished(
        self, small_run, whole, small_disk, journal_of
    ):
        named, before = set(), 0
        for blocks in range(1, 80):
            disk = small_disk(f"size={blocks * 4}k")
            out = disk / "run"
            try:
                run = small_run(out, threads=1)
            except LiifBenchError as error:
                said = str(error)
            else:
                break
            assert "No space left on device" in said
            assert "\n" not in said
            named.add(Path(said.split("'")[1]).name)
            journal = out / "journal.jsonl"
            done = Journal(journal).places()
            assert len(done) >= before
            before = len(done)
        assert_whole(run, whole, journal_of)
        assert named >= {"crops", "journal.jsonl", "manifest.json", "records.parquet"}, named
        assert not list(out.glob(".*.partial"))

    def test_a_full_disk_under_the_log_is_one_line(self, words, whole, tmp_path):
        said = refused(*words, "--json-log", "/dev/full", "--out", tmp_path / "out")
        assert "cannot write --json-log: No space left on device" in said

    @pytest.mark.parametrize("out", ["/proc/run", "/dev/null/run", "x" * 300, "/proc"])
    def test_an_impossible_folder_is_refused_in_one_line(self, small_run, out):
        with pytest.raises(LiifBenchError, match="--out '") as error:
            small_run(out)
        assert "\n" not in str(error.value)

    def test_a_read_only_folder_is_refused_and_continued_when_it_can_be_written(
        self, small_run, whole, small_disk, journal_of
    ):
        disk = small_disk("size=1m")
        small_run(disk / "run", threads=1)
        journal = disk / "run" / "journal.jsonl"
        journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:3]))
        small_disk("ro")
        for name in ("run", "new"):
            with pytest.raises(LiifBenchError, match=rf"cannot write .*{name}.*Read-only"):
                small_run(disk / name)
        assert len(liif_bench.load_run(disk / "run").records) == 24  # reading needs no writing
        small_disk("rw")
        assert_whole(small_run(disk / "run", threads=1), whole, journal_of)


class TestDamage:
    @pytest.mark.parametrize(
        "tail",
        [
            b'{"dataset": "x", "item": "photo1.png"',
            b"\0" * 700,
            b'{"dataset": "x"' + b"\0" * 700,
            b"\0" * 700 + b'"stages": {}}\n',
            b'{"dataset": "x"' + b"\0" * 700 + b"}\n",
            b"\xff\xfe",
        ],
        ids=["cut", "zeros", "cut and zeros", "zeros and an end", "a hole", "no text"],
    )
    def test_a_last_line_that_a_loss_of_power_broke_is_measured_again(
        self, tail, small_run, whole, journal_of
    ):
        journal = whole.path / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(b"".join(lines[:4]) + tail)
        assert len(Journal(journal).places()) == 4  # for those who only read
        right = comparable(whole)
        run = small_run("whole", threads=1)
        assert journal.read_bytes().startswith(b"".join(lines[:4]))
        pd.testing.assert_frame_equal(comparable(run), right, check_exact=True)
        assert len(journal_of(run)) == len(set(journal_of(run))) == 6

    def test_tables_with_a_flipped_bit_are_read_from_the_journal_and_made_anew(
        self, faulty, small_run
    ):
        run = small_run(metrics=["psnr", "telling"])
        records, views = run.records, run.details("views")
        assert len(views) == 3 * 2 * 2 * 3
        chance = random.Random(3)
        tables = {name: (run.path / name).read_bytes() for name in run.manifest["tables"]}
        assert set(tables) == {"records.parquet", "views.parquet"}
        for name, content in tables.items():
            for _ in range(100):
                place = chance.randrange(len(content))
                flipped = content[place] ^ (1 << chance.randrange(8))
                (run.path / name).write_bytes(
                    content[:place] + bytes([flipped]) + content[place + 1 :]
                )
                got = liif_bench.load_run(run.path)
                pd.testing.assert_frame_equal(got.records, records, check_exact=True)
                pd.testing.assert_frame_equal(got.details("views"), views, check_exact=True)
        again = small_run(metrics=["psnr", "telling"])
        assert {name: (run.path / name).read_bytes() for name in tables} == tables
        pd.testing.assert_frame_equal(again.records, records, check_exact=True)

    def test_a_damaged_table_without_a_journal_is_named(self, whole):
        (whole.path / "journal.jsonl").unlink()
        table = whole.path / "records.parquet"
        table.write_bytes(table.read_bytes()[:-100])
        with pytest.raises(LiifBenchError, match=r"records\.parquet' is damaged.*no journal"):
            _ = liif_bench.load_run(whole.path).records

    def test_a_cut_manifest_stops_every_command_in_one_line(self, words, whole):
        manifest = whole.path / "manifest.json"
        text = manifest.read_text()
        manifest.write_text(text[:200])
        for command in (["table", whole.path], [*words, "--out", whole.path]):
            assert "manifest.json' is damaged" in refused(*command)
        assert (whole.path / "journal.jsonl").read_bytes().count(b"\n") == 6
        manifest.write_text(text)
        assert call(*words, "--out", whole.path).returncode == 0


@pytest.mark.parametrize("engine", [{"engine": "local"}, {"engine": "processes", "workers": 1}])
class TestModels:
    def test_a_raising_metric_and_a_model_of_nan_are_error_records(self, engine, faulty, small_run):
        run = small_run(models=["bicubic", "nan"], metrics=["psnr", "raising"], **engine)
        errors = run.records.groupby(["upsampler", "metric"])["error"].agg(set).to_dict()
        nothing = {"output holds values that are not finite"}
        assert errors.pop(("bicubic", "raising")) == {"ZeroDivisionError: by zero"}
        assert errors.pop(("nan", "psnr")) == errors.pop(("nan", "raising")) == nothing
        rest = run.records[(run.records["upsampler"] == "bicubic")]
        assert rest.loc[rest["metric"] == "psnr", "value"].notna().all()

    def test_a_model_without_room_is_tried_with_half_as_much_and_then_is_an_error(
        self, engine, faulty, small_run
    ):
        room, none = f"hungry:{200 << 20}", f"hungry:{10 << 20}"
        fits = small_run("fits", models=["bicubic", room], memory=512 << 20, **engine)
        assert fits.records["error"].isna().all()
        run = small_run("not", models=["bicubic", none], memory=512 << 20, **engine)
        bad = run.records[run.records["error"].notna()]
        assert set(bad["upsampler"]) == {"hungry"}
        assert len(bad) == 12
        assert bad["error"].str.contains("can't allocate memory").all()


ROOM = """
import json, resource, sys, threading
from pathlib import Path
import torch
from liif_bench import bench
from liif_bench.engines.local import Local
from liif_bench.harness import run_plan
from liif_bench.suite import make_plan

torch.set_num_threads(1)
threading.stack_size(256 << 10)
halved, plainly = [], bench.Bench.with_less_memory
bench.Bench.with_less_memory = lambda *given: (halved.append(given[2]), plainly(*given))[1]
photos, out, megabytes, tiny = sys.argv[1:]


class Tight(Local):
    # While it measures and no longer: Arrow waits for ever for threads that it has no room for.
    def outcomes(self, *given):
        plain = resource.getrlimit(resource.RLIMIT_AS)
        size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + (int(megabytes) << 20), plain[1]))
        try:
            yield from super().outcomes(*given)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, plain)


def run(name, folder, engine):
    plan = make_plan(scales=[2], models=["liif-edsr"], metrics=["psnr"], device="cpu",
                     data=["folder:" + folder], memory=512 << 20)
    return run_plan(plan, Path(out) / name, engine=engine, crops=0)


run("warm", tiny, Local())
(row,) = run("run", photos, Tight()).records.itertuples()
print(json.dumps([row.value, row.error if isinstance(row.error, str) else "", len(halved)]))
"""


@pytest.mark.weights
@pytest.mark.slow
def test_a_host_that_has_no_room_for_a_tile_gives_the_same_numbers_with_smaller_ones(
    photo_folder, tmp_path, weights
):
    weights("liif-edsr")
    photos = photo_folder(count=1, size=(500, 600))
    tiny = photo_folder(count=1, name="tiny")

    def measured(megabytes):
        done = subprocess.run(
            [
                sys.executable, "-c", ROOM,
                photos, tmp_path / str(megabytes), str(megabytes), tiny,
            ],
            capture_output=True, text=True, timeout=300,
            env={**os.environ, "MALLOC_ARENA_MAX": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    value, error, halved = measured(4096)
    assert (error, halved) == ("", 0)
    less, error, halved = measured(150)
    assert error == ""
    assert halved >= 1
    assert less == pytest.approx(value, abs=1e-6)
    nothing, error, _ = measured(80)
    assert math.isnan(nothing)
    assert "memory" in error.lower()
