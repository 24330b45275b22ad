"""Text of others (names of files, messages, fields of files) made safe to print on one line."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Return text with every character written out as in Python that would not be seen as itself.

    Line breaks, escape sequences of terminals, marks that turn the direction of writing, and halves
    of surrogate pairs, which stand for bytes of a file's name that are not UTF-8.

    Args:
        text: Any.

    Returns:
        One line that every terminal shows as it stands, such as ``a\nb.png``.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _written_out(each) for each in text)


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
