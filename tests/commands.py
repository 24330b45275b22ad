"""The command line as a user meets it: by its entry point, or as a process of its own."""

import os
import subprocess
import sys
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from liif_bench.__main__ import main

_QUIET = (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning)
_WIDTH = {"COLUMNS": "100"}


def call(*arguments, env=None, cwd=None):
    """Run liif-bench as `call_process` does; in this process, if its environment can be the same.

    Starting Python and importing torch takes longer than most of what the tests ask for.
    """
    if env:
        return call_process(*arguments, env=env, cwd=cwd)
    argv = ["liif-bench", *map(str, arguments)]
    out, err = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(err), _as_a_process(argv, cwd):
        try:
            main()
        except SystemExit as ended:
            code = ended.code
    return subprocess.CompletedProcess(argv, code, out.getvalue(), err.getvalue())


def call_process(*arguments, env=None, cwd=None):
    """Run liif-bench in a process of its own; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "liif_bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **_WIDTH, **(env or {})},
    )


def refused(*arguments, how=call, **options):
    """Run what must be refused: exit code 2 and one line on stderr, which is returned."""
    done = how(*arguments, **options)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


@contextmanager
def _as_a_process(argv, cwd):
    """Arguments, folder, width and warnings as a new process has them, and afterwards no more."""
    before = Path.cwd(), sys.argv, dict(os.environ)
    with warnings.catch_warnings():  # pytest keeps them; a user sees them on standard error
        warnings.simplefilter("default")
        for kind in _QUIET:
            warnings.simplefilter("ignore", kind)
        warnings.showwarning = _show
        try:
            os.chdir(cwd or before[0])
            sys.argv = argv
            os.environ.update(_WIDTH)
            yield
        finally:
            os.chdir(before[0])
            sys.argv = before[1]
            os.environ.clear()
            os.environ.update(before[2])


def _show(message, category, filename, lineno, file=None, line=None):
    sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))
