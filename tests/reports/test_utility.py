import subprocess
import sys

import numpy as np
from crops_runs import made_up_crops, run_of_crops

from liif_bench.analysis.utility import measure_utility, pools
from liif_bench.analysis.zoom import Estimate
from liif_bench.reports.grids import render_grids
from liif_bench.reports.utility import sentence, utility_grids


def test_the_table(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    pool = pools(run_of_crops(tmp_path, features, scores))[0]
    found = measure_utility(pool, seeds=4, resamples=4)
    (grid,) = utility_grids([found])
    assert grid.title == "crops, made, x4 and x8: macro-F1 on HR after training"
    assert grid.columns == ("added", "mean lpips", "macro-F1", "less random")
    rows = {row[0]: row[1:] for row in grid.rows}
    assert [*rows] == ["none", "top", "random", "bottom", "best", "worst", "real"]
    assert rows["none"][0] == rows["real"][0] == rows["random"][2] == "–"
    assert rows["top"][1] == f"{found.f1['top'].mean:.3f}"
    difference = found.differences["top"]
    assert rows["top"][2].split()[0] == f"{difference.mean:+.3f}"
    assert sum("better than random" in note or "worse" in note for note in grid.notes) >= 2
    assert any(note.startswith("48 images of 4 kinds (dogs, ") for note in grid.notes)
    assert any(note.startswith("bottom: ") and "100%" not in note for note in grid.notes)
    assert "| top |" in render_grids([grid], "markdown")


def test_sentences():
    assert (
        sentence("top", Estimate(0.1, 0.05, 0.15, 9))
        == "the top crops: better than random ones by 0.100 [+0.050, +0.150]"
    )
    assert (
        sentence("worst", Estimate(-0.1, -0.15, -0.05, 9))
        == "the worst crops of the same images: worse than random ones by 0.100 [-0.150, -0.050]"
    )
    said = sentence("none", Estimate(0.01, -0.186, 0.206, 9))
    assert said.startswith("no crops: inconclusive, +0.010 [-0.186, +0.206] holds 0;")
    assert "a true difference of 0.280 " in said


def test_what_reads_records_does_not_import_torch():
    code = "import sys, liif_bench.reports.utility; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
