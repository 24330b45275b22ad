"""Text of others (names of files, models, notes) made safe for the languages of documents."""

from __future__ import annotations

import unicodedata
from html import escape as html_escape
from typing import TYPE_CHECKING

from rich.markup import escape

from liif_bench.printable import printable

if TYPE_CHECKING:
    import pandas as pd

_TEX = {
    "\\": "\\textbackslash{}",
    "↑": "$\\uparrow$",
    "↓": "$\\downarrow$",
    "–": "--",
    "†": "\\textdagger{}",
    "‡": "\\textdaggerdbl{}",
    "·": "$\\cdot$",
    "°": "$^\\circ$",
    "²": "$^2$",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "$<$",
    ">": "$>$",
    "|": "\\textbar{}",
    # a row that begins with one of these would be read as an argument of the \\ before it
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_LAST_LATIN = 0x17F


def terminal(text: str) -> str:
    """Return text that rich prints as it stands: no markup, no escape sequence, one line."""
    return escape(printable(text))


def html(text: str) -> str:
    """Return text for an element of HTML."""
    return html_escape(printable(text))


def csv_cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table whose texts are one line each, whatever reads it: a terminal, too."""
    return frame.map(lambda cell: printable(cell) if isinstance(cell, str) else cell)


def tex(text: str) -> str:
    """Return text for LaTeX.

    Letters beyond Latin, which a stock pdflatex stops at, become their code points in brackets.
    """
    return "".join(map(_tex, unicodedata.normalize("NFC", _one_line(text))))


def _tex(character: str) -> str:
    if character in _TEX:
        return _TEX[character]
    if ord(character) <= _LAST_LATIN:
        return character
    return f"{{[}}U+{ord(character):04X}{{]}}"


def markdown(text: str) -> str:
    """Return text for a cell, a heading or a line of Markdown."""
    text = _one_line(text)
    for character in "\\`*_|<>[]&~":
        text = text.replace(character, f"\\{character}")
    return text


def _one_line(text: str) -> str:
    """Put blanks in the place of line breaks and other control characters."""
    return "".join(" " if unicodedata.category(each) == "Cc" else each for each in text)
