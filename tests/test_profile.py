import json
import threading
import time
import weakref

import pandas as pd
import pytest

import liif_bench
from liif_bench import bench as bench_module
from liif_bench import harness
from liif_bench.bench import Bench
from liif_bench.datasets import load_dataset
from liif_bench.engines import local, work
from liif_bench.evaluate import evaluate
from liif_bench.metrics import load_metric
from liif_bench.profile import BACKGROUND, ELSE, WAITING, Stopwatch
from liif_bench.progress import silent
from liif_bench.protocol import load_protocol
from liif_bench.reports.profile import profile_grid
from liif_bench.suite import make_plan
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options

FAST = {"models": ["nearest", "bicubic"], "metrics": ["psnr", "ssim"], "progress": False}


@pytest.fixture
def photos(photo_folder):
    return f"folder:{photo_folder()}"


def test_a_stage_is_summed_also_where_it_fails():
    watch = Stopwatch()
    with watch.stage("a"):
        time.sleep(0.02)
    with pytest.raises(ZeroDivisionError), watch.stage("a"):
        time.sleep(0.02 / (time.sleep(0.02) or 0))
    watch.add(BACKGROUND[0], 5.0)
    assert set(watch.seconds) == {"a", BACKGROUND[0]}
    assert watch.seconds["a"] >= 0.04
    assert watch.foreground == watch.seconds["a"]


def test_a_stage_within_another_is_counted_once():
    watch = Stopwatch()
    with watch.stage("outer"):
        time.sleep(0.02)
        with watch.stage("inner"):
            time.sleep(0.05)
            with watch.stage("inner"):
                time.sleep(0.05)
        with pytest.raises(ZeroDivisionError), watch.stage("broken"):
            raise ZeroDivisionError
    with watch.stage("outer"):
        pass
    assert 0.02 <= watch.seconds["outer"] < 0.05
    assert 0.1 <= watch.seconds["inner"] < 0.15
    assert watch.foreground == pytest.approx(sum(watch.seconds.values()))


def test_the_stages_of_a_run_add_up_to_its_wall_time(photos, tmp_path):
    run = liif_bench.run(scales=[2, 3], data=[photos], out=tmp_path / "out", **FAST)
    stages = run.manifest["stages"]
    models = [f"{name}: {stage}" for name in FAST["models"] for stage in ("encode", "render")]
    assert set(stages) == {*BACKGROUND, *models, "psnr", "ssim", WAITING, ELSE}
    assert all(seconds >= 0 for seconds in stages.values())
    foreground = sum(seconds for name, seconds in stages.items() if name not in BACKGROUND)
    assert foreground == pytest.approx(run.manifest["wall_seconds"], rel=1e-6)
    assert run.manifest["network_stages"] == []


def test_a_continued_run_adds_its_stages(photos, tmp_path):
    out = tmp_path / "out"
    wishes = {"scales": [2], "data": [photos], "out": out} | FAST
    before = liif_bench.run(**wishes).manifest["stages"]
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(lines[0])
    after = liif_bench.run(**wishes).manifest
    assert all(after["stages"][name] > before[name] for name in (*BACKGROUND, "psnr", ELSE))
    again = liif_bench.run(**wishes).manifest["stages"]
    assert again == after["stages"]


def test_records_are_those_of_cases_made_one_after_the_other(photos, tmp_path):
    run = liif_bench.run(scales=[2, 2.5], data=[photos], out=tmp_path / "out", **FAST)
    protocol = load_protocol(run.manifest["plan"]["protocol"])
    bench = Bench(
        run="out", suite="sample", suite_version=1, protocol=protocol,
        upsamplers=tuple(load_upsampler(name, Options()) for name in FAST["models"]),
        metrics=tuple(map(load_metric, FAST["metrics"])), broken={}, seed=0,
    )  # fmt: skip
    rows = [
        row
        for item in load_dataset(photos).items
        for scale in (2.0, 2.5)
        for row in evaluate(bench, photos, item, scale)
    ]
    keys = ["item", "scale", "upsampler", "metric", "value"]
    expected = pd.DataFrame([[getattr(row, key) for key in keys] for row in rows], columns=keys)
    pd.testing.assert_frame_equal(run.records[keys], expected, check_exact=True)


@pytest.fixture
def watched(monkeypatch, photos, tmp_path):
    """A run whose metric notes the case, and the loading threads, each time it scores."""
    seen = []
    cases = []

    class Watcher:
        name = "psnr"
        higher_is_better = True

        def variant(self, protocol):
            return "none"

        def needs(self, protocol):
            return ()

        def score(self, case, output):
            if not any(one() is case for one in cases):
                cases.append(weakref.ref(case))
            seen.append(sum(one() is not None for one in cases))
            return 1.0

    monkeypatch.setattr(bench_module, "load_metric", lambda name, device: Watcher())
    plan = make_plan(
        scales=[2, 3], models=["bicubic", "nearest"], metrics=["psnr"], data=[photos], device="cpu"
    )
    harness.run_plan(plan, tmp_path / "out", progress=silent)
    return seen, cases


def test_a_case_is_let_go_when_the_next_is_measured(watched):
    seen, cases = watched
    assert seen == [1] * 12
    assert len(cases) == 6


def test_cases_are_made_in_another_thread_at_most_one_ahead(photos, tmp_path, monkeypatch):
    events = []
    prepare, measure = local.prepare, work.measure_case

    def preparing(*arguments):
        events.append(("made", threading.current_thread() is threading.main_thread()))
        return prepare(*arguments)

    def measuring(*arguments):
        done = measure(*arguments)
        time.sleep(0.05)
        events.append(("measured", True))
        return done

    monkeypatch.setattr(local, "prepare", preparing)
    monkeypatch.setattr(work, "measure_case", measuring)
    liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", **FAST)
    names = [name for name, _ in events]
    assert names == ["made", "made", "measured", "made", "measured", "measured"]
    assert not any(main for name, main in events if name == "made")


def test_the_table_orders_stages_and_separates_networks():
    stages = {"liif: render": 6.0, "lpips": 2.0, "psnr": 1.0, "else": 1.0, "reading images": 3.0}
    manifest = {"stages": stages, "network_stages": ["liif: encode", "liif: render", "lpips"]}
    grid = profile_grid(json.loads(json.dumps(manifest)))
    assert grid.rows == (
        ("liif: render", "6.00", "60.0 %"),
        ("reading images (background)", "3.00", "30.0 %"),
        ("lpips", "2.00", "20.0 %"),
        ("psnr", "1.00", "10.0 %"),
        ("else", "1.00", "10.0 %"),
    )
    assert "20.0 % of 10.00 s" in grid.notes[0]
    assert profile_grid({}).rows == ()
