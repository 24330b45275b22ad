import io
import math
import re

import pandas as pd
import pytest
from frames import made_up, made_up_reference
from rich.console import Console

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import load_protocol
from liif_bench.reports.tables import (
    build_tables,
    failure_lines,
    print_tables,
    render,
    render_latex,
)

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


def cells(records, metric="psnr"):
    (table,) = build_tables(records)
    section = next(section for section in table.sections if section.metric == metric)
    return {
        (model, scale): (section.show(cell), cell.best)
        for model, row in section.rows
        for scale, cell in zip(table.scales, row, strict=True)
    }


def test_means_are_over_images_and_the_best_as_printed_is_marked():
    assert cells(made_up(BOTH)) == {
        ("bicubic", 2.0): ("31.00", False),
        ("bicubic", 8.0): ("25.50", False),  # equal to LIIF as printed: nobody is best
        ("liif", 2.0): ("34.00", True),
        ("liif", 8.0): ("25.50", False),
    }


def test_lower_is_better_for_a_distance():
    records = made_up([("a", 2, "bicubic", "lpips", 0.5), ("a", 2, "liif", "lpips", 0.4)])
    assert cells(records, "lpips")[("liif", 2.0)] == ("0.4000", True)


def test_scales_are_grouped_by_regime():
    (table,) = build_tables(made_up(BOTH))
    assert table.regimes == ("in", "out")
    assert table.groups() == [("in distribution", [0]), ("out of distribution", [1])]


def test_where_regimes_are_mixed_the_models_that_were_not_trained_there_are_marked():
    records = made_up(BOTH)
    records.loc[records["upsampler"] == "bicubic", "regime"] = "out"  # as a x4 network at x2
    (table,) = build_tables(records)
    assert table.regimes == ("mixed", "out")
    lines = {line.name: line.texts for line in table.sections[0].lines(table.scales)}
    assert lines == {"bicubic": ("31.00°", "25.50"), "liif": ("34.00", "25.50")}
    assert "°: this model was not trained on this scale, others were" in table.notes
    assert "$^\\circ$" in render_latex([table])
    rows = pd.read_csv(io.StringIO(render([table], "csv")))
    assert rows.set_index(["upsampler", "scale"])["regime"].to_dict() == {
        ("bicubic", 2.0): "out",
        ("bicubic", 8.0): "out",
        ("liif", 2.0): "in",
        ("liif", 8.0): "out",
    }


def test_a_run_without_a_trained_model_has_no_regimes():
    (table,) = build_tables(made_up(BOTH[:2]))
    assert table.regimes == ("",)


def test_a_missing_value_is_a_dash_and_a_partial_mean_is_starred_and_never_best():
    rows = [*BOTH[:2], ("a", 2, "liif", "psnr", 40.0), ("b", 2, "liif", "psnr", "too small")]
    records = made_up([*rows, ("a", 8, "liif", "psnr", "boom"), ("a", 8, "bicubic", "psnr", 1.0)])
    got = cells(records)
    assert got[("liif", 2.0)] == ("40.00*", False)
    assert got[("liif", 8.0)] == ("–", False)
    (table,) = build_tables(records)
    assert len(table.notes) == 2


def test_infinity_is_shown_as_such():
    records = made_up([("a", 2, "liif", "psnr", math.inf), ("a", 2, "bicubic", "psnr", 9.0)])
    assert cells(records)[("liif", 2.0)] == ("inf", True)


def test_items_without_meaning_are_left_out_and_counted():
    records = made_up(
        [
            ("a", 2, "liif", "zoom-top1", 1.0),
            ("b", 2, "liif", "zoom-top1", "not applicable: the item has no label"),
            ("a", 2, "liif", "psnr", 30.0),
            ("b", 2, "liif", "psnr", 30.0),
        ]
    )
    assert cells(records, "zoom-top1")[("liif", 2.0)] == ("1.000", False)
    (table,) = build_tables(records)
    assert table.notes == ["Top-1 accuracy on zoomed crops: 1 of 2 images"]
    assert failure_lines(records) == []


def test_failures_are_named_once_per_item_and_reason():
    records = made_up(
        [
            *BOTH,
            ("c", 2, "liif", "psnr", "truncated"),
            ("c", 2, "bicubic", "psnr", "truncated"),
            ("c", 8, "liif", "psnr", "truncated"),
        ]
    )
    assert failure_lines(records) == ["sample: c x2,x8: truncated"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_terminal_table_fits_its_width_and_shows_every_number(width):
    rows = [
        ("a", scale, model, "psnr", 10.0 + scale)
        for scale in (2, 3, 4, 6, 8, 12, 18, 24, 30)
        for model in ("bicubic", "liif")
    ]
    text = io.StringIO()
    print_tables(build_tables(made_up(rows)), Console(file=text, width=width))
    lines = text.getvalue().splitlines()
    assert max(len(line) for line in lines if line.startswith(" ")) <= width
    for scale in (2, 3, 4, 6, 8, 12, 18, 24, 30):
        assert text.getvalue().count(f"{10 + scale}.00") == 2
    assert text.getvalue().count("PSNR (dB) ↑") == (3 if width == 40 else 1)  # blocks


def test_only_the_best_is_bold_and_no_number_is_dim():
    text = io.StringIO()
    print_tables(build_tables(made_up(BOTH)), Console(file=text, force_terminal=True, width=80))
    assert "\x1b[1m  34.00\x1b[0m" in text.getvalue()
    assert re.search(r"bicubic  31\.00\x1b\[2m  │\x1b\[0m  25\.50\n", text.getvalue())


def test_csv_keeps_every_digit():
    frame = pd.read_csv(io.StringIO(render(build_tables(made_up(BOTH)), "csv")))
    row = frame[(frame["upsampler"] == "liif") & (frame["scale"] == 8)].iloc[0]
    assert row["mean"] == pytest.approx(25.501, abs=1e-12)
    assert row["items"] == row["items_expected"] == 2


HOSTILE = 'a|b_<script>&%$#{}~^\\"é'


def test_hostile_names_are_escaped_in_markdown_and_latex():
    records = made_up([("a", 2, HOSTILE, "psnr", 1.0), ("a", 2, "liif", "psnr", 2.0)])
    markdown = render(build_tables(records), "markdown")
    assert "a\\|b\\_\\<script\\>" in markdown
    latex = render_latex(build_tables(records))
    assert r"a|b\_$<$script$>$\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}" in latex


def test_latex_groups_the_scales_and_marks_the_best():
    latex = render(build_tables(made_up(BOTH)), "latex")
    assert r"\multicolumn{1}{c}{in distribution} & \multicolumn{1}{c}{out of distribution}" in latex
    assert r"\cmidrule(lr){3-3} \cmidrule(lr){4-4}" in latex
    assert r" & liif & \textbf{34.00} & 25.50 \\" in latex


def test_decimals_can_be_chosen():
    (table,) = build_tables(made_up(BOTH), decimals=4)
    assert table.sections[0].show(table.sections[0].rows[1][1][1]) == "25.5010"


def test_a_run_without_records_says_so():
    with pytest.raises(LiifBenchError, match="no records yet"):
        build_tables(made_up([]))


PUBLISHED = made_up_reference(
    method="Paper's own",
    upsampler="liif",
    dataset="sample",
    protocol="liif-div2k",
    given_scales=(2.0,),
    source="arXiv 1234.5678, Table 9",
    verified=False,
    values={2.0: 99.9, 8.0: 98.7, 30.0: 1.0},
)


@pytest.fixture
def known():
    """Records under the protocol of the published row, LR at x2 and x8 by the generator."""
    return made_up(BOTH, protocol="liif-div2k", protocol_hash=load_protocol("liif-div2k").hash)


class TestPublishedRows:
    def test_they_stand_below_the_measured_ones_and_win_nothing(self, known):
        (table,) = build_tables(known, references=[PUBLISHED])
        (section,) = table.sections
        *measured, published = section.lines(table.scales)
        assert [line.name for line in measured] == ["bicubic", "liif"]
        assert (published.name, published.published) == ("† Paper's own", True)
        assert published.texts == ("99.90‡", "98.70")  # at x2 its LR came from files
        assert published.best == (False, False)
        assert measured[1].best == (True, False)

    def test_notes_give_the_source_and_what_differs(self, known):
        (table,) = build_tables(known, references=[PUBLISHED])
        assert table.notes == [
            "† Paper's own: published, not measured here; arXiv 1234.5678, Table 9;"
            " protocol liif-div2k, not confirmed independently",
            "‡: its LR was made otherwise than LR here",
        ]

    @pytest.mark.parametrize(
        "other",
        [
            {"dataset": "set5"},
            {"metric": "ssim"},
            {"protocol": "liif-benchmark"},
            {"protocol": "unstated"},
            {"values": {3.0: 30.0}},
        ],
    )
    def test_rows_about_something_else_are_left_out(self, known, other):
        (table,) = build_tables(known, references=[PUBLISHED.model_copy(update=other)])
        assert table.sections[0].published == ()

    def test_other_protocols_only_when_insisted_on(self, known):
        row = PUBLISHED.model_copy(update={"protocol": "unstated"})
        (table,) = build_tables(known, references=[row], across_protocols=True)
        (shown,) = table.sections[0].published
        assert shown.show(8.0) == "98.70‡"  # nobody knows how its LR was made

    def test_csv_names_the_source_and_keeps_them_apart(self, known):
        frame = pd.read_csv(io.StringIO(render(build_tables(known, references=[PUBLISHED]), "csv")))
        published = frame[frame["published_in"].notna()]
        assert published["mean"].tolist() == [99.9, 98.7]
        assert set(published["published_in"]) == {"arXiv 1234.5678, Table 9"}
        assert published["items"].isna().all()
        assert len(frame) == 6

    def test_markdown_latex_and_terminal_mark_them(self, known):
        tables = build_tables(known, references=[PUBLISHED])
        assert "|  | *† Paper's own* | *99.90‡* | *98.70* |" in render(tables, "markdown")
        latex = render(tables, "latex")
        assert (
            r" & \textit{\textdagger{} Paper's own} & \textit{99.90\textdaggerdbl{}}"
            r" & \textit{98.70} \\" in latex
        )
        text = io.StringIO()
        print_tables(tables, Console(file=text, width=80))
        assert re.search(r"† Paper's own  99\.90‡  │   98\.70\n", text.getvalue())


def test_records_of_two_protocols_are_never_averaged():
    both = pd.concat([made_up(BOTH), made_up(BOTH, protocol_hash="other")])
    with pytest.raises(LiifBenchError, match="protocols h4sh and other: they cannot be averaged"):
        build_tables(both)
