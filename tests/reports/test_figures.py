import subprocess
import sys

import pytest
from commands import call, refused
from frames import made_up

from liif_bench.errors import LiifBenchError
from liif_bench.reports.figures import Point, draw_plane, plane_points
from liif_bench.reports.tables import build_tables

ROWS = [
    ("a", 4, "bicubic", "psnr", 30.0),
    ("a", 4, "bicubic", "lpips", 0.4),
    ("b", 4, "bicubic", "psnr", 32.0),
    ("b", 4, "bicubic", "lpips", 0.2),
    ("a", 4, "gan", "psnr", 28.0),
    ("a", 4, "gan", "lpips", 0.1),
    ("b", 4, "gan", "psnr", 29.0),
    ("b", 4, "gan", "lpips", 0.1),
    ("a", 4, "same", "psnr", float("inf")),
    ("a", 4, "same", "lpips", 0.0),
    ("b", 4, "same", "psnr", float("inf")),
    ("b", 4, "same", "lpips", 0.0),
    ("a", 4, "broken", "psnr", 31.0),
    ("a", 4, "broken", "lpips", 0.3),
    ("b", 4, "broken", "psnr", 31.0),
    ("b", 4, "broken", "lpips", "no weights"),
]


@pytest.fixture
def table():
    (table,) = build_tables(made_up(ROWS))
    return table


def test_points_are_means_over_equal_images(table):
    assert plane_points(table, "psnr", "lpips") == [
        Point("bicubic", 4.0, 31.0, pytest.approx(0.3)),
        Point("gan", 4.0, 28.5, pytest.approx(0.1)),
    ]


def test_better_is_right_and_up(table):
    (axes,) = draw_plane(table).axes
    assert axes.get_xlabel() == "PSNR (dB) ↑"
    assert not axes.xaxis_inverted()
    assert axes.yaxis_inverted()  # a small distance lies high
    drawn = [dots.get_offsets()[0].tolist() for dots in axes.collections if len(dots.get_offsets())]
    assert sorted(drawn) == [pytest.approx([28.5, 0.1]), pytest.approx([31.0, 0.3])]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["bicubic", "gan", "x4"]


def test_a_metric_that_is_not_there_is_named(table):
    with pytest.raises(LiifBenchError, match="no metric 'dists': choose from psnr, lpips"):
        draw_plane(table, y="dists")


def test_without_a_model_that_has_both_there_is_no_figure():
    (table,) = build_tables(made_up([("a", 4, "m", "psnr", 1.0), ("a", 4, "m", "lpips", "x")]))
    with pytest.raises(LiifBenchError, match="no model of 'sample' has both psnr and lpips"):
        draw_plane(table)


def test_figures_do_not_import_torch():
    code = "import sys, liif_bench.reports.figures as f; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_writes_what_the_suffix_says(tmp_path, photo_folder):
    run = tmp_path / "run"
    done = call(
        "run", "--data", f"folder:{photo_folder()}", "--models", "nearest,bicubic",
        "--metrics", "psnr,ssim", "--scales", "2", "--out", run, "--quiet",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for suffix, start in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = tmp_path / f"plane{suffix}"
        assert call("figure", run, "--y", "ssim", "-o", file).stdout.strip() == str(file)
        assert file.read_bytes().startswith(start)
    assert "end it with .png, .svg, .pdf" in refused("figure", run, "-o", tmp_path / "x.gif")
    assert "no metric 'lpips'" in refused("figure", run, "-o", tmp_path / "x.png")
    assert "unknown data set 'set5'" in refused("figure", run, "--data", "set5")
    assert not (tmp_path / "x.png").exists()
