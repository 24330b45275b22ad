"""``liif-bench`` and ``python -m liif_bench``."""

from __future__ import annotations

import os
import sys
from typing import cast

import typer

from liif_bench.cli import app
from liif_bench.errors import LiifBenchError

# typer carries its own copy of click since 0.26 and imports click before; either way its public
# BadParameter descends from the class of every error that a command line can hold.
_UsageError = cast("type[Exception]", typer.BadParameter.__mro__[2])


def main() -> None:
    """Run the command line: 0 done, 2 wrong usage or data (one line says what), 130 interrupted."""
    # By default OpenMP's threads spin while they wait for each other. On a machine that has other
    # work to do, that makes torch much slower (docs/performance.md has the figures). This
    # has to be said before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        status = app(prog_name="liif-bench", standalone_mode=False)
    except LiifBenchError as error:
        sys.exit(_complain(str(error)))
    except _UsageError as error:
        sys.exit(_complain(f"{_message(error)} Try 'liif-bench --help'."))
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    sys.exit(status if isinstance(status, int) else 0)


def _message(error: Exception) -> str:
    formatted = getattr(error, "format_message", lambda: str(error))()
    return " ".join(str(formatted).split())


def _complain(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
