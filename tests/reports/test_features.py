import subprocess
import sys

import pytest
from commands import call, refused
from features import made_up_features, run_of_features

from liif_bench.analysis.features import Way, feature_results
from liif_bench.reports.features import draw_fidelity, feature_grids
from liif_bench.reports.tables import style_of


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    tables = [made_up_features(encoder=name)[0] for name in ("one", "other@2")]
    return run_of_features(tmp_path_factory.mktemp("run") / "made", *tables)


@pytest.fixture(scope="module")
def results(run):
    return feature_results(run)


def row(grid, *names):
    (found,) = (each for each in grid.rows if each[:2] == names)
    return found[2:]


def test_tables_by_scale(results):
    grids = feature_grids(results, "bicubic")
    assert len(grids) == 2 * 4
    assert all(grid.columns[2:] == ("one", "other@2") for grid in grids)
    fidelity, cosine, over, gains = grids[:4]
    assert "x4, fidelity of features" in fidelity.title
    assert row(fidelity, "hr", "image") == ("inf", "inf")
    estimate = results[0].fidelity(4.0, Way("bicubic", "image"))
    expected = f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"
    assert row(fidelity, "bicubic", "image")[0] == expected
    assert row(fidelity, "hr", "shuffled")[0] == f"{results[0].shuffled(4.0):.2f}"
    assert row(cosine, "hr", "image") == ("1.00", "1.00")
    assert [each[:2] for each in over.rows] == [("bicubic", "bilinear"), ("better", "bilinear")]
    assert float(row(over, "better", "bilinear")[0].split()[0]) == pytest.approx(2, rel=0.1)
    assert [each[:2] for each in gains.rows] == [("better", "image")]


def test_no_gains_over_what_the_run_lacks(results):
    assert len(feature_grids(results, "lanczos")) == 2 * 3


def test_bars_are_the_fidelities(results):
    figure = draw_fidelity(results[0])
    assert [axes.get_title() for axes in figure.axes] == ["x4", "x8"]
    bars = {each.get_label(): each for each in figure.axes[0].containers}
    for name in ("bicubic", "better"):
        heights = [patch.get_height() for patch in bars[name].patches]
        expected = [
            results[0].fidelity(4.0, Way(name, route)).mean for route in ("image", "bilinear")
        ]
        assert heights == pytest.approx(expected)


def test_metrics_carry_their_encoder_in_the_title():
    assert style_of("feature-mse:vgg16@relu4_3").title == "MSE of features, vgg16@relu4_3"
    assert "diagnostic" in style_of("feature-jitter:x").title
    assert style_of("psnr").title == "PSNR (dB)"
    assert style_of("worst-pixel:x").title == "worst-pixel:x"


def test_the_command(run, tmp_path):
    done = call("features", run.path, "--figures", tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    assert "sharpening the image and then encoding" in done.stdout
    files = sorted(path.name for path in (tmp_path / "figures").iterdir())
    assert files == ["photos_one_fidelity.png", "photos_other-2_fidelity.png"]
    for file in files:
        assert (tmp_path / "figures" / file).read_bytes().startswith(b"\x89PNG")
        assert file in done.stdout
    out = tmp_path / "features.md"
    assert call("features", run.path, "--format", "markdown", "-o", out).returncode == 0
    assert out.read_text().startswith("**photos: x4, fidelity of features")
    assert "over that of hr" in call("features", run.path, "--baseline", "hr").stdout


def test_the_command_refuses_in_one_line(run, tmp_path):
    assert "unknown model of the run 'x'" in refused("features", run.path, "--baseline", "x")
    assert "--output needs --format" in refused("features", run.path, "-o", tmp_path / "x")
    assert "has no features" in refused("features", run_of_features(tmp_path / "empty").path)


def test_torch_is_not_loaded():
    code = (
        "import sys; import liif_bench.analysis.features, liif_bench.reports.features;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
