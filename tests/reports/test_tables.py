import io
import math
import re
from html.parser import HTMLParser

import pandas as pd
import pytest
from frames import made_up, made_up_reference
from rich.console import Console

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import load_protocol
from liif_bench.reports.formats import print_tables, render
from liif_bench.reports.table_latex import render_latex
from liif_bench.reports.tables import build_tables, failure_lines

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


MODELS = {"bicubic": 0.5, "liif": 0.4, "zoo": 0.3}
HOSTILE = 'a|b_<script>&%$#{}~^\\"é'


def test_hostile_names_are_escaped_in_markdown_and_latex():
    records = made_up([("a", 2, HOSTILE, "psnr", 1.0), ("a", 2, "liif", "psnr", 2.0)])
    markdown = render(build_tables(records), "markdown")
    assert "a\\|b\\_\\<script\\>" in markdown
    latex = render_latex(build_tables(records))
    assert r"a\textbar{}b\_$<$script$>$\&\%\$\#\{\}\textasciitilde{}\textasciicircum{}" in latex
    html = render(build_tables(records), "html")
    assert "a|b_&lt;script&gt;&amp;%$#{}~^\\&quot;é" in html
    assert "<script" not in html


THREE = [
    *BOTH,
    ("a", 2, "zoo", "psnr", 32.0),
    ("b", 2, "zoo", "psnr", 34.0),
    ("a", 8, "zoo", "psnr", 24.0),
    ("b", 8, "zoo", "psnr", 25.0),
    *((item, 2, model, "lpips", value) for item in "ab" for model, value in MODELS.items()),
]


def marks(highlight):
    (table,) = build_tables(made_up(THREE), highlight=highlight)
    return {
        (section.metric, model, scale): "best" if cell.best else "second" if cell.second else ""
        for section in table.sections
        for model, row in section.rows
        for scale, cell in zip(table.scales, row, strict=True)
        if cell.best or cell.second
    }


def test_the_best_and_the_second_are_marked_as_asked():
    best = {("psnr", "liif", 2.0): "best", ("lpips", "zoo", 2.0): "best"}
    best |= {("psnr", model, 8.0): "best" for model in ("bicubic", "liif")}
    second = {("psnr", "zoo", 2.0): "second", ("lpips", "liif", 2.0): "second"}
    assert marks("second") == best | second  # at x8 there are but two values as printed
    assert marks("best") == best
    assert marks("none") == {}


def test_of_two_models_none_is_second():
    (table,) = build_tables(made_up(BOTH), highlight="second")
    assert not any(cell.second for _, cells in table.sections[0].rows for cell in cells)


def test_every_format_underlines_the_second():
    tables = build_tables(made_up(THREE), highlight="second")
    assert "| zoo | <ins>33.00</ins> | 24.50 |" in render(tables, "markdown")
    assert r" & zoo & \underline{33.00} & 24.50 \\" in render(tables, "latex")
    assert "<td><u>33.00</u></td><td>24.50</td>" in render(tables, "html")
    text = io.StringIO()
    print_tables(tables, Console(file=text, force_terminal=True, width=80))
    assert "\x1b[4m" in text.getvalue()


def test_the_layout_of_papers_has_a_table_per_metric_and_a_row_per_method():
    tables = build_tables(made_up(THREE), layout="paper", highlight="second")
    assert [table.title for table in tables] == [
        "sample, PSNR (dB) ↑: mean over 2 images, protocol p (h4sh)",
        "sample, LPIPS ↓: mean over 2 images, protocol p (h4sh)",
    ]
    text = render(tables, "markdown")
    assert "| Model | x2 (in) | x8 (out) |" in text
    assert "| liif | **34.00** | **25.50** |" in text
    latex = render(tables, "latex")
    assert latex.count("\\begin{tabular}{lrr}") == 2
    assert r"\cmidrule(lr){2-2} \cmidrule(lr){3-3}" in latex
    assert r"\caption{sample, PSNR (dB) $\uparrow$: mean over 2 images, protocol p (h4sh)}" in latex
    shown = io.StringIO()
    print_tables(tables, Console(file=shown, width=80))
    assert shown.getvalue().count("PSNR (dB)") == 1  # in the title alone


def test_every_image_is_shown_with_the_mean_below():
    (table,) = build_tables(made_up(BOTH), layout="per-image")
    assert table.title == "sample, PSNR (dB) ↑: each of 2 images, protocol p (h4sh)"
    assert [table.head_of(section) for section in table.sections] == ["a", "b", "mean"]
    shown = {
        (table.head_of(section), model): [section.show(cell) for cell in cells]
        for section in table.sections
        for model, cells in section.rows
    }
    assert shown["a", "liif"] == ["33.00", "25.00"]
    assert shown["b", "bicubic"] == ["32.00", "26.00"]
    assert shown["mean", "liif"] == ["34.00", "25.50"]
    assert table.notes == []
    assert "| b | bicubic | 32.00 | 26.00 |" in render([table], "markdown")
    frame = pd.read_csv(io.StringIO(render([table], "csv")))
    assert frame["item"].fillna("").tolist() == ["a"] * 4 + ["b"] * 4 + [""] * 4
    assert "item" not in pd.read_csv(io.StringIO(render(build_tables(made_up(BOTH)), "csv")))
    terminal = io.StringIO()
    print_tables([table], Console(file=terminal, width=80))
    assert re.search(r"\na\n  bicubic  30\.00", terminal.getvalue())


def test_an_image_without_a_value_is_a_dash_and_said():
    records = made_up([*BOTH, ("c", 2, "bicubic", "psnr", "broken"), ("c", 2, "liif", "psnr", 1.0)])
    (table,) = build_tables(records, layout="per-image")
    assert [section.show(section.rows[0][1][0]) for section in table.sections] == [
        "30.00", "32.00", "–", "31.00*",
    ]  # fmt: skip
    assert any(note.startswith("–: no value") for note in table.notes)


class Cells(HTMLParser):
    """The texts of a page's cells, row by row, and the tags it was made of."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.tags, self.open = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
            self.open = True

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self.open = False

    def handle_data(self, data):
        if self.open:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("layout", ["metrics", "paper", "per-image"])
def test_a_browser_reads_the_names_and_numbers_of_the_html_table(layout):
    records = made_up([(item, s, HOSTILE if m == "zoo" else m, k, v) for item, s, m, k, v in THREE])
    tables = build_tables(records, layout=layout)
    page = Cells(render(tables, "html"))
    assert set(page.tags).isdisjoint({"script", "link", "img", "iframe"})
    rows = iter(page.rows)
    for table in tables:
        groups, heads = next(rows), next(rows)
        assert [title for title in groups if title] == ["in distribution", "out of distribution"]
        assert heads == [*table.heads, *(f"×{scale:g}" for scale in table.scales)]
        for section in table.sections:
            for number, line in enumerate(section.lines(table.scales)):
                head = [] if layout == "paper" or number else [table.head_of(section)]
                assert next(rows) == [*head, line.name, *line.texts]
    assert next(rows, None) is None


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
