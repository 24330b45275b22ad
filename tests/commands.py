"""The command line as a user meets it: real processes."""

import os
import subprocess
import sys


def call(*arguments, env=None, cwd=None):
    """Run liif-bench; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "liif_bench", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, "COLUMNS": "100", **(env or {})},
    )


def refused(*arguments, **options):
    """Run what must be refused: exit code 2 and one line on stderr, which is returned."""
    done = call(*arguments, **options)
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]
