import csv
import io

import pytest
from commands import call, refused
from screens import assert_shown_whole
from views import made_up_views, run_of

from liif_bench.analysis.zoom import zoom_results
from liif_bench.errors import LiifBenchError
from liif_bench.reports.grids import render_grids
from liif_bench.reports.zoom import draw_anchors, draw_curves, zoom_grids

ITEMS = [f"i{number:02d}" for number in range(12)]
MODELS = ["hr", "bicubic", "liif-edsr"]


@pytest.fixture
def run(tmp_path):
    tables = [made_up_views(ITEMS, MODELS, scale=scale) for scale in (4.0, 8.0)]
    return run_of(tmp_path / "run", *tables)


@pytest.fixture
def results(run):
    (found,) = zoom_results(run)
    return found


@pytest.mark.parametrize("width", [80, 120])
def test_every_number_is_shown_whole(results, width):
    assert_shown_whole(zoom_grids(results, "bicubic"), width)


def test_there_is_a_table_for_each_question(results):
    titles = [grid.title for grid in zoom_grids(results, "bicubic")]
    assert titles == [
        "made: x4, means over images with 95 % intervals",
        "made: x4, gain over bicubic, paired by image",
        "made: x8, means over images with 95 % intervals",
        "made: x8, gain over bicubic, paired by image",
        "made: top-1 accuracy by size of the shorter side, centre view",
        "made: top-1 accuracy by size of the shorter side, mean of nine views",
        "made: top-1 accuracy by anchor, mean over sizes",
        "made: what one zoom alone shows, and calibration",
    ]


def test_cells_are_the_analysis_numbers(results):
    means, gains, *_ = zoom_grids(results, "bicubic")
    seen = results.seen("liif-edsr", 4.0)
    from liif_bench.analysis.zoom import MEASURES

    for measure, row in zip(MEASURES, means.rows, strict=True):
        estimate = seen.estimate(measure)
        assert row[3] == f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"
    assert gains.columns == ("measure", "hr", "p", "liif-edsr", "p")
    gain = seen.gain(MEASURES[0], results.seen("bicubic", 4.0))
    assert gains.rows[0][3].startswith(f"{gain.difference.mean:+.3f} [")
    assert gains.rows[0][4] == f"{gain.p_value:.3f}"
    assert gains.rows[2][4] == ""  # a mean of views is neither right nor wrong


def test_without_the_baseline_there_are_no_gains(results):
    assert not any("gain" in grid.title for grid in zoom_grids(results, "lanczos"))


def test_without_labels_there_are_means_of_agreement(tmp_path):
    table = made_up_views(ITEMS, MODELS, labelled=False)
    (results,) = zoom_results(run_of(tmp_path / "run", table))
    means, _ = zoom_grids(results, "bicubic")
    shown = {row[0]: row[1] for row in means.rows}
    assert shown["top-1 (one)"] == "–"
    assert shown["KL (mean) ↓"] != "–"
    assert "12 images, 0 of them labelled" in means.notes
    for draw in (draw_curves, draw_anchors):
        with pytest.raises(LiifBenchError, match="has a label"):
            draw(results, 4.0)


def test_csv_and_markdown(results):
    grids = zoom_grids(results, "bicubic")
    rows = list(csv.reader(io.StringIO(render_grids(grids, "csv"))))
    assert ["made: x4, means over images with 95 % intervals", "top-1 (one)"] in [
        row[:2] for row in rows
    ]
    assert "| top-1 (one) |" in render_grids(grids, "markdown")


def test_curves_have_a_line_per_model_and_hr_is_the_dashed_ceiling(results):
    (axes,) = draw_curves(results, 4.0).axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == MODELS
    assert lines["hr"].get_linestyle() == "--"
    for name, line in lines.items():
        expected = results.seen(name, 4.0).by_size()
        assert line.get_xdata().tolist() == list(expected)
        assert line.get_ydata().tolist() == pytest.approx(list(expected.values()))


def test_maps_share_their_colours(results):
    *maps, bar = draw_anchors(results, 8.0).axes
    assert [axes.get_title() for axes in maps] == MODELS
    assert bar.get_ylabel() == "top-1 accuracy"
    assert len({axes.get_images()[0].get_clim() for axes in maps}) == 1
    for axes in maps:
        shown = results.seen(axes.get_title(), 8.0).by_anchor()
        assert axes.get_images()[0].get_array().data == pytest.approx(shown)
        written = [text.get_text() for text in axes.texts]
        assert written == [f"{value:.2f}" for value in shown.flatten()]


def test_the_command(run, tmp_path):
    done = call("zoom", run.path, "--figures", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    assert "gain over bicubic" in done.stdout
    files = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert files == [
        f"made_x{scale}_{kind}.png" for scale in (4, 8) for kind in ("accuracy", "anchors")
    ]
    assert all(file in done.stdout for file in files)
    for file in files:
        assert (tmp_path / "figures" / file).read_bytes().startswith(b"\x89PNG")
    out = tmp_path / "zoom.md"
    assert call("zoom", run.path, "--format", "markdown", "-o", out).returncode == 0
    assert out.read_text().startswith("**made: x4")
    assert "gain over hr" in call("zoom", run.path, "--baseline", "hr", "--format", "csv").stdout


def test_the_command_refuses_in_one_line(run, tmp_path):
    assert "unknown model of the run 'lanczos'" in refused(
        "zoom", run.path, "--baseline", "lanczos"
    )
    assert "--output needs --format" in refused("zoom", run.path, "-o", tmp_path / "x")
    assert "is not a run" in refused("zoom", tmp_path)
    assert "has no zoomed views" in refused("zoom", run_of(tmp_path / "empty").path)
    (tmp_path / "file").write_text("x")
    assert "cannot write" in refused("zoom", run.path, "--figures", tmp_path / "file")
