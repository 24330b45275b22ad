"""SHA-256 of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from liif_bench.errors import LiifBenchError


def file_sha256(*paths: Path) -> str:
    """Return the SHA-256 of a file, or of several as if they were one, as hex digits.

    Raises:
        LiifBenchError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        try:
            with path.open("rb") as file:
                while block := file.read(1 << 20):
                    digest.update(block)
        except OSError as error:
            raise LiifBenchError(
                f"cannot read '{path}': {error.strerror}: check its rights"
            ) from error
    return digest.hexdigest()
