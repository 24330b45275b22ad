"""Arguments of every command that needs no torch, right and wrong."""

import json
import os
import sys
from pathlib import Path

import pytest
from hostile.campaign import attack, stated
from hostile.commandline import command
from made_runs import usual, write_run

from liif_bench.analysis.baseline import snapshot, write_baseline
from liif_bench.errors import LiifBenchError
from liif_bench.records import load_run

COMMANDS = [
    ["table", "RUN"],
    ["table", "RUN", "OTHER", "--across-protocols"],
    ["table", "RUN", "--format", "markdown", "--layout", "paper", "--precision", "3"],
    ["table", "RUN", "--format", "latex", "--highlight", "best", "-o", "out.tex"],
    ["table", "RUN", "--layout", "per-image", "--references"],
    ["compare", "RUN", "--models", "bicubic,liif-edsr", "--metrics", "psnr", "--scales", "2"],
    ["compare", "RUN", "--baseline", "bicubic", "--front", "psnr,lpips", "--format", "csv"],
    ["gate", "RUN", "--baseline", "base.json"],
    ["gate", "OTHER", "-b", "base.json", "--rules", "rules.toml", "--all", "--json", "g.json"],
    ["gate", "RUN", "-b", "OTHER", "--junit", "j.xml", "--summary", "s.md"],
    ["baseline", "diff", "RUN", "base.json", "--format", "markdown"],
    ["baseline", "save", "RUN", "-o", "new.json", "--overwrite"],
    ["protocol", "show", "liif-div2k"],
    ["protocol", "diff", "liif-div2k", "mmagic"],
    ["protocol", "diff", "mine.toml"],
    *(
        ["list", kind]
        for kind in ("suites", "models", "metrics", "datasets", "weights", "protocols")
    ),
    ["data", "list"],
    ["explain", "RUN"],
    ["utility", "RUN"],
    ["resolution", "RUN"],
    ["zoom", "RUN"],
    ["features", "RUN"],
]
SLOW = [
    ["figure", "RUN", "-o", "f.svg", "--x", "psnr", "--y", "lpips"],
    ["figure", "RUN", "--kind", "scales", "--metric", "lpips", "-o", "f.png"],
]
# Both are refused before anything is measured.
RUNS = [
    ["run", "sample", "--scales", "2,4", "--models", "bicubic", "--limit", "0"],
    ["run", "suite.toml", "--protocol", "lte", "--metrics", "psnr", "--limit", "0"],
    ["run", "--data", "folder:.", "--memory", "1GiB", "--model", "ncnn:x?scale=2", "--limit", "0"],
    ["upscale", "x.png", "--model", "bicubic", "-o", "y.png", "--scale", "0"],
]
OPTIONS = [
    "--models", "--model", "--metrics", "--scales", "--data", "--format", "--layout", "--precision",
    "--baseline", "-b", "--rules", "-o", "--output", "--front", "--kind", "--x", "--metric",
    "--out",
    "--memory", "--protocol", "--seed", "--crops", "--quiet", "--help", "--version", "-h", "--all",
    "--across-protocols", "--references", "--highlight", "--", "--nonsense", "-", "--limit=x",
]  # fmt: skip
VALUES = [
    "", " ", ",", "0", "-1", "1", "2", "2.5", "1e999", "nan", "inf", "9" * 400, "99999999999", "٣",
    "psnr", "lpips", "bicubic", "liif-edsr", "set5", "folder:", "folder:.", "csv", "markdown",
    "terminal", "latex", "html", "paper", "a\nb", "\x1b[2J\x1b]0;x\x07", "\u202egnp", "<script>",
    "[red]", "[/]", "[link=x]", "%s", "{x}", "a b", "ü" * 300, "x" * 70_000, "caf\udce9", "@x", "~",
    "~nobody",
    "RUN", "OTHER", "base.json", "broken.json", "rules.toml", "mine.toml", "suite.toml", "folder",
    "dangling", "loop", "pipe.toml", "nowhere", "a/../..", ".", "..", "x.png",
    "timm:x?checkpoint=y",
    "spandrel:nowhere.pth", "ncnn:x", "command:x", "liif-edsr:~nobody/x", "embedding:", "zoom-top1",
    "auto", "cuda:99", "1KiB", "1e400GiB", "64MiB", "5%",
]  # fmt: skip


@pytest.fixture
def workplace(tmp_path, monkeypatch):
    """A folder with two runs and every other file that an argument may name, broken ones too."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "100")
    for name, images in (("RUN", 3), ("OTHER", 2)):
        run = write_run(home / name, usual(images=images, scales=(2, 4)), crops=name == "RUN")
        content = json.loads((run / "manifest.json").read_text())
        content["plan"]["datasets"] = {"sample": {"items": images, "sha256": "ab"}}
        (run / "manifest.json").write_text(json.dumps(content))
    write_baseline(snapshot(load_run(home / "RUN")), home / "base.json")
    (home / "broken.json").write_text('{"baseline": 1, "cells": [')
    (home / "rules.toml").write_text('[[rule]]\nmetric = "*"\ntolerance = 0.1\n')
    code, text, _ = command("protocol", "show", "liif-div2k")
    assert code == 0
    (home / "mine.toml").write_text(text)
    (home / "suite.toml").write_text(
        'name = "s"\nversion = 1\ndescription = "d"\nprotocol = "mine.toml"\n'
        'datasets = ["sample"]\nscales = [2]\nmodels = ["bicubic"]\nmetrics = ["psnr"]\n'
    )
    (home / "folder").mkdir()
    (home / "dangling").symlink_to("nowhere")
    (home / "loop").symlink_to("loop")
    return home


def arguments(rng):
    """A command line with a few arguments replaced, dropped, doubled or added."""
    kind = rng.random()
    base = list(rng.choice(SLOW if kind < 0.004 else RUNS if kind < 0.3 else COMMANDS))
    tail = base[-2:] if base[0] in ("run", "upscale") else []
    words = base[: len(base) - len(tail)]
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        at = rng.randrange(1, len(words) + 1)
        match rng.randrange(5):
            case 0 if at < len(words):
                words[at] = rng.choice(VALUES)
            case 1 if at < len(words):
                del words[at]
            case 2:
                words.insert(at, rng.choice(OPTIONS))
            case 3:
                words[at:at] = [rng.choice(OPTIONS), rng.choice(VALUES)]
            case _:
                words.insert(at, rng.choice(VALUES))
    return words + tail


def test_arguments(workplace):
    def call(words):
        torch_before = "torch" in sys.modules
        code, out, err = command(*words)
        assert "torch" in sys.modules or not torch_before
        assert code in (0, 1, 2), code
        assert "Traceback" not in out + err
        assert "\x1b" not in out + err
        if code == 2:
            assert len(err.splitlines()) == 1, err
            assert err.startswith("error: "), err
            assert err.rstrip("\n").isprintable(), err
            raise LiifBenchError("refused")
        assert err == "" or code == 0, err

    for words in (*COMMANDS, *SLOW):
        code, _, err = command(*words)
        assert code in (0, 1, 2)
        assert "Traceback" not in err
    assert attack("arguments of the command line", arguments, call).accepted


def test_devices_are_written_to_and_not_replaced(workplace):
    """As root a file would take the place of /dev/null."""
    code, _, err = command("table", "RUN", "--format", "csv", "-o", "/dev/null")
    assert (code, err) == (0, "")
    assert not Path("/dev/null").is_file()
    os.mkfifo("pipe")
    end = os.open("pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        code, _, err = command("table", "RUN", "--format", "csv", "-o", "pipe")
        assert (code, err) == (0, "")
        assert os.read(end, 9) == b"dataset,m"
    finally:
        os.close(end)
    stated("--output /dev/null, a named pipe", "written to, not replaced")
