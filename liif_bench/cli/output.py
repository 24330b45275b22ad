"""How commands put text on the screen and into files."""

from __future__ import annotations

from pathlib import Path

from liif_bench.errors import LiifBenchError


def plain(text: str) -> str:
    """Return text that rich prints as it is, brackets and all; see `reports.escape.terminal`."""
    from liif_bench.reports.escape import terminal

    return terminal(text)


def put_text(text: str, path: Path | None) -> None:
    """Write text to a file, whole or not at all, or to the screen where there is no path.

    Raises:
        LiifBenchError: The file cannot be written.
    """
    from liif_bench.records import write_whole

    if path is None:
        print(text, end="")
        return
    content = text.encode(errors="backslashreplace")
    try:
        if _is_device(path):
            path.write_bytes(content)
        else:
            write_whole(path, content)
    except OSError as error:
        raise LiifBenchError(f"cannot write '{path}': {error.strerror}") from error


def _is_device(path: Path) -> bool:
    """Whether a path is written to as it is: a new file in its place would put an end to it."""
    return (path.exists() and not path.is_file()) or path.absolute().parts[1:2] in (
        ("dev",),
        ("proc",),
    )
