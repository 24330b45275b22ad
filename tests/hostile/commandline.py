"""The command line in this process: fast enough for thousands of calls."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout
from unittest import mock

from liif_bench.__main__ import main


def command(*arguments: str) -> tuple[int, str, str]:
    """Call liif-bench; returns its exit code and what it wrote to stdout and stderr."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)
    err = io.StringIO()
    code = 0
    with mock.patch.object(sys, "argv", ["liif-bench", *arguments]):
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 1
    return code, out.buffer.getvalue().decode("utf-8"), err.getvalue()
