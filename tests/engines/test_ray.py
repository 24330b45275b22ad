"""Workers on a Ray cluster of two machines, and what happens when they are lost."""

import os
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
        machine = {"num_cpus": 1, "object_store_memory": 100 << 20}
        started = Cluster(
            initialize_head=True, head_node_args={**machine, "include_dashboard": False}
        )
        started.liif_bench_second = started.add_node(**machine)
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
    crops = sorted(path.name for path in (alone.path / "crops").iterdir())
    assert crops
    for name in crops:
        assert (alone.path / "crops" / name).read_bytes() == (
            together.path / "crops" / name
        ).read_bytes()
    assert most_at_work(seen) == 2
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
    assert bad["error"].str.contains(r"ended 3 times, .*, at photo1.png x2 on ").all()
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
def test_a_model_that_loads_in_no_worker_stops_the_run_in_one_line(
    two, faulty, small_run, monkeypatch
):
    monkeypatch.setenv("FAULTY_LOADER", str(os.getpid()))  # the cluster's environment lacks it
    monkeypatch.setattr("liif_bench.engines.ray_cluster._PASSED", ("FAULTY_LOADER",))
    with pytest.raises(LiifBenchError, match="^this model loads only once$"):
        small_run(models=["unloadable"], **{**two, "workers": 1})


@pytest.mark.slow
def test_the_loss_of_a_machine_costs_its_case_a_second_beginning_and_nothing_else(
    two, cluster, faulty, small_run, journal_of, seen, monkeypatch
):
    from liif_bench.board import Board

    wishes = {"models": ["bicubic", "slow:1"], "scales": [2, 2.5, 3, 3.5]}
    alone = small_run("alone", threads=1, **wishes)
    seen.clear()
    lost_at = []
    finished = []

    def finish(self, label, *given):
        finished.append((time.monotonic(), label))
        if len(finished) == 4:
            cluster.remove_node(cluster.liif_bench_second, allow_graceful=False)
            lost_at.append(time.monotonic())

    monkeypatch.setattr(Board, "finished", finish)
    try:
        run = small_run("together", **two, **wishes)
    finally:
        monkeypatch.undo()
        cluster.liif_bench_second = cluster.add_node(num_cpus=1, object_store_memory=100 << 20)
    pd.testing.assert_frame_equal(comparable(alone), comparable(run), check_exact=True)
    assert len(journal_of(run)) == len(set(journal_of(run))) == 12
