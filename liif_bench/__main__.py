"""``liif-bench`` and ``python -m liif_bench``."""

from __future__ import annotations

import io
import os
import sys
from typing import cast

import typer

from liif_bench.cli import app
from liif_bench.errors import LiifBenchError, shorten
from liif_bench.printable import printable

# typer carries its own copy of click since 0.26 and imports click before; either way its public
# BadParameter descends from the class of every error that a command line can hold.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[2])


def main() -> None:
    """Run the command line: 0 done, 2 wrong usage or data (one line says what), 130 interrupted."""
    # By default OpenMP's threads spin while they wait for each other. On a machine that has other
    # work to do, that makes torch much slower (docs/performance.md has the figures). This
    # has to be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if isinstance(sys.stdout, io.TextIOWrapper):  # which may not know every letter of a name
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _check_arguments()
        status = app(prog_name="liif-bench", standalone_mode=False)
    except LiifBenchError as error:
        sys.exit(_complain(str(error)))
    except _UsageError as error:
        sys.exit(_complain(f"{_message(error)} Try 'liif-bench --help'."))
    except OSError as error:
        if isinstance(error, BrokenPipeError):
            sys.stderr.close()
            sys.exit(0)
        if error.filename is None:
            raise
        sys.exit(_complain(_about_file(error)))  # a name that is too long, a disk that is full
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _check_arguments() -> None:
    """Refuse arguments that are not UTF-8: names in a run's files have to be text.

    Raises:
        LiifBenchError: The message names the argument.
    """
    for argument in sys.argv[1:]:
        try:
            argument.encode()
        except UnicodeEncodeError as error:
            raise LiifBenchError(
                f"'{argument}' is not text in UTF-8: rename the file or folder"
            ) from error


def _message(error: Exception) -> str:
    formatted = getattr(error, "format_message", lambda: str(error))()
    return printable(" ".join(str(formatted).split()))


def _about_file(error: OSError) -> str:
    reason = error.strerror or type(error).__name__
    return printable(f"cannot use '{shorten(str(error.filename), 300)}': {reason}")


def _complain(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
