import pytest
from commands import call, refused
from screens import assert_shown_whole
from views import made_up_augmented, made_up_views, run_of

from liif_bench.analysis.augment import augment_results
from liif_bench.reports.augment import augment_grids

ITEMS = [f"i{number:02d}" for number in range(12)]
MODELS = ["hr", "bicubic", "liif-edsr"]


@pytest.fixture
def run(tmp_path):
    for method, name in (("mean", "tta"), ("memo", "memo")):
        tables = [made_up_augmented(ITEMS, MODELS, method, scale=scale) for scale in (4.0, 8.0)]
        found = run_of(tmp_path / "run", *tables, name=name)
    return found


@pytest.fixture
def results(run):
    (found,) = augment_results(run)
    return found


def test_there_is_a_table_for_each_question(results):
    titles = [grid.title for grid in augment_grids(results, "bicubic")]
    assert titles == [
        f"made: x{scale}, test-time augmentation, {what}"
        for scale in (4, 8)
        for what in (
            "accuracy with 95 % intervals",
            "gain over bicubic, paired by image",
            "gain over the one crop of the same model, paired by image",
        )
    ]
    assert not any("over lanczos" in grid.title for grid in augment_grids(results, "lanczos"))


def test_cells_are_the_analysis_numbers(results):
    accuracy, over_bicubic, over_one, *_ = augment_grids(results, "bicubic")
    estimate = results.estimate("liif-edsr", 4.0, "memo", 1)
    assert accuracy.rows[2][0] == "top-1 (memo)"
    assert accuracy.rows[2][3] == (f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]")
    gain = results.gain_over("bicubic", "liif-edsr", 4.0, "mean", 1)
    assert over_bicubic.columns == ("measure", "hr", "p", "liif-edsr", "p")
    assert over_bicubic.rows[1][3].startswith(f"{gain.difference.mean:+.3f} [")
    assert over_bicubic.rows[1][4] == f"{gain.p_value:.3f}"
    assert [row[0] for row in over_one.rows] == [
        "top-1 (mean)", "top-1 (memo)", "top-5 (mean)", "top-5 (memo)",
    ]  # fmt: skip
    gain = results.gain_of("bicubic", 4.0, "mean", 1)
    assert over_one.rows[0][3].startswith(f"{gain.difference.mean:+.3f} [")


@pytest.mark.parametrize("width", [80, 120])
def test_every_number_is_shown_whole(results, width):
    assert_shown_whole(augment_grids(results, "bicubic"), width)


def test_images_that_a_model_lacks_are_told(tmp_path):
    table = made_up_augmented(ITEMS, ["bicubic"], "mean")
    other = made_up_augmented(ITEMS[:5], ["liif-edsr"], "mean")
    (results,) = augment_results(run_of(tmp_path / "run", table, other, name="tta"))
    notes = augment_grids(results, "bicubic")[0].notes
    assert notes[0] == "labelled images: 12"
    assert notes[-1] == "liif-edsr: 5 of 12 images; the run's records say why"


def test_the_command_prints_them_with_and_without_views(run, tmp_path):
    shown = call("zoom", run.path, "--format", "markdown")
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.count("test-time augmentation") == 6
    run_of(run.path, made_up_views(ITEMS, MODELS))
    both = call("zoom", run.path, "--format", "csv")
    assert "any view" in both.stdout
    assert "top-1 (memo)" in both.stdout
    assert "unknown model of the run 'bicubi'" in refused("zoom", run.path, "--baseline", "bicubi")
