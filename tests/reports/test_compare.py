import io
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from frames import made_up
from screens import assert_shown_whole

from liif_bench.analysis.compare import compare
from liif_bench.reports.compare import compare_csv, compare_grids
from liif_bench.reports.grids import render_grids

MODELS = {"bicubic": 0.0, "lanczos": 0.05, "liif-edsr": 2.0}


def frame(images, scales=(2, 4, 8, 30)):
    rng = np.random.default_rng(1)
    rows = []
    for number in range(images):
        for scale in scales:
            hard = rng.normal()
            for model, gain in MODELS.items():
                noise = rng.normal(scale=0.2)
                rows.append((f"i{number:03d}", scale, model, "psnr", 30 + hard + gain + noise))
                rows.append((f"i{number:03d}", scale, model, "lpips", 0.5 - 0.1 * gain + noise / 9))
                rows.append((f"i{number:03d}", scale, model, "ssim", 0.8 + 0.05 * gain))
    return made_up(rows)


@pytest.fixture(scope="module")
def comparison():
    (found,) = compare(frame(20))
    return found


@pytest.mark.parametrize("width", [80, 120])
def test_every_number_is_shown_whole(comparison, width):
    assert_shown_whole(compare_grids(comparison), width)


def test_there_is_a_table_for_each_question(comparison):
    assert [grid.title for grid in compare_grids(comparison)] == [
        "sample: difference from bicubic, 20 images",
        "sample: mean rank of 3 models",
        "sample: Pareto front of psnr and lpips",
        "sample: PSNR (dB) ↑, difference from bicubic, paired by image",
        "sample: LPIPS ↓, difference from bicubic, paired by image",
        "sample: SSIM ↑, difference from bicubic, paired by image",
    ]
    other = [grid.title for grid in compare_grids(comparison, ["psnr", "ssim"])]
    assert other[2] == "sample: Pareto front of psnr and ssim"
    (alone,) = compare(frame(20)[frame(20)["metric"] == "psnr"])
    assert not any("front" in grid.title for grid in compare_grids(alone))


def test_cells_show_the_analysis_numbers_and_marks_where_it_is_sure(comparison):
    cells = [cell for cell in comparison.cells if cell.metric == "psnr"]
    grid = compare_grids(comparison)[3]
    assert len(grid.rows) == len(cells)
    for number, (cell, row) in enumerate(zip(cells, grid.rows, strict=True)):
        assert row[2] == f"{cell.mean:.2f}"
        if cell.paired is None:
            assert row[3:] == ("baseline", "", "")
            continue
        estimate = cell.paired.difference
        numbers = f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
        assert row[3] == {True: f"▲ {numbers}", None: numbers}[cell.better]
        assert grid.styles.get(number) == {True: "green", None: None}[cell.better]
        assert row[5] == f"{cell.paired.detectable:.3f}"
        assert row[1] == cell.model + ("°" if cell.model == "liif-edsr" and cell.scale > 4 else "")
    assert sum("▲" in row[3] for row in grid.rows) >= 4


def test_in_and_out_of_distribution_stand_apart(comparison):
    grid = compare_grids(comparison)[0]
    assert grid.columns[2:] == ("in distribution", "out of distribution")
    assert "in distribution: x2, x4" in grid.notes
    assert "out of distribution: x8, x30" in grid.notes
    found = {(c.metric, c.model, c.regime): c for c in comparison.summaries}
    cell = found["psnr", "liif-edsr", "out"]
    assert f"{cell.paired.difference.mean:+.3f} [" in grid.rows[1][3]


def test_scales_of_a_regime_are_named_by_model_where_models_differ():
    records = frame(8, scales=(2, 4))
    wide = records["upsampler"] == "lanczos"
    records.loc[wide, "regime"] = np.where(records.loc[wide, "scale"] == 2, "out", "in")
    (found,) = compare(records)
    notes = compare_grids(found)[0].notes
    assert "in distribution: x4 (lanczos); x2, x4 (liif-edsr)" in notes
    assert "out of distribution: x2 (lanczos)" in notes


def test_with_few_images_it_says_that_nothing_can_be_marked_and_how_many_would_do():
    (few,) = compare(frame(6))
    grids = compare_grids(few)
    assert not any("▲" in text for grid in (grids[0], *grids[3:]) for r in grid.rows for text in r)
    (note,) = [note for note in grids[-1].notes if note.startswith("too few")]
    assert "on 6 images the test gives no p below 0.031, so that none of 24 cells" in note
    assert "10 images could" in note
    (enough,) = compare(frame(10))
    assert not any("too few" in note for grid in compare_grids(enough) for note in grid.notes)
    (fewer,) = compare(frame(9))
    assert any("too few" in note for note in compare_grids(fewer)[-1].notes)


def test_few_images_have_nothing_detectable():
    (few,) = compare(frame(5))
    assert {row[5] for row in compare_grids(few)[3].rows} == {"", "–"}


def test_infinite_and_missing_values_are_said():
    records = frame(12, scales=(2,))
    psnr = (records["metric"] == "psnr") & (records["upsampler"] == "liif-edsr")
    records.loc[psnr & (records["item"] == "i003"), "value"] = math.inf
    records.loc[psnr & (records["item"] == "i004"), ["value", "error"]] = [None, "broken"]
    (found,) = compare(records)
    grid = compare_grids(found)[3]
    assert grid.rows[2][2] == "inf"
    assert "+inf [+1." in grid.rows[2][3]
    assert "x2 liif-edsr: the difference is +infinity on 1 images, -infinity on 0" in grid.notes
    assert "some cells are of fewer images, 11 at the least" in grid.notes


def test_markdown_escapes_names_and_keeps_every_cell(comparison):
    records = frame(8, scales=(2,)).replace({"upsampler": {"lanczos": "a_b|<script>&%"}})
    (found,) = compare(records)
    text = render_grids(compare_grids(found), "markdown")
    assert "a\\_b\\|\\<script\\>\\&%" in text
    for line in text.splitlines():
        if line.startswith("| "):
            assert line.replace("\\|", "").count("|") in (5, 7, 4, 3)


def test_csv_has_every_number_unrounded(comparison):
    table = pd.read_csv(io.StringIO(compare_csv([comparison])))
    assert table.groupby("kind").size().to_dict() == {
        "cell": 36, "summary": 12, "rank": 45, "front": 12,
    }  # fmt: skip
    tested = table[(table["kind"] == "cell") & table["p"].notna()]
    cells = [cell for cell in comparison.cells if cell.p is not None]
    assert tested["p_holm"].to_numpy() == pytest.approx([cell.corrected for cell in cells])
    assert tested["low"].to_numpy() == pytest.approx([c.paired.difference.low for c in cells])
    words = {True: "better", False: "worse", None: "unsure"}
    assert tested["verdict"].tolist() == [words[cell.better] for cell in cells]
    front = table[table["kind"] == "front"]
    assert set(front["metric"]) == {"psnr,lpips"}
    assert front["resamples_on_front"].between(0, 1).all()


def test_decimals_can_be_asked_for(comparison):
    grid = compare_grids(comparison, decimals=1)[3]
    cell = next(c for c in comparison.cells if c.model == "liif-edsr")
    assert f"{cell.paired.difference.mean:+.1f} [" in grid.rows[2][3]
    assert grid.rows[2][2] == f"{cell.mean:.1f}"


def test_comparing_never_imports_torch_nor_what_is_slow():
    code = (
        "import sys, liif_bench.reports.compare, liif_bench.analysis.combine, liif_bench.suite,"
        " liif_bench.cli.compare;"
        "assert not {'torch', 'scipy', 'matplotlib', 'skimage'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
