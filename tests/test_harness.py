import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import liif_bench
from liif_bench import bench as bench_module
from liif_bench import evaluate as evaluate_module
from liif_bench import harness
from liif_bench.errors import LiifBenchError
from liif_bench.metrics.distortion import Psnr
from liif_bench.progress import silent
from liif_bench.protocol import load_protocol, to_toml
from liif_bench.records import COLUMNS, Journal
from liif_bench.suite import make_plan
from liif_bench.weights.fetch import cache_dir

FAST = {"models": ["nearest", "bicubic"], "metrics": ["psnr", "ssim"], "progress": False}


def comparable(run):
    """The records without what may differ between two equal runs."""
    return run.records.drop(columns=["run", "seconds"])


@pytest.fixture
def photos(photo_folder):
    return f"folder:{photo_folder()}"


class TestRecords:
    def test_every_case_upsampler_and_metric_has_its_row(self, photos, tmp_path):
        run = liif_bench.run(scales=[2, 2.5], data=[photos], out=tmp_path / "out", **FAST)
        frame = run.records
        assert tuple(frame.columns) == COLUMNS
        assert len(frame) == 3 * 2 * 2 * 2
        assert not frame.duplicated(["dataset", "item", "scale", "upsampler", "metric"]).any()
        assert frame["error"].isna().all()
        assert frame["value"].notna().all()
        assert set(frame["protocol_hash"]) == {run.manifest["plan"]["protocol_hash"]}
        at_half = frame[frame["scale"] == 2.5].iloc[0]
        assert tuple(at_half[["lr_h", "lr_w", "hr_h", "hr_w"]]) == (19, 25, 48, 62)

    def test_the_parquet_file_is_the_records(self, photos, tmp_path):
        run = liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", **FAST)
        stored = pd.read_parquet(tmp_path / "out" / "records.parquet")
        pd.testing.assert_frame_equal(run.records, stored)
        again = liif_bench.load_run(tmp_path / "out")
        pd.testing.assert_frame_equal(again.records, stored)

    def test_the_manifest_says_what_made_the_numbers(self, photos, tmp_path):
        run = liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", **FAST)
        manifest = run.manifest
        assert run.finished
        assert manifest["versions"]["torch"] == torch.__version__
        assert manifest["protocol"]["name"] == "liif-div2k"
        assert manifest["plan"]["datasets"][photos]["items"] == 3
        assert manifest["machine"]["device"] == "cpu" or torch.cuda.is_available()
        assert manifest["cases"] == 3
        assert manifest["errors"] == 0

    def test_limit_takes_the_first_items(self, photos, tmp_path):
        run = liif_bench.run(scales=[2], data=[photos], limit=2, out=tmp_path / "out", **FAST)
        assert run.records["item"].unique().tolist() == ["photo0.png", "photo1.png"]

    def test_identical_images_have_infinite_psnr(self, photos, tmp_path):
        run = liif_bench.run(scales=[1], data=[photos], out=tmp_path / "out", **FAST)
        assert np.isposinf(run.records.query("metric == 'psnr'")["value"]).all()

    @pytest.mark.weights
    def test_regimes_are_those_of_the_trained_model(self, photos, tmp_path, weights):
        weights("liif-edsr")
        run = liif_bench.run(
            scales=[4, 4.5], data=[photos], limit=1, out=tmp_path / "out",
            models=["bicubic", "liif-edsr"], metrics=["psnr"], protocol="liif-benchmark",
            progress=False,
        )  # fmt: skip
        liif = run.records[run.records["upsampler"] == "liif-edsr"]
        assert liif["regime"].tolist() == ["in", "out"]
        assert run.records[run.records["upsampler"] == "bicubic"]["regime"].isna().all()
        assert set(liif["weights_sha256"]) == {run.manifest["weights"]["liif-edsr"]}

    def test_a_default_folder_is_made_under_reports(self, photos, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        first = liif_bench.run(scales=[2], data=[photos], **FAST)
        second = liif_bench.run(scales=[2], data=[photos], **FAST)
        assert first.path.parent.name == "reports"
        assert first.path.name.startswith("sample-")
        assert first.path != second.path
        pd.testing.assert_frame_equal(comparable(first), comparable(second))


class Places:
    """A metric that keeps a row per corner, and looks at no whole SR."""

    name = "places"
    higher_is_better = True
    windows_only = True
    table = "corners"

    def __init__(self, name="places", fails=False):
        self.name = name
        self.fails = fails
        self.asked = 0

    def variant(self, protocol):
        return "none"

    def needs(self, protocol):
        return ()

    def score(self, case, output):
        return 1.0

    def details(self, case, output):
        self.asked += 1
        if self.fails:
            raise ZeroDivisionError("by\nzero")
        return [{"corner": corner, "scale_again": case.scale} for corner in ("left", "right")]


class TestDetails:
    @pytest.fixture
    def run(self, photos, tmp_path, monkeypatch):
        """A function that runs bicubic and nearest with metrics of a test's own."""

        def go(*metrics, **wishes):
            ready = {metric.name: metric for metric in metrics}
            monkeypatch.setattr(bench_module, "load_metric", lambda name, device: ready[name])
            plan = make_plan(
                scales=[2, 3], models=FAST["models"], metrics=["psnr", "ssim"], data=[photos],
                device="cpu",
            ).model_copy(update={"metrics": tuple(ready)})  # fmt: skip
            return harness.run_plan(plan, tmp_path / "out", progress=silent, **wishes)

        return go

    def test_rows_stand_in_a_table_of_their_own(self, run):
        finished = run(Places(), Places("again"))
        table = pd.read_parquet(finished.path / "corners.parquet")
        assert table.columns.tolist() == [
            "dataset", "item", "scale", "upsampler", "corner", "scale_again",
        ]  # fmt: skip
        assert len(table) == 3 * 2 * 2 * 2
        assert not table.duplicated(["item", "scale", "upsampler", "corner"]).any()
        assert table["scale"].equals(table["scale_again"])
        pd.testing.assert_frame_equal(finished.details("corners"), table)

    def test_the_first_metric_of_a_table_is_asked(self, run):
        first, second = Places(), Places("again")
        run(first, second)
        assert (first.asked, second.asked) == (12, 0)

    def test_half_a_journal_is_continued_with_its_tables(self, run):
        whole = run(Places())
        before = whole.details("corners")
        journal = whole.path / "journal.jsonl"
        lines = journal.read_bytes().splitlines(keepends=True)
        journal.write_bytes(lines[4] + lines[1] + lines[2][:100])
        (whole.path / "corners.parquet").unlink()
        metric = Places()
        pd.testing.assert_frame_equal(run(metric).details("corners"), before)
        assert metric.asked == 4 * 2

    def test_a_table_that_cannot_be_made_is_an_error_and_nothing_silent(self, run):
        finished = run(Places(fails=True))
        assert set(finished.records["error"]) == {"ZeroDivisionError: by zero"}
        assert finished.records["value"].isna().all()
        assert finished.details("corners").empty
        mended = run(Places(), retry_errors=True)
        assert mended.records["value"].eq(1.0).all()
        assert len(mended.details("corners")) == 24

    def test_sr_is_rendered_whole_only_for_a_metric_that_looks_at_it(self, run, monkeypatch):
        seen = []
        original = evaluate_module.render_checked
        monkeypatch.setattr(
            evaluate_module, "render_checked", lambda *given: (seen.append(1), original(*given))[1]
        )
        assert run(Places()).records["error"].isna().all()
        assert not seen

    def test_and_for_a_metric_that_does(self, run, monkeypatch):
        finished = run(Places(), Psnr())
        assert finished.records.query("metric == 'psnr'")["value"].gt(0).all()

    def test_foreign_weights_are_part_of_the_plan(self, run):
        class Reader(Places):
            sha256 = "aa"

            def identify(self, protocol):
                return {"timm:x": self.sha256}

        first, changed = Reader(), Reader()
        manifest = run(first).manifest
        assert manifest["weights"] == {"timm:x": "aa"}
        assert manifest["network_stages"] == ["places"]
        changed.sha256 = "bb"
        with pytest.raises(LiifBenchError, match="another metric_weights"):
            run(changed)


def test_the_ground_truth_is_a_row_of_its_own(photos, tmp_path):
    run = liif_bench.run(
        scales=[2, 4.5], data=[photos], out=tmp_path / "out", progress=False,
        models=["hr", "bicubic"], metrics=["psnr", "ssim"],
    )  # fmt: skip
    rows = run.records.set_index(["upsampler", "metric"])["value"]
    assert np.isposinf(rows["hr", "psnr"]).all()
    assert rows["hr", "ssim"].eq(1).all()
    assert np.isfinite(rows["bicubic", "psnr"]).all()
    assert run.manifest["plan"]["model_settings"] == {"hr": {"sees": "HR"}}


class TestBadItems:
    def test_a_broken_image_becomes_error_records_and_the_rest_is_scored(
        self, photo_folder, tmp_path
    ):
        folder = photo_folder()
        whole = (folder / "photo1.png").read_bytes()
        (folder / "photo1.png").write_bytes(whole[: len(whole) // 2])
        (folder / "fake.jpg").write_text("no image at all")
        run = liif_bench.run(scales=[2], data=[f"folder:{folder}"], out=tmp_path / "out", **FAST)
        bad = run.records[run.records["error"].notna()]
        assert set(bad["item"]) == {"photo1.png", "fake.jpg"}
        assert len(bad) == 2 * 2 * 2
        assert bad["value"].isna().all()
        assert bad["hr_h"].isna().all()
        assert all(name in text for name, text in zip(bad["item"], bad["error"], strict=True))
        good = run.records[run.records["error"].isna()]
        assert set(good["item"]) == {"photo0.png", "photo2.png"}
        assert run.manifest["errors"] == 8

    def test_too_small_for_the_scale_or_the_shave_is_an_error_not_a_number(self, tmp_path, photos):
        run = liif_bench.run(scales=[20, 100], data=[photos], limit=1, out=tmp_path / "o", **FAST)
        assert run.records["value"].isna().all()
        texts = run.records.groupby("scale")["error"].first()
        assert "too small for a shave of 26" in texts[20.0]
        assert "too small for scale x100" in texts[100.0]

    def test_a_case_can_be_too_small_for_one_metric_only(self, tmp_path, photos):
        run = liif_bench.run(scales=[16], data=[photos], limit=1, out=tmp_path / "o", **FAST)
        rows = run.records.set_index(["upsampler", "metric"])
        assert rows.loc[("bicubic", "psnr"), "value"] > 0
        assert "20x4 pixels are too small for SSIM" in rows.loc[("bicubic", "ssim"), "error"]


@pytest.mark.weights
class TestMissingWeights:
    @pytest.fixture
    def offline(self, tmp_path, monkeypatch):
        """An empty cache and an index that nobody answers for."""
        for name in list(os.environ):
            if name.startswith(("PIP_", "UV_")):
                monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("UV_NO_CONFIG", "1")
        monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
        monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "empty"))

    def test_a_metric_without_weights_is_an_error_and_the_rest_goes_on(
        self, offline, photos, tmp_path
    ):
        from liif_bench.metrics import perceptual

        perceptual._loaded.cache_clear()
        run = liif_bench.run(
            scales=[2], data=[photos], limit=1, out=tmp_path / "out",
            models=["bicubic"], metrics=["psnr", "lpips", "zoom-kl", "zoom-agreement"],
            progress=False,
        )  # fmt: skip
        frame = run.records.set_index("metric")
        assert frame.loc["psnr", "value"] > 0
        for metric, file in (("lpips", "lpips-alex"), ("zoom-kl", "efficientnet-lite0")):
            assert np.isnan(frame.loc[metric, "value"])
            assert file in frame.loc[metric, "error"]
            assert str(tmp_path / "empty") in frame.loc[metric, "error"]
        assert "lpips-alex" not in run.manifest["weights"]

    def test_retry_errors_measures_them_when_the_weights_are_there(
        self, offline, photos, tmp_path, monkeypatch, weights
    ):
        wishes = {
            "scales": [2], "data": [photos], "limit": 1, "out": tmp_path / "out",
            "models": ["bicubic"], "metrics": ["psnr", "lpips"], "progress": False,
        }  # fmt: skip
        broken = liif_bench.run(**wishes)
        monkeypatch.undo()
        weights("lpips-alex")
        kept = liif_bench.run(**wishes)
        pd.testing.assert_frame_equal(kept.records, broken.records)
        mended = liif_bench.run(**wishes, retry_errors=True)
        assert mended.records["error"].isna().all()
        assert len(mended.records) == 2

    def test_without_the_model_nothing_is_run(self, offline, photos, tmp_path):
        with pytest.raises(LiifBenchError, match="liif-edsr"):
            liif_bench.run(
                scales=[2], data=[photos], models=["liif-edsr"], out=tmp_path / "out",
                progress=False,
            )  # fmt: skip
        assert not (tmp_path / "out").exists()

    def test_a_tampered_model_is_named_and_not_loaded(
        self, offline, photos, tmp_path, weights, monkeypatch
    ):
        empty = cache_dir()
        monkeypatch.undo()
        official = weights("liif-edsr").read_bytes()
        monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "empty"))
        empty.mkdir(parents=True)
        (empty / "liif-edsr.pth").write_bytes(official[:-1] + bytes([official[-1] ^ 1]))
        with pytest.raises(LiifBenchError, match="expected 1cf77e16"):
            liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", progress=False)
        assert not (tmp_path / "out").exists()


class TestResume:
    def test_a_finished_run_is_not_measured_again(self, photos, tmp_path):
        out = tmp_path / "out"
        first = liif_bench.run(scales=[2], data=[photos], out=out, **FAST)
        journal = (out / "journal.jsonl").read_bytes()
        second = liif_bench.run(scales=[2], data=[photos], out=out, **FAST)
        assert (out / "journal.jsonl").read_bytes() == journal
        pd.testing.assert_frame_equal(first.records, second.records)

    def test_half_a_journal_is_continued_in_the_plans_order(self, photos, tmp_path):
        out = tmp_path / "out"
        whole = liif_bench.run(scales=[2, 3], data=[photos], out=out, **FAST)
        lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
        (out / "journal.jsonl").write_bytes(lines[4] + lines[1] + lines[2][:100])
        (out / "records.parquet").unlink()
        again = liif_bench.run(scales=[2, 3], data=[photos], out=out, **FAST)
        pd.testing.assert_frame_equal(comparable(whole), comparable(again))

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"scales": [2, 3]}, "another scales"),
            ({"models": ["nearest"]}, "another models"),
            ({"metrics": ["psnr"]}, "another metrics"),
            ({"protocol": "liif-benchmark"}, "another protocol, psnr.*colour"),
            (
                {"precision": "bfloat16"},
                r"another network\.precision \(network\.precision there: f",
            ),
            ({"limit": 1}, "another datasets, limit"),
            ({"seed": 1}, "another seed"),
        ],
    )
    def test_a_folder_of_another_plan_is_refused(self, photos, tmp_path, change, message):
        out = tmp_path / "out"
        wishes = {"scales": [2], "data": [photos], "out": out} | FAST
        liif_bench.run(**wishes)
        files = [path for path in out.rglob("*") if path.is_file()]
        before = {path: path.read_bytes() for path in files}
        with pytest.raises(LiifBenchError, match=message):
            liif_bench.run(**(wishes | change))
        assert {path: path.read_bytes() for path in files} == before

    def test_changed_data_are_noticed(self, photo_folder, tmp_path):
        folder = photo_folder()
        wishes = {"scales": [2], "data": [f"folder:{folder}"], "out": tmp_path / "out"} | FAST
        liif_bench.run(**wishes)
        Image.new("RGB", (64, 48)).save(folder / "photo0.png")
        with pytest.raises(LiifBenchError, match="another datasets"):
            liif_bench.run(**wishes)

    def test_a_folder_with_other_things_in_it_is_refused(self, photos, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "thesis.tex").write_text("precious")
        with pytest.raises(LiifBenchError, match=r"holds 'thesis\.tex'"):
            liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", **FAST)

    def test_a_file_is_no_folder(self, photos, tmp_path):
        (tmp_path / "out").write_text("x")
        with pytest.raises(LiifBenchError, match="is a file"):
            liif_bench.run(scales=[2], data=[photos], out=tmp_path / "out", **FAST)

    def test_a_second_process_is_kept_out(self, photos, tmp_path):
        from filelock import FileLock

        out = tmp_path / "out"
        out.mkdir()
        code = (
            "import sys; from filelock import FileLock;"
            f"lock = FileLock({str(out / '.lock')!r}); lock.acquire();"
            "print('locked', flush=True); sys.stdin.read()"
        )
        other = subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert other.stdout.readline() == b"locked\n"
            with pytest.raises(LiifBenchError, match="another process"):
                liif_bench.run(scales=[2], data=[photos], out=out, **FAST)
        finally:
            other.communicate(b"")
        assert FileLock(out / ".lock").acquire(timeout=5)


@pytest.mark.slow
@pytest.mark.weights
def test_killed_at_any_moment_and_continued_equals_unbroken(photo_folder, tmp_path, weights):
    weights("liif-edsr")
    weights("efficientnet-lite0")
    protocol = tmp_path / "small-views.toml"
    small = load_protocol("liif-benchmark").changed({"zoom.sizes": (64,)})
    protocol.write_text(to_toml(small))
    command = [
        sys.executable, "-m", "liif_bench", "run", "--scales", "2,3,4,8", "--quiet",
        "--models", "bicubic,liif-edsr", "--metrics", "psnr,ssim,zoom-mean-kl",
        "--protocol", str(protocol),
        "--data", f"folder:{photo_folder(count=4, size=(120, 160))}", "--device", "cpu", "--out",
    ]  # fmt: skip
    subprocess.run([*command, tmp_path / "whole"], check=True)
    expected = liif_bench.load_run(tmp_path / "whole")
    chance = random.Random(5)
    broken = tmp_path / "broken"
    kills = 0
    for _ in range(4):
        process = subprocess.Popen([*command, broken])
        lines = len(Journal(broken / "journal.jsonl").read())
        # From the next finished case on, wait a random moment: in a case, in a write, anywhere.
        while process.poll() is None and len(Journal(broken / "journal.jsonl").read()) == lines:
            time.sleep(0.005)
        time.sleep(chance.uniform(0, 0.3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait()
    assert kills
    subprocess.run([*command, broken], check=True)
    got = liif_bench.load_run(broken)
    pd.testing.assert_frame_equal(comparable(expected), comparable(got), check_exact=True)
    stored = json.loads((broken / "manifest.json").read_text())
    assert stored["cases"] == 16
    views = pd.read_parquet(broken / "views.parquet")
    assert len(views) == 16 * 2 * 9
    pd.testing.assert_frame_equal(views, expected.details("views"), check_exact=True)


def test_a_plug_in_that_misbehaves_is_an_error_record(photos, tmp_path):
    from liif_bench.bench import Bench
    from liif_bench.datasets import load_dataset
    from liif_bench.evaluate import evaluate
    from liif_bench.metrics import load_metric
    from liif_bench.protocol import load_protocol

    class Broken:
        training_scales = None
        weights = None

        def __init__(self, name, make):
            self.name = name
            self.settings = {}
            self.make = make

        def encode(self, lr):
            return self

        def render(self, size, window=None):
            return self.make(size)

    def crash(size):
        raise ZeroDivisionError("by\nzero")

    bench = Bench(
        run="r", suite="s", suite_version=1, protocol=load_protocol("liif-benchmark"),
        upsamplers=(
            Broken("crash", crash),
            Broken("nan", lambda size: torch.full((3, *size), float("nan"))),
            Broken("small", lambda size: torch.zeros(3, 2, 2)),
            Broken("fine", lambda size: torch.zeros(3, *size)),
        ),
        metrics=(load_metric("psnr"),), broken={}, seed=0,
    )  # fmt: skip
    (item, *_) = load_dataset(photos).items
    errors = {row.upsampler: row.error for row in evaluate(bench, photos, item, 2.0)}
    assert errors == {
        "crash": "ZeroDivisionError: by zero",
        "nan": "output holds values that are not finite",
        "small": "output is (3, 2, 2), expected (3, 48, 64)",
        "fine": None,
    }
