"""Data folders full of odd names and of things that are no files, through a real small run."""

import csv
import io
import json
import os
import socket

import numpy as np
import pytest
from hostile.campaign import stated, time_limit
from hostile.commandline import command
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.printable import printable
from liif_bench.records import load_run
from liif_bench.upscale import upscale_file

NAMES = {
    "line break": "a\nb.png",
    "carriage return and tab": "a\r\tb.png",
    "quotes": 'it\'s "x".png',
    "markup": "<script>alert(1)</script> [red]&amp;.png".replace("/", "-"),
    "escape sequences of a terminal": "\x1b[2J\x1b]0;title\x07.png",
    "right-to-left override": "\u202egnp.exe.png",
    "255 bytes": "x" * 251 + ".png",
    "a byte that is no UTF-8": os.fsdecode(b"caf\xe9.png"),
    "a backslash": "caf\\xe9 too.png",
    "a formula of spreadsheets": "=1+1.png",
    "a dash in front": "--out.png",
    "a percent sign and braces": "%s{item}.png",
    "emoji and combining marks": "e\u0301🙂\u200d.png",
    "blanks": "  a  .png",
}


@pytest.fixture
def hostile_folder(tmp_path, monkeypatch):
    """A folder of images under odd names, and beside them what is called so and is no image."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in NAMES.values():
        coarse = Image.fromarray(rng.integers(0, 256, (3, 4, 3), dtype=np.uint8))
        content = io.BytesIO()
        coarse.resize((64, 48), Image.Resampling.BICUBIC).save(content, "PNG")
        (folder / name).write_bytes(content.getvalue())
    (folder / "sub").mkdir()
    (folder / "sub" / "upwards").symlink_to("..")  # a loop of folders
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "dangling.png").symlink_to("nowhere")
    (folder / "zero.png").symlink_to("/dev/zero")
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    monkeypatch.chdir(folder)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("socket.png")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "300")
    (folder / "memory.png").symlink_to("/proc/self/mem")  # a file that cannot be read
    return folder


def test_a_run_on_a_folder_of_odd_names(hostile_folder, tmp_path):
    with time_limit(120):
        code, out, err = command(
            "run", "--data", "folder:photos", "--scales", "2", "--models", "bicubic,nearest",
            "--metrics", "psnr", "--out", "out",
        )  # fmt: skip
    assert code == 0, err
    run = load_run(tmp_path / "out")
    records = run.records
    expected = {name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
                for name in NAMES.values()}  # fmt: skip
    measured = records[records["error"].isna()]
    assert set(measured["item"]) == expected
    assert len(measured) == 2 * len(NAMES)
    failed = records[records["error"].notna()]
    assert set(failed["item"]) == {"memory.png"}  # an error record, and no end of the run
    assert "cannot be decoded" in failed["error"].iloc[0]
    assert "\x1b" not in out + err
    for layout in ("per-image", "metrics"):
        for style in ("terminal", "markdown", "csv", "latex", "html"):
            code, out, err = command("table", "out", "--layout", layout, "--format", style)
            assert (code, err) == (0, "")
            assert "\x1b" not in out
            assert "<script>" not in out or style in ("csv", "terminal")
            if layout == "per-image" and style == "terminal":
                shown = [
                    name for name in ("a\\nb.png", "\\x1b[2J\\x1b]0;title\\x07.png") if name in out
                ]
                assert len(shown) == 2
                assert "\u202e" not in out
            if layout == "per-image" and style == "csv":
                rows = list(csv.DictReader(io.StringIO(out)))
                assert {printable(name) for name in expected} <= {row["item"] for row in rows}
    again = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert again["finished"]
    for name in NAMES:
        stated(f"file name with {name}, in a data folder", "measured; written out in tables")
    for name in ("named pipe", "socket", "device", "folder", "link to nowhere", "loop of links"):
        stated(f"{name} called x.png, in a data folder", "passed over")
    stated("file that cannot be read, in a data folder", "an error record; the run goes on")


def test_a_report_of_such_a_run_holds_no_script_of_a_name(hostile_folder, tmp_path):
    arguments = ("--scales", "2", "--models", "bicubic", "--metrics", "psnr", "--out", "out")
    assert command("run", "--data", "folder:photos", *arguments)[0] == 0
    code, _, err = command("report", "out")
    assert code == 0, err
    page = (tmp_path / "out" / "report.html").read_text()
    assert "<script>alert" not in page
    stated("file name with markup, in the HTML report", "shown as text")


def test_two_names_that_would_be_written_alike_are_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for name in (b"caf\xe9.png", b"caf\\xe9.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / os.fsdecode(name))
    code, _, err = command("run", "--data", "folder:photos", "--models", "bicubic", "--limit", "1")
    assert code == 2
    assert "have one name" in err
    stated("two names that would be written alike", "refused; both are named")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_upscale_refuses_what_is_no_file(make, tmp_path):
    make(tmp_path / "x.png")
    with time_limit(10), pytest.raises(LiifBenchError, match="not a regular file"):
        upscale_file(tmp_path / "x.png", tmp_path / "y.png", 2.0, "bicubic", console=None)
