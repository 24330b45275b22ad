import csv
import io

import pytest
from rich.console import Console

from liif_bench.reports.grids import Grid, print_grids, render_grids

WIDE = Grid(
    "wide",
    ("name", *(f"x{n}" for n in range(12))),
    tuple((f"row {r}", *(f"{100 + 12 * r + n}.12345" for n in range(12))) for r in range(2)),
    unit=2,
    notes=("a note",),
)


def printed(grid, width):
    text = io.StringIO()
    print_grids([grid], Console(file=text, width=width))
    return text.getvalue()


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_every_number_is_shown_whole_whatever_the_width(width):
    text = printed(WIDE, width)
    assert max(map(len, text.splitlines())) <= width
    for row in WIDE.rows:
        for number in row[1:]:
            assert text.count(number) == 1


def test_columns_that_belong_together_stay_together():
    for block in printed(WIDE, 40).split("name")[1:]:
        heads = block.splitlines()[0].split()
        assert len(heads) % 2 == 0
        assert all(int(head[1:]) % 2 == 0 for head in heads[::2])


def test_one_block_where_all_fits():
    assert printed(WIDE, 200).count("name") == 1
    assert printed(WIDE, 40).count("name") > 1


def test_long_names_are_folded_before_numbers_are_parted():
    grid = Grid("g", ("method", "ours", "published"), (("a " * 40, "1.0", "2.0"),))
    text = printed(grid, 60)
    assert text.count("method") == 1
    assert text.replace("\n", "").count("a ") >= 40


def test_brackets_in_names_are_text():
    assert "[bold]x[/]" in printed(Grid("[red]t", ("n",), (("[bold]x[/]",),)), 80)


def test_notes_alone():
    text = printed(Grid("why", (), (), notes=("because.",)), 80)
    assert text.split() == ["why", "-", "because."]


def test_markdown_escapes_and_aligns():
    text = render_grids([Grid("t|", ("a_b", "n"), (("x|y", "1"),), notes=("see *",))], "markdown")
    assert text == "**t\\|**\n\n| a\\_b | n |\n|---|---:|\n| x\\|y | 1 |\n\n- see \\*\n"


def test_csv_has_the_table_in_each_line():
    rows = list(csv.reader(io.StringIO(render_grids([WIDE, Grid("none", (), ())], "csv"))))
    assert rows[0][:3] == ["table", "name", "x0"]
    assert rows[1][:3] == ["wide", "row 0", "100.12345"]
    assert len(rows) == 3


def test_escape_sequences_and_line_breaks_of_names_do_not_reach_the_terminal():
    text = printed(Grid("ti\ntle", ("na\x1b[2Jme", "x2"), (("a\nb\x1b]0;t\x07", "1"),)), 80)
    assert "\x1b" not in text
    assert "\x07" not in text
    assert "a\\nb\\x1b]0;t\\x07" in text
    assert text.splitlines()[0] == "ti\\ntle"


def test_every_line_of_csv_is_a_row_whatever_names_hold():
    grid = Grid("t\n", ("name", "x2"), (("a\rb\x1b[2J", "1"), ("c", "2")))
    rows = list(csv.reader(io.StringIO(render_grids([grid], "csv"))))
    assert rows == [["table", "name", "x2"], ["t\\n", "a\\rb\\x1b[2J", "1"], ["t\\n", "c", "2"]]
