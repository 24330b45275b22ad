"""Where the data files that travel with the package are, and how TOML files are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from liif_bench.errors import LiifBenchError, shorten

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["read_toml", "suites_folder", "tomllib", "validate_file"]

Model = TypeVar("Model", bound=BaseModel)


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
    except ValueError as error:  # a TOMLDecodeError, or a number of thousands of digits
        raise LiifBenchError(f"'{path}' is not valid TOML: {error}") from error
    except RecursionError as error:
        raise LiifBenchError(f"'{path}' is not valid TOML: it is nested too deeply") from error


def validate_file(kind: type[Model], path: Path, content: Mapping[str, Any], what: str) -> Model:
    """Check the content of a file against a schema.

    Args:
        kind: The schema.
        path: The file, for the message.
        content: What it holds.
        what: What the file is, for the message.

    Returns:
        The checked content.

    Raises:
        LiifBenchError: Every wrong field in one line that names the file.
    """
    try:
        return kind.model_validate(dict(content))
    except ValidationError as error:
        raise LiifBenchError(f"{what} '{path}': {describe_invalid(error)}") from error


def describe_invalid(error: ValidationError) -> str:
    """Put a validation error into one line: each wrong field, what is wrong, what came.

    Fields and values are shortened, and of very many wrong fields the first are told.
    """
    wrong = error.errors()
    told = [
        shorten(".".join(str(part) for part in item["loc"]) or "file", _MOST_SHOWN)
        + f": {item['msg']}"
        + ("" if item["type"] in _WITHOUT_INPUT else f" (got {_shown(item['input'])})")
        for item in wrong[:_MOST_FIELDS]
    ]
    more = len(wrong) - len(told)
    return "; ".join(told + ([f"and {more} more"] if more else []))


def _shown(value: object) -> str:
    try:
        return shorten(repr(value), _MOST_SHOWN)
    except ValueError:  # a number of more digits than Python writes out
        return "a number of thousands of digits"


_MOST_SHOWN = 200  # characters of a field or a value
_MOST_FIELDS = 20

_WITHOUT_INPUT = {"missing", "value_error"}
