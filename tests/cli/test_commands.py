"""The command line as a user meets it."""

import io
import json
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from commands import call, call_process, refused
from PIL import Image


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "smaple"], "unknown suite 'smaple': did you mean sample or "),
        (["run", "no.toml"], "suite file 'no.toml' does not exist"),
        (["run", "--models", "lif-edsr"], "did you mean liif-edsr"),
        (["run", "--models", ","], "the list of models is empty"),
        (["run", "--models", "bicubic:x"], "takes no argument"),
        (["run", "--metrics", "pnsr"], "unknown metric 'pnsr': did you mean psnr?"),
        (["run", "--protocol", "liif-div2"], "did you mean liif-div2k"),
        (["run", "--data", "smaple"], "unknown dataset 'smaple': did you mean sample?"),
        (["run", "--data", "folder"], "folder:PATH"),
        (["run", "--scales", "0"], "scale 0 is not possible"),
        (["run", "--scales", "-2"], "scale -2 is not possible"),
        (["run", "--scales", "0.5"], "scale 0.5 is not possible"),
        (["run", "--scales", "nan"], "scale nan is not possible"),
        (["run", "--scales", "inf"], "scale inf is not possible"),
        (["run", "--scales", "2,two"], "scale 'two' is not a number"),
        (["run", "--scales", ""], "the list of scales is empty"),
        (["run", "--limit", "0"], "limit must be at least 1"),
        (["run", "--limit", "many"], "--limit"),
        (["run", "--precision", "int8"], "--precision"),
        (["run", "--device", "tpu"], "unknown device 'tpu'"),
        (["run", "--device", "cuda:99"], "cuda:99"),
        (["run", "--nonsense"], "--nonsense"),
        (["nonsense"], "nonsense"),
        (["list", "nonsense"], "nonsense"),
        (["run", "--protocol", "no.toml"], "protocol file 'no.toml' does not exist"),
        (["table", "nowhere"], "'nowhere' is not a run"),
        (["weights", "fetch", "liif"], "did you mean liif-edsr"),
        (["upscale", "nowhere.png"], "'nowhere.png' does not exist"),
        (["upscale", "x.png", "-s", "0"], "scale 0 is not possible"),
        (["upscale", "x.png", "-m", "lif"], "unknown model 'lif'"),
    ],
)
def test_wrong_usage_is_one_line_and_2(arguments, message, tmp_path):
    assert message in refused(*arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("arguments", [["run", "smaple"], ["run", "--device", "tpu"], ["nonsense"]])
def test_a_process_says_and_ends_as_its_entry_point_does(arguments, tmp_path):
    assert refused(*arguments, how=call_process, cwd=tmp_path) == refused(*arguments, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folders_without_images_are_refused(tmp_path):
    assert "does not exist" in refused("run", "--data", f"folder:{tmp_path / 'no'}")
    (tmp_path / "empty").mkdir()
    assert "is empty" in refused("run", "--data", f"folder:{tmp_path / 'empty'}")
    (tmp_path / "empty" / "notes.txt").write_text("x")
    assert "holds no image" in refused("run", "--data", f"folder:{tmp_path / 'empty'}")


def test_an_out_of_another_protocol_is_refused(finished):
    out, _ = finished
    message = refused(
        "run", "--scales", "2,2.5", "--models", "nearest,bicubic", "--metrics", "psnr,ssim",
        "--data", f"folder:{out.parent}", "--protocol", "liif-benchmark", "--out", out,
    )  # fmt: skip
    assert "another" in message
    assert "protocol" in message


def test_a_run_prints_the_table_and_says_what_it_wrote(finished):
    out, done = finished
    assert "PSNR (dB) ↑" in done.stdout
    assert "2 images" in done.stdout
    for name in ("records.parquet", "table.md", "table.csv"):
        assert str(out / name) in done.stdout.replace("\n", "")
        assert (out / name).is_file()
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["command"][:2] == ["liif-bench", "run"]


def test_a_profile_is_shown_where_it_is_asked_for(finished, tmp_path):
    out, done = finished
    assert "Where the time went" not in done.stdout
    shown = call(
        "run", "--scales", "2", "--models", "bicubic", "--metrics", "psnr", "--profile",
        "--data", f"folder:{out.parent}", "--limit", "1", "--out", tmp_path / "out",
    ).stdout  # fmt: skip
    for words in ("reading images (background)", "bicubic: render", "psnr", "else", "100.0 % of"):
        assert words in shown.partition("Where the time went")[2]


def test_the_table_is_printed_again_without_torch(finished, tmp_path):
    out, done = finished
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('torch was imported')")
    for style in ("terminal", "markdown", "csv", "latex", "html"):
        shown = call("table", out, "--format", style, env={"PYTHONPATH": str(tmp_path)})
        assert shown.returncode == 0, shown.stderr
        assert "bicubic" in shown.stdout
        if style == "terminal":
            assert shown.stdout.strip() in done.stdout
        if style == "csv":
            assert pd.read_csv(io.StringIO(shown.stdout))["mean"].notna().all()


def test_a_table_can_be_written_to_a_file(finished, tmp_path):
    out, _ = finished
    target = tmp_path / "t.tex"
    assert call("table", out, "--format", "latex", "-o", target).returncode == 0
    assert target.read_text().startswith("% needs")
    assert "cannot write" in refused("table", out, "--format", "csv", "-o", tmp_path / "no" / "t")
    assert "--output needs" in refused("table", out, "-o", target)


def test_layouts_and_highlights_of_a_table(finished):
    out, _ = finished
    paper = call("table", out, "--layout", "paper", "--format", "markdown").stdout
    assert paper.count("| Model | x2 | x2.5 |") == 2
    images = call("table", out, "--layout", "per-image", "--format", "csv").stdout
    assert set(pd.read_csv(io.StringIO(images))["item"].dropna()) == {"a.png", "b.png"}
    assert "**" in call("table", out, "--format", "markdown").stdout.replace("**folder", "")
    plain = call("table", out, "--format", "latex", "--highlight", "none").stdout
    assert "textbf" not in plain
    assert "textbf" in call("table", out, "--format", "latex").stdout


def test_a_broken_image_is_named_at_the_end_and_the_rest_is_scored(finished, tmp_path):
    out, _ = finished
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_bytes((out.parent / f"{name}.png").read_bytes())
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[:60])
    done = call(
        "run", "--scales", "2", "--models", "bicubic", "--metrics", "psnr",
        "--data", f"folder:{tmp_path}", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 0
    assert re.search(r"no value: .*b\.png x2: .*cannot be decoded", done.stderr)
    assert "*" in done.stdout


def test_when_nothing_can_be_measured_the_exit_code_says_so(tmp_path):
    (tmp_path / "fake.png").write_text("no image")
    done = call(
        "run", "--scales", "2", "--models", "bicubic", "--metrics", "psnr",
        "--data", f"folder:{tmp_path}", "--out", tmp_path / "out",
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1].startswith("error: nothing could be measured")


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        ("suites", "sample"),
        ("models", "liif-edsr[:CHECKPOINT]"),
        ("metrics", "zoom-kl"),
        ("metrics", "mtf50-lr"),
        ("datasets", "scenes[:SIDE]"),
        ("classifiers", "timm:NAME"),
        ("encoders", "vgg16@relu4_3"),
        ("metrics", "feature-mse:ENCODER"),
        ("datasets", "folder:PATH"),
        ("protocols", "liif-benchmark"),
        ("ratings", "pipal:PATH"),
        ("weights", "lpips-alex"),
    ],
)
def test_list_names_every_kind(kind, member):
    done = call("list", kind)
    assert done.returncode == 0
    assert member in done.stdout


def test_help_names_every_command():
    done = call("--help")
    assert done.returncode == 0
    for command in (
        "run", "table", "reproduce", "audit", "upscale", "list", "doctor", "protocol", "data",
        "weights", "zoom", "resolution", "compare",
        "weights", "zoom", "resolution", "agreement",
    ):  # fmt: skip
        assert re.search(rf"\b{command}\b", done.stdout)
    assert call_process("--help").stdout == done.stdout


@pytest.mark.parametrize("scale", [2, 2.5])
def test_upscale_writes_what_the_whole_image_would_be(finished, tmp_path, scale, monkeypatch):
    from liif_bench import upscale
    from liif_bench.images import read_rgb, to_tensor, to_uint8
    from liif_bench.upsamplers import load_upsampler

    source = finished[0].parent / "a.png"
    monkeypatch.setattr(upscale, "_BAND_PIXELS", 1000)
    size = upscale.upscale_file(source, tmp_path / "big.png", scale, "bicubic")
    lr = to_tensor(read_rgb(source))
    whole = to_uint8(load_upsampler("bicubic").encode(lr).render(size))
    got = read_rgb(tmp_path / "big.png")
    assert got.shape == whole.shape == (round(48 * scale), round(64 * scale), 3)
    assert np.abs(got.astype(int) - whole.astype(int)).max() <= 1


@pytest.mark.weights
def test_upscale_zooms_one_picture_with_liif(finished, tmp_path, weights):
    weights("liif-edsr")
    source = finished[0].parent / "a.png"
    done = call("upscale", source, "-s", "3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "a_x3_liif-edsr.png (192x144)\n"
    with Image.open(tmp_path / "a_x3_liif-edsr.png") as image:
        assert image.size == (192, 144)
    assert "--overwrite" in refused("upscale", source, "-s", "3", cwd=tmp_path)
    assert call("upscale", source, "-s", "3", "--overwrite", cwd=tmp_path).returncode == 0
    bad = tmp_path / "out.xyz"
    assert "out.xyz" in refused("upscale", source, "-s", "2", "-m", "bicubic", "-o", bad)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_x3_liif-edsr.png"]


@pytest.mark.weights
def test_weights_are_listed_fetched_and_verified(tmp_path, weights):
    path = weights("liif-edsr")
    assert call("weights", "fetch", "liif-edsr").stdout == f"liif-edsr: {path}\n"
    assert call("weights", "verify", "liif-edsr").stdout == "liif-edsr: cached\n"
    assert "efficientnet-lite0" in call("weights", "list").stdout
    empty = {"LIIF_BENCH_CACHE": str(tmp_path)}
    done = call("weights", "verify", "liif-edsr", env=empty)
    assert done.returncode == 2
    assert "weights fetch liif-edsr" in done.stderr
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / path.name).write_bytes(b"tampered")
    assert "mismatch" in call("weights", "verify", env=empty).stdout


def test_an_interrupted_run_says_how_to_go_on(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), dtype=np.uint8)
    for number in range(30):
        Image.fromarray(noise).save(tmp_path / f"{number}.png", compress_level=0)
    out = tmp_path / "out"
    arguments = ["run", "--data", f"folder:{tmp_path}", "--models", "bicubic", "--out", str(out)]
    process = subprocess.Popen(
        [sys.executable, "-m", "liif_bench", *arguments, "--metrics", "psnr,ssim"],
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (out / "journal.jsonl").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert f"interrupted: to go on, give the same command with --out {out}" in stderr
