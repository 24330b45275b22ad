"""Sheets of crops, error maps and spectra: what is drawn is what the run has."""

import io
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from commands import refused
from frames import made_up
from made_runs import usual, write_run
from PIL import Image
from texts import assert_apart_and_inside

import liif_bench
from liif_bench.analysis.crops import Number, error_map, kept_of, spectrum_of
from liif_bench.cli.figure import Kind, figure
from liif_bench.crops import HR, LR
from liif_bench.errors import LiifBenchError
from liif_bench.metrics.realism.spectra import ROUNDING
from liif_bench.records import load_run
from liif_bench.reports.crops import draw_crops, draw_errors, draw_spectra
from liif_bench.reports.figures import literal_names, rendered


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run of two images with detail by three models at two scales."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(2):
        coarse = np.random.default_rng(number).integers(0, 256, (40, 50, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((200, 160), Image.Resampling.BICUBIC)
        image.save(folder / f"photo{number}.png")
    return liif_bench.run(
        data=[f"folder:{folder}"], models=["nearest", "bicubic", "lanczos"], metrics=["psnr"],
        scales=[2, 4], out=folder / "run", progress=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def kept(run):
    return kept_of(run, run.records)


def panels_of(figure, columns):
    """The panels of a sheet by row; a bar of colours is none."""
    panels = [axes for axes in figure.axes if axes.get_label() != "bar"]
    return [panels[start : start + columns] for start in range(0, len(panels), columns)]


def shown_in(axes):
    (image,) = axes.images
    return np.asarray(image.get_array())


class TestSheets:
    def test_show_lr_the_models_and_hr_at_every_scale(self, kept):
        rows = panels_of(draw_crops(kept), 5)
        names = [axes.get_title() for axes in rows[0]]
        assert names == [LR, "bicubic", "nearest", "lanczos", HR]
        for row, view in zip(rows, kept.views, strict=True):
            assert row[0].get_ylabel() == f"x{view.scale:g}"
            for axes, name in zip(row, names, strict=True):
                assert np.array_equal(shown_in(axes), view.pixels[name])

    def test_have_the_numbers_of_the_records_below(self, kept, run):
        rows = run.records[run.records["item"] == "photo0.png"]
        values = rows.set_index(["scale", "upsampler"])["value"]
        for row, scale in zip(panels_of(draw_crops(kept), 5), (2, 4), strict=True):
            for axes, name in zip(row[1:-1], ("bicubic", "nearest", "lanczos"), strict=True):
                value = values[scale, name]
                assert axes.get_xlabel() == f"PSNR {value:.2f} dB"
            assert row[0].get_xlabel() == f"{160 // scale} x {200 // scale} pixels"
            assert row[-1].get_xlabel() == "160 x 200 pixels"

    def test_say_which_window_it_is_and_what_the_run_lacks(self, kept):
        (title,) = (text.get_text() for text in draw_crops(kept).texts)
        window = kept.views[0].window
        assert "photo0.png: 128 x 128 pixels of HR" in title
        assert f"rows {window.top} to {window.top + 128}" in title
        assert f"columns {window.left} to {window.left + 128}" in title
        assert "the run has no LPIPS" in title
        assert "protocol liif-div2k" in title

    def test_say_it_by_row_where_scales_show_different_windows(self, kept):
        views = tuple(
            replace(view, window=replace(view.window, top=16 * number))
            for number, view in enumerate(kept.views)
        )
        rows = panels_of(draw_crops(replace(kept, views=views)), 5)
        label = rows[1][0].get_ylabel().replace("\n", " ")
        assert label.startswith("x4: rows 16 to 144, columns")

    @pytest.mark.parametrize("draw", [draw_crops, draw_errors])
    def test_every_pixel_is_a_square_of_whole_pixels(self, kept, draw):
        """Whatever is drawn: the picture of HR is HR, each pixel two by two."""
        drawn = draw(kept)
        picture = np.asarray(Image.open(io.BytesIO(rendered(drawn, "png"))).convert("RGB"))
        (axes,) = (each for each in drawn.axes if each.get_title() == HR)
        box = axes.get_window_extent()
        top, left = round(picture.shape[0] - box.y1), round(box.x0)
        inside = picture[top + 2 : top + 254, left + 2 : left + 254]  # without the frame
        hr = kept.views[0].pixels[HR].repeat(2, axis=0).repeat(2, axis=1)
        assert np.array_equal(inside, hr[2:254, 2:254])

    def test_show_a_dash_and_the_reason_where_there_is_nothing(self, tmp_path):
        folder = write_run(tmp_path / "r", usual(images=1, scales=(2,)))
        frame = made_up(
            [
                ("image0", 2, "bicubic", "psnr", float("inf")),
                ("image0", 2, "bicubic", "lpips", "no weights here"),
                ("image0", 2, "gone", "psnr", "it ran out of memory"),
                ("image0", 2, "gone", "lpips", "it ran out of memory"),
            ]
        )
        (row,) = panels_of(draw_crops(kept_of(load_run(folder), frame)), 4)
        assert row[1].get_xlabel().split("\n") == ["PSNR inf", "LPIPS – (no weights here)"]
        assert not row[2].images
        assert row[2].get_xlabel() == "PSNR –\nLPIPS –"
        assert [text.get_text() for text in row[2].texts] == ["–\nit ran out of\nmemory"]


class TestErrorMaps:
    def test_are_the_errors_of_each_model_on_one_scale_of_colours(self, kept):
        rows = panels_of(draw_errors(kept), 4)
        names = [axes.get_title() for axes in rows[0]]
        assert names == [HR, "bicubic", "nearest", "lanczos"]
        limits = set()
        for row, view in zip(rows, kept.views, strict=True):
            assert np.array_equal(shown_in(row[0]), view.pixels[HR])
            for axes, name in zip(row[1:], names[1:], strict=True):
                errors = error_map(view.pixels[name], view.pixels[HR])
                assert np.array_equal(shown_in(axes), errors)
                assert axes.get_xlabel() == f"mean {errors.mean():.2f}"
                limits.add(axes.images[0].get_clim())
        (span,) = limits
        everything = np.concatenate(
            [error_map(v.pixels[n], v.pixels[HR]).ravel() for v in kept.views for n in names[1:]]
        )
        assert span[0] == 0
        assert 0 < (everything > span[1]).mean() < 0.005
        assert (everything > span[1] - 1).mean() > 0.005

    def test_have_a_bar_in_grey_levels(self, kept):
        bar = draw_errors(kept).axes[-1]
        assert "8-bit grey levels" in bar.get_ylabel().replace("\n", " ")
        assert bar.get_ylim() == draw_errors(kept).axes[1].images[0].get_clim()

    def test_of_hr_itself_are_zero(self, kept):
        views = tuple(
            replace(view, pixels={HR: view.pixels[HR], "bicubic": view.pixels[HR]})
            for view in kept.views
        )
        (same, _) = panels_of(draw_errors(replace(kept, models=("bicubic",), views=views)), 2)
        assert not shown_in(same[1]).any()
        assert same[1].get_xlabel() == "mean 0.00"

    def test_without_a_model_there_is_none(self, kept):
        views = tuple(replace(view, missing={"x": "it broke"}) for view in kept.views)
        with pytest.raises(LiifBenchError, match=r"no crop of a model of 'photo0\.png'"):
            draw_errors(replace(kept, models=("x",), views=views))


class TestSpectra:
    def test_are_those_of_hr_and_each_model(self, kept):
        figure = draw_spectra(kept)
        for axes, view in zip(figure.axes, kept.views, strict=True):
            lines = {line.get_label(): line for line in axes.lines}
            for name in (HR, *kept.models):
                spectrum = spectrum_of(view.pixels[name])
                assert np.array_equal(lines[name].get_xdata(), spectrum.frequencies)
                assert np.array_equal(lines[name].get_ydata(), spectrum.powers)
            assert LR not in lines
            assert axes.get_title() == f"x{view.scale:g}"
            assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")

    def test_mark_half_a_cycle_per_pixel_of_lr_and_the_noise_of_rounding(self, kept):
        for axes, view in zip(draw_spectra(kept).axes, kept.views, strict=True):
            lines = {line.get_label(): line for line in axes.lines}
            assert lines["Nyquist frequency of LR"].get_xdata() == [0.5 / view.scale] * 2
            assert lines["rounding to 8 bits"].get_ydata() == [ROUNDING] * 2

    def test_show_every_frequency_though_lr_holds_none_of_them(self, kept):
        far = replace(kept.views[1], window=replace(kept.views[1].window, scale=30.0))
        for axes in draw_spectra(replace(kept, views=(kept.views[0], far))).axes:
            low, high = axes.get_xlim()
            assert low < 0.5 / 30
            assert high > 0.5

    def test_need_32_pixels(self, kept):
        pixels = {name: each[:20] for name, each in kept.views[0].pixels.items()}
        small = replace(kept, views=(replace(kept.views[0], pixels=pixels),))
        with pytest.raises(LiifBenchError, match=r"crops of 'photo0\.png': 128x20 pixels are too"):
            draw_spectra(small)


LONG = ("bicubic", "liif:a_checkpoint_of_a_rather_long_name.pth", "realesrgan-x4plus+bicubic", "m")


@pytest.fixture(scope="module")
def long(kept):
    """Long names and reasons, windows that differ, one crop missing."""
    views = []
    for number, view in enumerate(kept.views):
        pixels = dict(zip((HR, LR, *LONG[:-1]), view.pixels.values(), strict=True))
        reason = "it needs more memory than there is on this machine, which is not much: " * 3
        numbers = {(m, "psnr"): Number(None, reason) if m == "m" else Number(30.0) for m in LONG}
        lpips = {(m, "lpips"): Number(0.5) for m in LONG}
        window = replace(view.window, top=16 * number)
        views.append(replace(view, window=window, pixels=pixels, numbers=numbers | lpips,
                             missing={"m": reason}))  # fmt: skip
    name = "folder:somewhere/far/away/photographs_of_last_summer"
    return replace(kept, dataset=name, models=LONG, metrics=("psnr", "lpips"), views=tuple(views))


@pytest.mark.parametrize("draw", [draw_crops, draw_errors, draw_spectra])
def test_texts_neither_touch_nor_leave_the_figure(draw, kept, long):
    with literal_names():
        for each in (kept, long, replace(long, views=long.views[:1], models=LONG[-2:])):
            assert_apart_and_inside(draw(each))


def test_a_dollar_in_a_name_is_a_dollar(kept):
    with literal_names():
        drawn = draw_spectra(replace(kept, item="a$b_c$d.png"))
        figure_texts = [text.get_text() for text in drawn.texts]
        assert rendered(drawn, "png")
    assert any("a$b_c$d.png" in text for text in figure_texts)


def test_equal_crops_give_equal_files(kept):
    assert rendered(draw_crops(kept), "png") == rendered(draw_crops(kept), "png")


def test_figures_of_crops_do_without_torch():
    code = "import sys, liif_bench.reports.crops; assert not {'torch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_command_draws_crops(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def drawn(kind, **options):
        figure(run.path, kind, **options)
        return capsys.readouterr().out.strip()

    for kind in (Kind.errors, Kind.crops, Kind.spectra):
        assert drawn(kind) == f"photo0.png_{kind.value}.png"
        for suffix, start in ((".svg", b"<?xml"), (".pdf", b"%PDF")):
            file = tmp_path / f"{kind.value}{suffix}"
            assert drawn(kind, item="photo1.png", models="nearest", scales="4", out=file)
            assert file.read_bytes().startswith(start)


def test_what_is_missing_is_said_in_one_line(run, tmp_path):
    bare = write_run(tmp_path / "bare", usual(), crops=False)
    for kind in (Kind.errors, Kind.crops, Kind.spectra):
        with pytest.raises(LiifBenchError, match="--crops N"):
            figure(bare, kind, out=tmp_path / "x.png")
    with pytest.raises(LiifBenchError, match="unknown scale"):
        figure(run.path, Kind.crops, scales="7", out=tmp_path / "x.png")
    said = refused(
        "figure", run.path, "--kind", "crops", "--item", "mine", "-o", tmp_path / "x.png"
    )
    assert "no crops of 'mine': choose from photo0.png, photo1.png" in said
    assert not (tmp_path / "x.png").exists()
