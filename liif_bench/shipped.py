"""Where the data files that travel with the package are, and how TOML files are read."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from liif_bench.errors import LiifBenchError

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
    except tomllib.TOMLDecodeError as error:
        raise LiifBenchError(f"'{path}' is not valid TOML: {error}") from error


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
    """Put a validation error into one line: each wrong field, what is wrong, what came."""
    return "; ".join(
        f"{'.'.join(str(part) for part in item['loc']) or 'file'}: {item['msg']}"
        + ("" if item["type"] in _WITHOUT_INPUT else f" (got {item['input']!r})")
        for item in error.errors()
    )


_WITHOUT_INPUT = {"missing", "value_error"}
