"""Where the data files that travel with the package are."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from liif_bench.errors import LiifBenchError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_toml", "suites_folder", "tomllib"]


def suites_folder() -> Path:
    """Return the folder of suites: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "suites"
    return inside if inside.is_dir() else package.parent / "suites"


def read_toml(path: Path) -> Mapping[str, Any]:
    """Read a TOML file.

    Args:
        path: The file.

    Returns:
        Its top-level table.

    Raises:
        LiifBenchError: The file cannot be read or is not TOML; the message names it.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LiifBenchError(f"cannot read '{path}': {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise LiifBenchError(f"'{path}' is not valid TOML: {error}") from error
