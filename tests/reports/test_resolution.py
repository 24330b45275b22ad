import subprocess
import sys

from liif_bench.analysis.resolution import Resolution
from liif_bench.reports.grids import render_grids
from liif_bench.reports.resolution import resolution_grids

HR = Resolution("scenes", "hr", {2.0: 0.6, 4.0: 0.6}, {2.0: 1.2, 4.0: 2.4}, 3)
BICUBIC = Resolution("scenes", "bicubic", {2.0: 0.2, 4.0: 0.1}, {2.0: 0.4, 4.0: 0.41}, 3)


def test_the_tables():
    per_lr, real = resolution_grids([HR, BICUBIC])
    assert per_lr.columns == ("model", "x2", "x4", "grows up to")
    assert per_lr.rows == (
        ("hr", "1.200", "2.400", "beyond x4"),
        ("bicubic", "0.400", "0.410", "x2"),
    )
    assert real.rows == (("hr", "2.00", "4.00"), ("bicubic", "0.67", "0.68"))
    assert "| bicubic | 0.400 | 0.410 | x2 |" in render_grids([per_lr], "markdown")


def test_without_hr_there_is_no_real_zoom():
    (grid,) = resolution_grids([BICUBIC])
    assert grid.rows == (("bicubic", "0.400", "0.410", "x2"),)


def test_a_scale_that_a_model_lacks_is_a_dash():
    one = Resolution("scenes", "one", {4.0: 0.1}, {4.0: 0.4}, 1)
    per_lr, real = resolution_grids([HR, one])
    assert per_lr.rows[1] == ("one", "–", "0.400", "–")
    assert real.rows[1] == ("one", "–", "0.67")


def test_what_reads_records_does_not_import_torch_or_scipy():
    code = (
        "import sys, liif_bench.reports.resolution;assert not {'torch', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
