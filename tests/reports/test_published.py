from frames import made_up_reference

from liif_bench.analysis.published import Comparison
from liif_bench.reports.published import published_grid

ROW = made_up_reference(values={2.0: 30.1, 3.0: 28.0, 4.0: 26.0})
OTHER = ROW.model_copy(
    update={"method": "again", "verified": False, "retrained": True, "note": "on a Tuesday"}
)


def test_each_value_has_its_line_with_ours_theirs_and_the_verdict():
    grid = published_grid("suite", [Comparison(ROW, 2.0, 30.1031), Comparison(ROW, 3.0, 28.5)], {})
    assert grid.rows == (
        ("set5", "psnr", "x2", "LIIF", "30.1031", "30.10", "+0.0031", "met"),
        ("set5", "psnr", "x3", "LIIF", "28.5000", "28.00", "+0.5000", "missed"),
    )
    assert grid.styles == {0: "green", 1: "bold red"}
    assert len(grid.columns) == len(grid.rows[0])


def test_what_was_not_run_is_named_once_with_its_scales():
    grid = published_grid(
        "suite",
        [
            Comparison(ROW, 2.0, None, "no LR files"),
            Comparison(ROW, 4.0, None, "no LR files"),
            Comparison(OTHER, 4.0, None, "no LR files"),
        ],
        {},
    )
    assert {row[-1] for row in grid.rows} == {"not run"}
    assert {row[4] for row in grid.rows} == {"–"}
    assert [note for note in grid.notes if note.startswith("not run")] == [
        "not run: set5 x2,x4: no LR files"
    ]


def test_a_missing_data_set_is_named_even_if_nothing_is_published_for_it():
    grid = published_grid("suite", [Comparison(ROW, 2.0, 30.1)], {"b100": "fetch it"})
    assert "not run: b100: fetch it" in grid.notes


def test_sources_say_what_has_to_be_known():
    notes = published_grid(
        "s", [Comparison(ROW, 2.0, 30.1), Comparison(OTHER, 2.0, 31.0)], {}
    ).notes
    assert "LIIF: a paper, Table 1" in notes
    assert "again: a paper, Table 1 (another training run; on a Tuesday)" in notes
    assert any(note.startswith("met, missed") for note in notes)
    assert any(note.startswith("near, far") for note in notes)
