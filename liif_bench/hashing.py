"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from liif_bench.errors import LiifBenchError


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file as hex digits.

    Raises:
        LiifBenchError: The file cannot be read.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.sha256()
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise LiifBenchError(f"cannot read '{path}': {error.strerror}: check its rights") from error
    return digest.hexdigest()
