"""The package of docs/adding.md, taken from the page, installed by pip and used."""

import importlib.util
import json
import os
import re
import shlex
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from commands import call
from packaging.version import Version
from PIL import Image

PAGE = Path(__file__).parents[1] / "docs" / "adding.md"
SIZE = (42, 63)


def blocks():
    """The files of the page by name, and its commands."""
    text = PAGE.read_text()
    files = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    (commands,) = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return files, [shlex.split(line) for line in commands.splitlines()]


def can_build():
    """Whether the installed setuptools makes wheels by itself; else pip fetches one that does."""
    if importlib.util.find_spec("setuptools") is None:
        return False
    return Version(metadata.version("setuptools")) >= Version("70.1")


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The environment in which the package is installed."""
    source = tmp_path_factory.mktemp("package")
    for name, content in blocks()[0].items():
        (source / name).write_text(content)
    site = tmp_path_factory.mktemp("site")
    isolation = ["--no-build-isolation"] if can_build() else []
    install = ["install", "--quiet", "--no-deps", *isolation, "--target", site, source]
    done = subprocess.run([sys.executable, "-m", "pip", *install], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(site), *([before] if before else [])])}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with images where the page's command looks for them."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "images" / "lab").mkdir(parents=True)
    rng = np.random.default_rng(3)
    for name in ("a", "b"):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
        coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC).save(
            folder / "images" / "lab" / f"{name}.png"
        )
    return folder


def test_the_page_names_its_files():
    files, commands = blocks()
    assert list(files) == ["pyproject.toml", "bench_lab.py"]
    assert [command[:2] for command in commands] == [
        ["pip", "install"], ["liif-bench", "list"], ["liif-bench", "run"],
    ]  # fmt: skip


def test_its_parts_are_listed(package):
    for kind, part in (("models", "sampled"), ("metrics", "worst-pixel"), ("datasets", "lab")):
        assert f"{part}[:ARGUMENT]" in call("list", kind, env=package).stdout


def test_its_command_measures_with_all_three(package, work):
    command = blocks()[1][-1][1:]
    done = call(*command, "--protocol", "liif-benchmark", "--out", "out", env=package, cwd=work)
    assert done.returncode == 0, done.stderr
    records = pd.read_parquet(work / "out" / "records.parquet")
    assert len(records) == 2 * 2 * 3 * 2
    assert records["error"].isna().all()
    assert set(records["dataset"]) == {"lab"}
    assert set(records["upsampler"]) == {"sampled-bicubic", "sampled-bilinear", "bicubic"}
    worst = records[records["metric"] == "worst-pixel"]
    assert set(worst["variant"]) == {"RGB, whole image, none rounding"}
    assert not worst["higher_is_better"].any()
    got = worst[(worst["upsampler"] == "bicubic") & (worst["item"] == "a") & (worst["scale"] == 2)]
    assert got["value"].item() == pytest.approx(worst_of_bicubic(work / "images" / "lab" / "a.png"))
    assert "worst-pixel ↓" in done.stdout


def worst_of_bicubic(path):
    """The metric of Pillow's bicubic at x2, in whole grey levels."""
    with Image.open(path) as image:
        hr = image.crop((0, 0, SIZE[1] // 2 * 2, SIZE[0] // 2 * 2))
        small = hr.resize((SIZE[1] // 2, SIZE[0] // 2), Image.Resampling.BICUBIC)
        wide = small.resize((hr.width, small.height), Image.Resampling.BICUBIC)
        sr = wide.resize(hr.size, Image.Resampling.BICUBIC)
        return np.abs(np.asarray(sr, dtype=int) - np.asarray(hr, dtype=int)).max()


def test_its_model_renders_windows_and_meets_torch(package):
    code = """
import json, torch
from torch.nn.functional import interpolate
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import pixel_window
torch.manual_seed(0)
lr = torch.rand(3, 11, 13)
image = load_upsampler("sampled").encode(lr)
whole = image.render((50, 31))
part = image.render((20, 10), pixel_window((50, 31), 7, 20, 20, 10))
torchs = interpolate(lr[None], (50, 31), mode="bicubic").clamp(0, 1)[0]
print(json.dumps([
    float((part - whole[:, 7:27, 20:30]).abs().max()), float((whole - torchs).abs().max())
]))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **package}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    to_whole, to_torch = json.loads(done.stdout)
    assert to_whole <= 1e-5
    assert to_torch <= 1e-5


def test_what_it_refuses_is_one_line(package, work):
    done = call(
        "run", "--data", "lab", "--data-root", "images", "--models", "sampled:cubic",
        "--out", "no", env=package, cwd=work,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: sampled:cubic is not possible: use bilinear or bicubic\n"
