import string

import pytest

from liif_bench.reports.escape import markdown, tex


def test_every_printable_character_is_safe_in_latex():
    for character in string.punctuation:
        escaped = tex(character)
        if character in "\\{}$&#^_~%[]*<>|":
            assert escaped != character
        else:
            assert escaped == character
    text = tex(string.printable)
    depth = 0
    for place, character in enumerate(text):
        if character in "{}" and text[place - 1] != "\\":
            depth += 1 if character == "{" else -1
            assert depth >= 0
    assert depth == 0


def test_a_row_never_begins_with_what_the_line_break_before_it_would_take():
    assert tex("[x]*") == "{[}x{]}{*}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é", "é"),
        ("e\u0301", "é"),  # two code points that are one letter
        ("ł–·²", "ł--$\\cdot$$^2$"),
        ("图像", "{[}U+56FE{]}{[}U+50CF{]}"),
        ("a\nb\tc", "a b c"),
    ],
)
def test_letters_beyond_latin_do_not_stop_latex(text, expected):
    assert tex(text) == expected


def test_markdown_has_no_markup_left():
    assert markdown("a|b*c_d`e<f>[g]&h~i\\") == "a\\|b\\*c\\_d\\`e\\<f\\>\\[g\\]\\&h\\~i\\\\"
    assert markdown("two\nlines 图像") == "two lines 图像"
