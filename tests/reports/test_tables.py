import io
import math
import re

import pandas as pd
import pytest
from rich.console import Console

from liif_bench.errors import LiifBenchError
from liif_bench.records import COLUMNS, Run, to_frame
from liif_bench.reports.tables import (
    build_tables,
    failure_lines,
    print_tables,
    render,
    render_latex,
)


def make_run(rows):
    """A run in memory: rows of (item, scale, upsampler, metric, value or error text)."""
    frame = pd.DataFrame(
        [
            {
                "run": "r", "suite": "s", "suite_version": 1, "protocol": "p",
                "protocol_hash": "h4sh", "dataset": "sample", "item": item, "scale": float(scale),
                "lr_h": 1, "lr_w": 1, "hr_h": 2, "hr_w": 2,
                "regime": ("in" if scale <= 4 else "out") if upsampler == "liif" else None,
                "upsampler": upsampler, "weights_sha256": None, "metric": metric, "variant": "v",
                "higher_is_better": metric != "lpips",
                "value": None if isinstance(value, str) else value,
                "seconds": 0.1, "error": value if isinstance(value, str) else None,
            }
            for item, scale, upsampler, metric, value in rows
        ],
        columns=list(COLUMNS),
    )  # fmt: skip
    run = Run(path=None, manifest={})
    run.__dict__["records"] = frame.astype(to_frame([]).dtypes.to_dict())
    return run


BOTH = [
    ("a", 2, "bicubic", "psnr", 30.0),
    ("b", 2, "bicubic", "psnr", 32.0),
    ("a", 2, "liif", "psnr", 33.0),
    ("b", 2, "liif", "psnr", 35.0),
    ("a", 8, "bicubic", "psnr", 25.0),
    ("b", 8, "bicubic", "psnr", 26.0),
    ("a", 8, "liif", "psnr", 25.001),
    ("b", 8, "liif", "psnr", 26.001),
]


def cells(run, metric="psnr"):
    (table,) = build_tables(run)
    section = next(section for section in table.sections if section.metric == metric)
    return {
        (model, scale): (section.show(cell), cell.best)
        for model, row in section.rows
        for scale, cell in zip(table.scales, row, strict=True)
    }


def test_means_are_over_images_and_the_best_as_printed_is_marked():
    assert cells(make_run(BOTH)) == {
        ("bicubic", 2.0): ("31.00", False),
        ("bicubic", 8.0): ("25.50", False),  # equal to LIIF as printed: nobody is best
        ("liif", 2.0): ("34.00", True),
        ("liif", 8.0): ("25.50", False),
    }


def test_lower_is_better_for_a_distance():
    run = make_run([("a", 2, "bicubic", "lpips", 0.5), ("a", 2, "liif", "lpips", 0.4)])
    assert cells(run, "lpips")[("liif", 2.0)] == ("0.4000", True)


def test_scales_are_grouped_by_regime():
    (table,) = build_tables(make_run(BOTH))
    assert table.regimes == ("in", "out")
    assert table.groups() == [("in distribution", [0]), ("out of distribution", [1])]


def test_a_run_without_a_trained_model_has_no_regimes():
    (table,) = build_tables(make_run(BOTH[:2]))
    assert table.regimes == ("",)


def test_a_missing_value_is_a_dash_and_a_partial_mean_is_starred_and_never_best():
    rows = [*BOTH[:2], ("a", 2, "liif", "psnr", 40.0), ("b", 2, "liif", "psnr", "too small")]
    run = make_run([*rows, ("a", 8, "liif", "psnr", "boom"), ("a", 8, "bicubic", "psnr", 1.0)])
    got = cells(run)
    assert got[("liif", 2.0)] == ("40.00*", False)
    assert got[("liif", 8.0)] == ("–", False)
    (table,) = build_tables(run)
    assert len(table.notes) == 2


def test_infinity_is_shown_as_such():
    run = make_run([("a", 2, "liif", "psnr", math.inf), ("a", 2, "bicubic", "psnr", 9.0)])
    assert cells(run)[("liif", 2.0)] == ("inf", True)


def test_items_without_meaning_are_left_out_and_counted():
    run = make_run(
        [
            ("a", 2, "liif", "zoom-top1", 1.0),
            ("b", 2, "liif", "zoom-top1", "not applicable: the item has no label"),
            ("a", 2, "liif", "psnr", 30.0),
            ("b", 2, "liif", "psnr", 30.0),
        ]
    )
    assert cells(run, "zoom-top1")[("liif", 2.0)] == ("1.000", False)
    (table,) = build_tables(run)
    assert table.notes == ["Top-1 accuracy on zoomed crops: 1 of 2 images"]
    assert failure_lines(run) == []


def test_failures_are_named_once_per_item_and_reason():
    run = make_run(
        [
            *BOTH,
            ("c", 2, "liif", "psnr", "truncated"),
            ("c", 2, "bicubic", "psnr", "truncated"),
            ("c", 8, "liif", "psnr", "truncated"),
        ]
    )
    assert failure_lines(run) == ["sample: c x2,x8: truncated"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_table_fits_its_width_and_shows_every_number(width):
    rows = [
        ("a", scale, model, "psnr", 10.0 + scale)
        for scale in (2, 3, 4, 6, 8, 12, 18, 24, 30)
        for model in ("bicubic", "liif")
    ]
    text = io.StringIO()
    print_tables(make_run(rows), Console(file=text, width=width))
    lines = text.getvalue().splitlines()
    assert max(len(line) for line in lines if line.startswith(" ")) <= width
    for scale in (2, 3, 4, 6, 8, 12, 18, 24, 30):
        assert text.getvalue().count(f"{10 + scale}.00") == 2
    assert text.getvalue().count("PSNR (dB) ↑") == (3 if width == 40 else 1)  # blocks


def test_only_the_best_is_bold_and_no_number_is_dim():
    text = io.StringIO()
    print_tables(make_run(BOTH), Console(file=text, force_terminal=True, width=80))
    assert "\x1b[1m  34.00\x1b[0m" in text.getvalue()
    assert re.search(r"bicubic  31\.00\x1b\[2m  │\x1b\[0m  25\.50\n", text.getvalue())


def test_csv_keeps_every_digit():
    frame = pd.read_csv(io.StringIO(render(make_run(BOTH), "csv")))
    row = frame[(frame["upsampler"] == "liif") & (frame["scale"] == 8)].iloc[0]
    assert row["mean"] == pytest.approx(25.501, abs=1e-12)
    assert row["items"] == row["items_expected"] == 2


HOSTILE = 'a|b_<script>&%$#{}~^\\"é'


def test_hostile_names_are_escaped_in_markdown_and_latex():
    run = make_run([("a", 2, HOSTILE, "psnr", 1.0), ("a", 2, "liif", "psnr", 2.0)])
    markdown = render(run, "markdown")
    assert "a\\|b\\_\\<script\\>" in markdown
    latex = render_latex(build_tables(run))
    assert r"a|b\_$<$script$>$\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}" in latex


def test_latex_groups_the_scales_and_marks_the_best():
    latex = render(make_run(BOTH), "latex")
    assert r"\multicolumn{1}{c}{in distribution} & \multicolumn{1}{c}{out of distribution}" in latex
    assert r"\cmidrule(lr){3-3} \cmidrule(lr){4-4}" in latex
    assert r" & liif & \textbf{34.00} & 25.50 \\" in latex


def test_decimals_can_be_chosen():
    (table,) = build_tables(make_run(BOTH), decimals=4)
    assert table.sections[0].show(table.sections[0].rows[1][1][1]) == "25.5010"


def test_a_run_without_records_says_so():
    with pytest.raises(LiifBenchError, match="no records yet"):
        build_tables(make_run([]))
