"""The audit on real images: every choice is measured from one render, and the parts add up."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import liif_bench
from liif_bench.analysis.offsets import needed_protocols, path, single_steps
from liif_bench.audit import audit_images, audit_run
from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import answer_case, make_case, render_case
from liif_bench.images import to_uint8, write_rgb
from liif_bench.metrics import load_metric
from liif_bench.protocol import load_protocol, protocol_names
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options

BASE = load_protocol("liif-benchmark")
PRESETS = [load_protocol(name) for name in protocol_names()]
METRICS = ("psnr", "ssim")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Three detailed images of 96x80 with LR files at x2 (plain averages, so unlike any filter)."""
    root = tmp_path_factory.mktemp("set")
    rng = np.random.default_rng(11)
    (root / "HR").mkdir()
    (root / "LR_bicubic/X2").mkdir(parents=True)
    for number in range(3):
        coarse = Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8))
        hr = coarse.resize((96, 80), Image.Resampling.BICUBIC)
        hr.save(root / f"HR/p{number}.png")
        hr.resize((48, 40), Image.Resampling.BOX).save(root / f"LR_bicubic/X2/p{number}x2.png")
    return root


@pytest.fixture(scope="module")
def run(photos, tmp_path_factory):
    return liif_bench.run(
        data=[f"paired:{photos}"],
        scales=[2, 3.5],
        models=["bicubic", "nearest"],
        metrics=["psnr"],
        protocol="liif-benchmark",
        out=tmp_path_factory.mktemp("runs") / "run",
        progress=False,
    )


@pytest.fixture(scope="module")
def audit(run):
    return audit_run(run, BASE, PRESETS, metrics=METRICS)


def groups(audit):
    return [(*group, scale) for group in audit.groups() for scale in audit.scales()]


def test_every_score_is_that_of_a_run_under_its_protocol(audit, photos):
    items = {item.name: item for item in load_dataset(f"paired:{photos}").items}
    upsampler = load_upsampler("bicubic", Options())
    for preset in PRESETS:
        for scale in (2.0, 3.5):
            case = make_case(preset, items["p1"], scale)
            output = answer_case(upsampler, case).output
            for metric in METRICS:
                rows = audit.scores.query(
                    "item == 'p1' and scale == @scale and upsampler == 'bicubic'"
                    " and metric == @metric and protocol_hash == @preset.hash"
                )
                assert len(rows) == 1
                assert rows["value"].item() == load_metric(metric).score(case, output)


def test_its_base_gives_the_numbers_of_the_run(audit, run):
    for dataset, model, scale in groups(audit):
        mine = run.records.query("upsampler == @model and scale == @scale")["value"].mean()
        assert audit.mean(BASE, (dataset, model), "psnr", scale) == pytest.approx(mine, abs=1e-12)


def test_the_steps_to_a_preset_add_up_to_its_offset(audit):
    for dataset, model, scale in groups(audit):
        for preset in PRESETS:
            for metric in METRICS:
                at = ((dataset, model), metric, scale)
                whole = audit.offset(BASE, preset, *at)
                parts = [audit.offset(s.before, s.after, *at).mean for s in path(BASE, preset)]
                assert sum(parts) == pytest.approx(whole.mean, abs=1e-9)


def test_a_step_that_does_not_concern_a_metric_does_not_move_it(audit):
    for dataset, model, scale in groups(audit):
        for preset in PRESETS:
            for step in path(BASE, preset):
                if not step.concerns("psnr"):
                    offset = audit.offset(step.before, step.after, (dataset, model), "psnr", scale)
                    assert offset.largest == 0


def test_the_choices_that_people_argue_about_move_the_numbers(audit):
    at = audit.groups()[0]
    moved = {
        step.describe("ssim"): audit.offset(step.before, step.after, at, "ssim", 2.0).mean
        for step in audit.steps
    }
    for choice in (
        "colour y-liif -> rgb",
        "LR files, else pil-bicubic-uint8 -> pil-bicubic-uint8",
        "LR files, else pil-bicubic-uint8 -> matlab-bicubic-uint8",
        "window valid -> full",
        "window valid -> zero",
        "border s -> s+6",
    ):
        assert abs(moved[choice]) > 1e-5, choice
    assert moved["rounding none -> uint8"] == 0  # interpolation works on 8 bits already
    assert moved["cell rule exact -> clip"] == 0  # and has no cell


def test_without_lr_files_the_generator_stands_in(audit):
    at = audit.groups()[0]
    pil = next(s for s in audit.steps if s.describe("psnr").endswith("-> pil-bicubic-uint8"))
    assert audit.offset(pil.before, pil.after, at, "psnr", 2.0).mean != 0
    assert audit.offset(pil.before, pil.after, at, "psnr", 3.5).mean == 0


@pytest.mark.weights
def test_what_runs_the_network_is_rendered_anew(photos, tmp_path, weights):
    weights("liif-edsr")
    small = liif_bench.run(
        data=[f"paired:{photos}"], scales=[8], models=["liif-edsr"], metrics=["psnr"], limit=1,
        protocol="liif-benchmark", out=tmp_path / "run", progress=False,
    )  # fmt: skip
    audit = audit_run(small, BASE, [load_protocol("lte")], metrics=["psnr"])
    (group,) = audit.groups()
    clip = audit.offset(BASE, audit.presets[0], group, "psnr", 8.0)
    assert 0 < abs(clip.mean) < 1
    rounding = next(step for step in audit.steps if step.choice == "rounding")
    assert 0 < abs(audit.offset(rounding.before, rounding.after, group, "psnr", 8.0).mean) < 0.05


def test_only_part_of_the_run(run):
    audit = audit_run(run, BASE, PRESETS[:1], metrics=["psnr"], scales=[2], models=["nearest"])
    assert audit.groups() == [(run.records["dataset"].iloc[0], "nearest")]
    assert audit.scales() == [2.0]


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"scales": [3]}, r"scale 3 is not part of the run: it has 2, 3\.5"),
        ({"models": ["liif-edsr"]}, "model liif-edsr is not part of the run"),
    ],
)
def test_what_the_run_does_not_have_is_refused(run, wish, message):
    with pytest.raises(LiifBenchError, match=message):
        audit_run(run, BASE, PRESETS, **wish)


def test_images_that_have_changed_since_are_refused(tmp_path, photo_folder):
    folder = photo_folder(count=1)
    run = liif_bench.run(
        data=[f"folder:{folder}"], scales=[2], models=["nearest"], metrics=["psnr"],
        out=tmp_path / "run", progress=False,
    )  # fmt: skip
    Image.new("RGB", (64, 48), "red").save(folder / "photo0.png")
    with pytest.raises(LiifBenchError, match="are not those that"):
        audit_run(run, BASE, PRESETS)


def test_images_too_small_for_a_border_are_a_dash_not_a_number(tmp_path, photo_folder):
    run = liif_bench.run(
        data=[f"folder:{photo_folder(count=1, size=(40, 64))}"], scales=[15], models=["nearest"],
        metrics=["psnr"], protocol="clit-ssim", out=tmp_path / "run", progress=False,
    )  # fmt: skip
    audit = audit_run(run, load_protocol("clit-ssim"), PRESETS, metrics=METRICS)
    (group,) = audit.groups()
    assert audit.mean(audit.base, group, "psnr", 15.0) is None
    assert audit.mean(audit.base, group, "ssim", 15.0) is not None
    failed = audit.scores.query("metric == 'psnr' and protocol_hash == @audit.base.hash")
    assert failed["error"].str.contains("too small for a shave of 21").all()


class TestImages:
    @pytest.fixture
    def folders(self, photos, tmp_path):
        """SR images made elsewhere, and their HR, which is larger by less than an LR pixel."""
        sr, hr = tmp_path / "mine", tmp_path / "truth"
        sr.mkdir()
        hr.mkdir()
        for path_ in sorted((photos / "HR").iterdir()):
            image = Image.open(path_).crop((0, 0, 95, 79))
            image.save(hr / path_.name)
            small = image.crop((0, 0, 94, 78)).resize((47, 39), Image.Resampling.BICUBIC)
            small.resize((94, 78), Image.Resampling.BICUBIC).save(sr / f"{path_.stem}_x2.png")
        return sr, hr

    def test_they_are_scored_under_every_preset(self, folders):
        audit = audit_images(*folders, 2.0, BASE, PRESETS, metrics=METRICS)
        assert audit.groups() == [("truth", "mine")]
        assert {step.choice for step in audit.steps} == {
            "rounding", "colour", "border", "window",
        }  # fmt: skip
        means = [audit.mean(preset, ("truth", "mine"), "psnr", 2.0) for preset in audit.presets]
        assert all(20 < mean < 60 for mean in means)
        lte = next(preset for preset in audit.presets if preset.name == "lte")
        assert audit.offset(BASE, lte, ("truth", "mine"), "psnr", 2.0).largest == 0

    def test_a_score_is_that_of_the_plain_formula(self, folders):
        audit = audit_images(*folders, 2.0, load_protocol("mmagic"), [], metrics=["psnr"])
        sr, hr = (
            np.asarray(Image.open(path_), np.float64)
            for path_ in (folders[0] / "p0_x2.png", folders[1] / "p0.png")
        )
        error = (sr - hr[:78, :94])[2:-2, 2:-2]
        expected = 10 * np.log10(255**2 / (error**2).mean())
        rows = audit.scores.query("item == 'p0' and protocol_hash == @audit.base.hash")
        assert rows["value"].item() == pytest.approx(expected, abs=1e-5)

    def test_what_does_not_fit_is_named(self, folders):
        sr, hr = folders
        with pytest.raises(LiifBenchError, match=r"p0_x2\.png.* has no HR image 'p0_x2'"):
            audit_images(sr, hr, 3.0, BASE, PRESETS)
        (hr / "p1.png").rename(hr / "q1.png")
        with pytest.raises(LiifBenchError, match=r"p1_x2\.png' has no HR image 'p1'"):
            audit_images(sr, hr, 2.0, BASE, PRESETS)
        (sr / "p1_x2.png").unlink()
        with pytest.raises(LiifBenchError, match=r"q1\.png' has no SR image 'q1'"):
            audit_images(sr, hr, 2.0, BASE, PRESETS)

    def test_sizes_that_do_not_belong_together_are_named(self, folders):
        sr, hr = folders
        Image.new("RGB", (90, 78)).save(sr / "p0_x2.png")
        with pytest.raises(LiifBenchError, match=r"p0_x2\.png' has 90x78 .*p0\.png' 95x79"):
            audit_images(sr, hr, 2.0, BASE, PRESETS)
        (sr / "p0.png").write_bytes((sr / "p0_x2.png").read_bytes())
        with pytest.raises(LiifBenchError, match="have one name: keep one"):
            audit_images(sr, hr, 2.0, BASE, PRESETS)


@pytest.mark.weights
def test_liif_encodes_an_lr_once_for_all_rules_of_rendering(liif, photos, tmp_path, monkeypatch):
    """The cell rules and the ensemble share one encoding, with the scores that each has alone."""
    run = liif_bench.run(
        data=[f"paired:{photos}"], scales=[8], models=["liif-edsr"], metrics=["psnr"], limit=1,
        protocol="liif-benchmark", out=tmp_path / "run", progress=False,
    )  # fmt: skip
    presets = [BASE.changed({"network.cell_rule": "clip"})]
    encodings = []
    encode = type(liif).encode

    def counted(self, lr):
        encodings.append(lr.shape)
        return encode(self, lr)

    monkeypatch.setattr(type(liif), "encode", counted)
    shared = audit_run(run, BASE, presets, metrics=("psnr",)).scores
    once = len(encodings)
    monkeypatch.setattr("liif_bench.audit.Retunable", ())  # nothing is one
    encodings.clear()
    alone = audit_run(run, BASE, presets, metrics=("psnr",)).scores
    asked = needed_protocols(BASE, presets, single_steps(BASE, ("psnr",))).values()
    lrs = {(p.lr.generator, p.lr.hr_multiple, p.network.precision) for p in asked}
    assert once == len(lrs)
    assert len(encodings) > once
    key = ["item", "metric", "protocol_hash"]
    pd.testing.assert_frame_equal(
        shared.sort_values(key, ignore_index=True),
        alone.sort_values(key, ignore_index=True),
        rtol=0, atol=1e-5,
    )  # fmt: skip


def test_finished_images_are_audited_for_the_lr_of_the_base_alone(photo_folder, tmp_path):
    photos, sr = photo_folder(count=1), tmp_path / "sr"
    sr.mkdir()
    (item,) = load_dataset(f"folder:{photos}").items
    case = make_case(BASE, item, 2.0)
    write_rgb(to_uint8(render_case(load_upsampler("bicubic"), case)), sr / "photo0_x2.png")
    run = liif_bench.run(
        scales=[2], data=[f"folder:{photos}"], models=["bicubic", f"folder:{sr}"],
        metrics=["psnr"], protocol="liif-benchmark", out=tmp_path / "out", progress=False,
    )  # fmt: skip
    rows = audit_run(run, BASE, [load_protocol("matlab-y")], metrics=["psnr"]).scores
    values = rows.pivot(index="protocol_hash", columns="upsampler", values="value")
    same_lr = values["sr"].notna()
    assert values.loc[BASE.hash, "sr"] == values.loc[BASE.hash, "bicubic"]
    assert (values["sr"] == values["bicubic"])[same_lr].all()
    assert 0 < same_lr.sum() < len(values)
    reasons = rows[(rows["upsampler"] == "sr") & rows["value"].isna()]["error"]
    assert reasons.str.contains("a finished image answers one LR").all()
