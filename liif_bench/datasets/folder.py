"""``folder:PATH``: every image of a folder, and of the folders in it, as HR."""

from __future__ import annotations

from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.images import EXTENSIONS
from liif_bench.paths import user_path


def folder(argument: str) -> tuple[Item, ...]:
    """Collect the images of a folder.

    Args:
        argument: Path of the folder.

    Returns:
        One item per image file, sorted by path; the name is the path within the folder.

    Raises:
        LiifBenchError: The folder is missing, empty, or holds no image.
    """
    root = user_path(argument)
    return tuple(Item(path.relative_to(root).as_posix(), path) for path in image_files(root))


def image_files(root: Path) -> list[Path]:
    """Return the image files below a folder, by suffix, sorted; hidden ones are left out.

    Raises:
        LiifBenchError: The folder is missing, empty, or holds no image.
    """
    try:
        there = root.exists()
    except OSError as error:
        raise LiifBenchError(f"folder '{root}' cannot be opened: {error.strerror}") from error
    if not there:
        raise LiifBenchError(f"folder '{root}' does not exist")
    if not root.is_dir():
        raise LiifBenchError(f"'{root}' is a file; name the folder that holds the images")
    files = sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )
    if not files:
        raise LiifBenchError(f"folder '{root}' is empty")
    images = [path for path in files if path.suffix.lower() in EXTENSIONS]
    if not images:
        kinds = ", ".join(sorted(EXTENSIONS))
        raise LiifBenchError(f"folder '{root}' holds no image ({kinds})")
    return images
