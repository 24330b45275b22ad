"""Workers on a Ray cluster of two machines, and what happens when they are lost."""

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from processes_of import children, is_running, wait_until

import liif_bench
from liif_bench.engines import EngineOptions, make_engine
from liif_bench.errors import LiifBenchError

if os.environ.get("CI") != "true":
    pytest.importorskip("ray", reason="ray is not installed: pip install '.[ray]'")

ROOT = Path(liif_bench.__file__).parents[1]


@pytest.fixture(scope="module")
def cluster(site):
    """Two machines of a CPU each, as far as Ray can tell, which know the package `faulty`."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        path = [str(site), str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        patch.setenv("PYTHONPATH", os.pathsep.join(path))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("FAULTY_LOADER", str(os.getpid()))  # that model loads here and not there
        machine = {"num_cpus": 1, "object_store_memory": 100 << 20}
        started = Cluster(
            initialize_head=True, head_node_args={**machine, "include_dashboard": False}
        )
        started.second = started.add_node(**machine)
        yield started
        started.shutdown()


@pytest.fixture
def two(cluster):
    """What makes a run use both machines."""
    return {"engine": "ray", "ray_address": cluster.address, "workers": 2, "threads": 1}


@pytest.fixture
def seen(monkeypatch):
    """What the watchers of the runs of a test were told: worker, and label or None for idle."""
    from liif_bench.board import Board

    told = []
    step, idle = Board.step, Board.idle
    monkeypatch.setattr(
        Board, "step", lambda self, *given: (told.append(given), step(self, *given))
    )
    monkeypatch.setattr(
        Board, "idle", lambda self, worker: (told.append((worker, None)), idle(self, worker))
    )
    return told


def comparable(run):
    """The records without what may differ between two equal runs."""
    return run.records.drop(columns=["run", "seconds"])


def most_at_work(told):
    """The most workers that were at a case at once."""
    at, most = {}, 0
    for worker, label in told:
        at[worker] = label not in (None, "starting")
        most = max(most, sum(at.values()))
    return most


def descendants(pid):
    """A process's children, their children, and so on."""
    found = children(pid)
    return found.union(*map(descendants, found))


def command_line(pid):
    """What a process was started with, in small letters."""
    return Path(f"/proc/{pid}/cmdline").read_text().lower()


@pytest.mark.slow
def test_a_cluster_gives_the_records_of_one_process_byte_for_byte(
    two, small_run, journal_of, seen, capfd
):
    alone = small_run("alone", threads=1)
    seen.clear()
    together = small_run("together", **two)
    pd.testing.assert_frame_equal(comparable(alone), comparable(together), check_exact=True)
    assert sorted(journal_of(alone)) == sorted(journal_of(together))
    assert together.manifest["engine"] == {"name": "ray", "workers": 2, "threads": 1}
    crops = sorted(path.name for path in (alone.path / "crops").glob("*.png"))
    assert len(crops) == 3 * 2 * 4
    for name in crops:
        kept = [(run.path / "crops" / name).read_bytes() for run in (alone, together)]
        assert kept[0] == kept[1]
    assert 1 <= most_at_work(seen) <= 2
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_case_that_kills_its_workers_is_begun_again_with_less_memory_and_then_an_error(
    two, faulty, small_run, tmp_path, journal_of, capfd
):
    (tmp_path / "kills").mkdir()
    model = f"killed:{tmp_path / 'kills'},photo1.png,99"
    wishes = {**two, "workers": 1, "memory": 512 << 20, "progress": True}
    run = small_run(models=["bicubic", model], **wishes)
    kills = sorted(path.name for path in (tmp_path / "kills").iterdir())
    assert kills == [f"0-{512 << 20}", f"1-{256 << 20}", f"2-{128 << 20}"]
    bad = run.records[run.records["error"].notna()]
    assert set(zip(bad["item"], bad["scale"], strict=True)) == {("photo1.png", 2.0)}
    assert bad["error"].str.contains("ended 3 times, its process ended, at photo1.png x2 on ").all()
    assert len(run.records) == 24
    assert len(journal_of(run)) == len(set(journal_of(run))) == 6
    said = capfd.readouterr().err
    assert said.count("worker 0 ended, ") == 3
    assert "raylet" not in said
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_case_that_takes_too_long_is_an_error_and_the_rest_is_measured(two, faulty, small_run):
    wishes = {**two, "workers": 1, "scales": [2]}
    run = small_run(models=["hanging:photo1.png"], case_limit=3, **wishes)
    bad = run.records[run.records["error"].notna()]
    assert set(bad["item"]) == {"photo1.png"}
    assert bad["error"].str.startswith("took longer than 3 s, at photo1.png x2 on ").all()
    assert len(run.records) == 6


@pytest.mark.slow
def test_a_model_that_loads_in_no_worker_stops_the_run_in_one_line(two, faulty, small_run):
    with pytest.raises(LiifBenchError, match=r"^this model loads only once$"):
        small_run(models=["unloadable"], **{**two, "workers": 1})


@pytest.mark.slow
def test_the_loss_of_a_machine_costs_its_case_a_second_beginning_and_nothing_else(
    two, cluster, faulty, small_run, journal_of, seen, monkeypatch, capfd
):
    from liif_bench.board import Board

    wishes = {"models": ["bicubic", "slow:0.5"], "scales": [2 + step / 4 for step in range(8)]}
    alone = small_run("alone", threads=1, **wishes)
    seen.clear()
    removed, ends = [], {}
    finished = Board.finished

    def finish(board, label, *given):
        finished(board, label, *given)
        ends[label] = time.monotonic()
        if len(ends) >= 4 and not removed and most_at_work(seen) == 2:
            removed.append(time.monotonic())
            cluster.remove_node(cluster.second, allow_graceful=False)

    monkeypatch.setattr(Board, "finished", finish)
    try:
        run = small_run("together", progress=True, **two, **wishes)
    finally:
        cluster.second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    pd.testing.assert_frame_equal(comparable(alone), comparable(run), check_exact=True)
    assert len(journal_of(run)) == len(set(journal_of(run))) == 24
    assert most_at_work(seen) == 2
    begun = [label for _, label in seen if label not in (None, "starting")]
    (lost,) = {label for label in begun if begun.count(label) == 2}
    assert len(begun) == 25
    assert ends[lost] - removed[0] < 60
    said = capfd.readouterr().err
    print(f"the case of the lost machine was done after {ends[lost] - removed[0]:.1f} s")
    assert len(re.findall(rf"worker \d ended, it[s ].*, at {lost} on ", said)) == 1
    assert "Traceback" not in said


@pytest.fixture
def command(photo_folder, tmp_path, site):
    """A run on a cluster of its own whose second case never ends, as a process; and its folder."""
    photos = photo_folder(count=2)
    out = tmp_path / "out"
    environment = {
        **os.environ,
        "PYTHONPATH": f"{site}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
    }
    arguments = [
        "run", "--scales", "2", "--metrics", "psnr", "--data", f"folder:{photos}",
        "--model", "hanging:photo1.png", "--device", "cpu", "--out", out,
        "--engine", "ray", "--workers", "1", "--threads", "1",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "liif_bench", *arguments],
        env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    journal = out / "journal.jsonl"
    wait_until(lambda: journal.exists() and journal.read_text().count("\n") == 1, 120)
    yield process, out
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
def test_a_cluster_of_its_own_ends_with_a_run_that_is_killed(command):
    process, out = command
    cluster = descendants(process.pid)
    assert len(cluster) > 3
    named = {pid: command_line(pid) for pid in cluster}
    process.kill()
    process.wait()
    # Ray's agents find out for themselves, which takes them two minutes.
    rest = [pid for pid, name in named.items() if "agent" not in name or "raylet/raylet" in name]
    assert len(rest) > 3
    wait_until(lambda: not any(map(is_running, rest)), 40)
    assert len(liif_bench.load_run(out).records) == 1


@pytest.mark.slow
def test_ctrl_c_ends_the_cluster_and_says_how_to_go_on(command):
    process, out = command
    cluster = descendants(process.pid)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
    error = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert f"interrupted: to go on, give the same command with --out {out}" in error
    assert "Traceback" not in error
    assert "ray" not in error.replace(str(out), "")
    wait_until(lambda: not any(map(is_running, cluster)))


@pytest.mark.slow
def test_more_workers_than_a_cluster_has_room_for_are_refused_in_one_line(cluster):
    def refused(**wishes):
        with pytest.raises(LiifBenchError) as caught:
            make_engine(EngineOptions("ray", ray_address=cluster.address, **wishes))
        return str(caught.value)

    assert "2 CPUs and 0 GPUs: room for 2 workers of 1 CPUs and 0 GPUs each, not for 3" in (
        refused(workers=3)
    )
    assert "room for 0 workers of 2 CPUs" in refused(threads=2)
    assert "room for 0 workers of 1 CPUs and 0.5 GPUs" in refused(gpus_per_worker=0.5)
    engine = make_engine(EngineOptions("ray", ray_address=cluster.address))
    assert (engine.workers, engine.threads) == (2, 1)
    del engine
    import ray

    assert not ray.is_initialized()


def test_a_cluster_that_is_not_there_is_an_error_at_once_and_in_one_line():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        with pytest.raises(LiifBenchError, match=f"answers at --ray-address {address} .*--head"):
            make_engine(EngineOptions("ray", ray_address=address))
    for wrong in ("head", "head:", ":6379", "head:port"):
        with pytest.raises(LiifBenchError, match="give 'auto' or HOST:PORT"):
            make_engine(EngineOptions("ray", ray_address=wrong))
    with pytest.raises(LiifBenchError, match=r"1\.5: give a whole number, or less than 1"):
        make_engine(EngineOptions("ray", gpus_per_worker=1.5))


def test_without_ray_the_error_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(LiifBenchError, match=r"pip install 'liif-bench\[ray\]'"):
        make_engine(EngineOptions("ray"))


@pytest.mark.parametrize(
    ("machines", "threads", "gpus", "room"),
    [
        ([{"CPU": 3}, {"CPU": 3}], 2, 0, 2),  # a CPU of each stays free
        ([{"CPU": 8, "GPU": 2}], 1, 0.6, 2),  # 0.4 of each GPU stays free
        ([{"CPU": 8, "GPU": 2}], 1, 0.5, 4),
        ([{"CPU": 8, "GPU": 1}], 1, 0.1, 8),
        ([{"CPU": 8, "GPU": 5}, {"CPU": 8}], 1, 2, 2),
    ],
)
def test_workers_are_fitted_into_each_machine_and_each_gpu(machines, threads, gpus, room):
    from liif_bench.engines.ray_cluster import _plan

    nodes = [{"Alive": True, "Resources": each} for each in machines]
    nodes.append({"Alive": False, "Resources": {"CPU": 64, "GPU": 8}})
    options = EngineOptions("ray", threads=threads, gpus_per_worker=gpus)
    assert _plan(options, gpus, nodes, alone=False).workers == room


def test_a_machine_without_the_data_or_of_another_version_is_named(tmp_path):
    from liif_bench.engines.ray_cluster import _Post

    host = socket.gethostname()
    there = _Post(None, str(tmp_path), (str(tmp_path),), liif_bench.__version__)
    there.enter()
    lacking = dataclasses.replace(there, files=(str(tmp_path / "x.png"),))
    with pytest.raises(LiifBenchError, match=f"'{host}' does not see '{tmp_path}/x.png'"):
        lacking.enter()
    with pytest.raises(LiifBenchError, match=f"on '{host}' and 0.0.1 where the run"):
        dataclasses.replace(there, version="0.0.1").enter()
