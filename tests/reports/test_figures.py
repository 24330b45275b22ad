import subprocess
import sys

import numpy as np
import pytest
from commands import call, refused
from frames import made_up
from matplotlib.colors import to_hex
from texts import assert_apart_and_inside

import liif_bench
from liif_bench.cli.figure import Kind, figure
from liif_bench.errors import LiifBenchError
from liif_bench.paths import file_stem
from liif_bench.reports.figures import (
    COLOURS,
    Point,
    draw_images,
    draw_plane,
    draw_scales,
    plane_points,
    write_figure,
)
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


SCALES = (1.5, 2, 2.5, 3, 4, 8, 30)


def made_run(models=("bicubic", "liif"), scales=SCALES, images=5, metric="psnr"):
    return made_up(
        [
            (f"image {number}", scale, model, metric, 40 + number - 3 * np.log2(scale) + place)
            for scale in scales
            for place, model in enumerate(models)
            for number in range(images)
        ]
    )


def test_scales_lie_on_a_log_axis_with_the_trained_ones_shaded():
    (axes,) = draw_scales(made_run(), "psnr").axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "scale (HR size / LR size)"
    assert axes.get_ylabel() == "PSNR (dB) ↑"
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_x() + shade.get_width()) == (1.5, 4)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["trained on (liif)", "bicubic", "liif", "not trained on"]


def test_curves_are_the_means_with_their_bands():
    (axes,) = draw_scales(made_run(), "psnr").axes
    curves = {line.get_label(): line for line in axes.lines}
    assert curves["liif"].get_xdata().tolist() == list(SCALES)
    expected = [43 - 3 * np.log2(scale) for scale in SCALES]
    assert curves["liif"].get_ydata() == pytest.approx(expected)
    bands = [each.get_datalim(axes.transData) for each in axes.collections]
    assert len(bands) == 2
    assert bands[1].y1 > max(expected)  # five images differ by one dB from each other
    assert bands[1].y0 < min(expected)
    hollow = [each.get_xdata().tolist() for each in axes.lines if each.get_mfc() == "white"]
    assert hollow == [[8], [30], []]  # the last is the legend's


def test_up_is_better():
    for metric, inverted in (("psnr", False), ("lpips", True)):
        for baseline in (None, "bicubic"):
            (axes,) = draw_scales(made_run(metric=metric), metric, baseline).axes
            assert axes.yaxis_inverted() == inverted


def test_a_small_one_has_the_same_curves_and_says_less_beside_them():
    (usual,), (small,) = (draw_scales(made_run(), "psnr", small=small).axes for small in (0, 1))
    for one, other in zip(usual.lines, small.lines, strict=True):
        assert np.array_equal(one.get_xydata(), other.get_xydata())
    assert small.get_title() == "sample: PSNR (dB) ↑"
    assert not small.get_xlabel()
    assert small.get_legend() is None
    (legend,) = small.figure.legends
    assert [text.get_text() for text in legend.get_texts()][1:3] == ["bicubic", "liif"]


def test_more_models_than_colours_are_told_apart():
    models = [f"model{number}" for number in range(len(COLOURS) + 1)]
    (axes,) = draw_scales(made_run(models), "psnr").axes
    styles = {line.get_label(): line.get_linestyle() for line in axes.lines}
    assert [styles[model] for model in (models[0], models[-1])] == ["-", "--"]


def test_differences_are_drawn_from_a_baseline():
    (axes,) = draw_scales(made_run(), "psnr", "bicubic").axes
    curves = {line.get_label(): line for line in axes.lines}
    assert curves["liif"].get_ydata() == pytest.approx([1] * len(SCALES))
    assert curves["bicubic"].get_ydata() == [0, 0]
    assert "difference from bicubic" in axes.get_ylabel()


def test_without_a_trained_model_nothing_is_shaded():
    (axes,) = draw_scales(made_run(("bicubic", "lanczos")), "psnr").axes
    assert not axes.patches
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["bicubic", "lanczos"]


def test_one_scale_is_no_curve():
    with pytest.raises(LiifBenchError, match="psnr at x4 alone"):
        draw_scales(made_run(scales=(4,)), "psnr")
    only = made_up([("a", 4, "hr", "psnr", float("inf"))])
    with pytest.raises(LiifBenchError, match="no model of 'sample' has finite values of psnr"):
        draw_scales(only, "psnr")


def test_a_model_with_one_scale_shows_its_interval():
    frame = made_run(scales=(2, 4))
    frame = frame[(frame["upsampler"] != "bicubic") | (frame["scale"] == 2)]
    (axes,) = draw_scales(frame, "psnr").axes
    spans = [each for each in axes.collections if len(each.get_paths()[0].vertices) == 2]
    assert len(spans) == 1


def test_images_are_dots_in_order_by_scale():
    frame = made_up(
        [
            (item, scale, model, metric, value + (model == "m") * scale * gain)
            for scale in (2, 4)
            for item, value, gain in (("a", 1.0, 0.5), ("b", 2.0, -1.0), ("c", 3.0, 0.0))
            for model in ("m", "b")
            for metric in ("psnr", "lpips")
        ]
    )
    for metric, colours in (("psnr", (1, None, 0)), ("lpips", (0, None, 1))):
        two, four = draw_images(frame, metric, "m", "b").axes
        assert two.collections[0].get_offsets()[:, 1].tolist() == [-2, 0, 1]
        assert four.collections[0].get_offsets()[:, 1].tolist() == [-4, 0, 2]
        assert [text.get_text() for text in two.get_xticklabels()] == ["b", "c", "a"]
        assert "better on 1 of 3" in two.get_title()
        faces = [to_hex(face) for face in two.collections[0].get_facecolors()]
        for face, place in zip(faces, colours, strict=True):
            assert face == ("#808080" if place is None else COLOURS[place])
    assert "x2: -0.33 [" in draw_images(frame, "psnr", "m", "b").axes[0].get_title()


def test_images_that_two_models_do_not_share_are_no_figure():
    frame = made_up([("a", 4, "m", "psnr", 1.0), ("b", 4, "b", "psnr", 1.0)])
    with pytest.raises(LiifBenchError, match="m and b share no finite psnr of 'sample'"):
        draw_images(frame, "psnr", "m", "b")


LONG = ("bicubic", "liif:a_checkpoint_of_a_rather_long_name.pth", "realesrgan-x4plus+bicubic")


@pytest.mark.parametrize(
    "draw",
    [
        lambda: draw_scales(made_run(LONG), "psnr"),
        lambda: draw_scales(made_run(LONG), "psnr", small=True),
        lambda: draw_scales(made_run(LONG, (2, 4), 3, "tta-mean-top1"), "tta-mean-top1", "bicubic"),
        lambda: draw_images(made_run(LONG), "psnr", LONG[1], LONG[2]),
        lambda: draw_images(made_run(LONG, images=40), "psnr", LONG[1], LONG[2]),
        lambda: draw_images(
            made_run(LONG, (4,), 14, "tta-mean-top1"), "tta-mean-top1", LONG[1], LONG[2]
        ),
    ],
    ids=["scales", "small", "long label", "images", "many images", "one panel"],
)
def test_texts_neither_touch_nor_leave_the_figure(draw):
    assert_apart_and_inside(draw())


def test_equal_records_give_equal_files(tmp_path):
    files = [tmp_path / name for name in ("one.png", "two.png")]
    for file in files:
        write_figure(draw_scales(made_run(), "psnr"), file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_names_of_files_hold_nothing_that_a_file_should_not_be_called():
    assert (
        file_stem(["feature-mse:vgg16/relu4", "images", "a b"])
        == "feature-mse-vgg16-relu4_images_a-b"
    )


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


def test_the_command_draws_scales_and_images(tmp_path, photo_folder, monkeypatch, capsys):
    run = liif_bench.run(
        data=[f"folder:{photo_folder()}"], models=["nearest", "bicubic", "lanczos"],
        metrics=["psnr"], scales=[2, 3], out=tmp_path / "run", progress=False,
    ).path  # fmt: skip
    monkeypatch.chdir(tmp_path)

    def drawn(kind, **options):
        figure(run, kind, **options)
        file = tmp_path / capsys.readouterr().out.strip()
        assert file.read_bytes().startswith(b"\x89PNG")
        return file.name

    def said(kind, **options):
        with pytest.raises(LiifBenchError) as error:
            figure(run, kind, **options)
        return str(error.value)

    assert drawn(Kind.plane, y="psnr") == "perception-distortion.png"
    assert drawn(Kind.scales) == "psnr_scales.png"
    assert drawn(Kind.scales, baseline="bicubic", models="lanczos") == "psnr_scales.png"
    assert drawn(Kind.images, model=["lanczos"]) == "psnr_images_lanczos_bicubic.png"
    assert drawn(Kind.images, models="nearest", baseline="lanczos", scales="3")
    several = "name one with --model, to hold against bicubic: nearest, lanczos"
    assert said(Kind.images) == several
    assert "no model to hold against bicubic" in said(Kind.images, models="bicubic")
    assert "x2 alone" in said(Kind.scales, scales="2")
    assert "unknown metric of the run 'x'" in said(Kind.scales, metric="x")
    assert "unknown model" in said(Kind.scales, models="mine")
    assert "unknown scale" in said(Kind.images, scales="7")
