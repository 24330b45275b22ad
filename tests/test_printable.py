import pytest
from hypothesis import given
from hypothesis import strategies as st

from liif_bench.errors import LiifBenchError, one_line
from liif_bench.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Füße x2 · 3,5 \\ 'ok'", "Füße x2 · 3,5 \\ 'ok'"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[2J\x07", "\\x1b[2J\\x07"),
        ("gnp.\u202eexe", "gnp.\\u202eexe"),
        ("\u2028\x85", "\\u2028\\x85"),
        ("\udce9t\udce9", "\\udce9t\\udce9"),
        ("\U000e0001", "\\U000e0001"),
    ],
)
def test_what_would_not_be_seen_as_itself_is_written_out(text, shown):
    assert printable(text) == shown


@given(st.text())
def test_any_text_becomes_one_line_that_can_be_written(text):
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown
    shown.encode()


def test_an_error_is_one_line_whatever_it_quotes():
    error = LiifBenchError("'a\nb\x1b[31m.png' does not exist")
    assert str(error) == "'a\\nb\\x1b[31m.png' does not exist"
    assert one_line(error) == str(error)
    assert one_line(ValueError("two\nlines\x1b[0m")) == "ValueError: two lines\\x1b[0m"
