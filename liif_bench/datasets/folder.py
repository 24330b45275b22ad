"""``folder:PATH``: every image of a folder, and of the folders in it, as HR."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from liif_bench.crops import INDEX
from liif_bench.datasets.base import Item
from liif_bench.datasets.root import find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.images import EXTENSIONS
from liif_bench.paths import text_of


def folder(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the images of a folder.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: Path of the folder.

    Returns:
        One item per image file, sorted by path; the name is the path within the folder.

    Raises:
        LiifBenchError: The folder is missing, empty, or holds no image.
    """
    found = find_folder(argument, root)
    items = tuple(Item(text_of(path.relative_to(found)), path) for path in image_files(found))
    check_names(items)
    return items


def check_names(items: Iterable[Item]) -> None:
    r"""Check that no two items have one name, as ``caf\xe9`` and ``é`` in Latin-1 would have.

    Raises:
        LiifBenchError: Two have; the message names both files.
    """
    found: dict[str, Path] = {}
    for item in items:
        if item.name in found:
            raise LiifBenchError(
                f"'{found[item.name]}' and '{item.hr_path}' have one name: rename one"
            )
        found[item.name] = item.hr_path


def image_files(path: Path, *, recursive: bool = True) -> list[Path]:
    """Return the image files of a folder, by suffix, sorted.

    Hidden ones are left out, and the example crops of runs that lie in the folder.

    Args:
        path: A folder that exists.
        recursive: Whether to look into the folders in it.

    Returns:
        At least one file.

    Raises:
        LiifBenchError: The folder is empty, cannot be read, or holds no image.
    """
    files = visible_files(path, recursive=recursive)
    if not files:
        raise LiifBenchError(f"folder '{path}' is empty")
    crops = {file.parent for file in files if file.name == INDEX}
    images = [file for file in files if is_image(file) and file.parent not in crops]
    if not images:
        kinds = ", ".join(sorted(EXTENSIONS))
        raise LiifBenchError(f"folder '{path}' holds no image ({kinds})")
    return images


def visible_files(path: Path, *, recursive: bool) -> list[Path]:
    """Return the files of a folder that are not hidden, sorted.

    Args:
        path: A folder that exists.
        recursive: Whether to look into the folders in it.

    Returns:
        The files, perhaps none.

    Raises:
        LiifBenchError: The folder cannot be read.
    """
    try:
        return sorted(
            file
            for file in (path.rglob("*") if recursive else path.iterdir())
            if file.is_file()
            and not any(part.startswith(".") for part in file.relative_to(path).parts)
        )
    except OSError as error:
        raise LiifBenchError(f"folder '{path}' cannot be read: {error.strerror}") from error


def is_image(path: Path) -> bool:
    """Whether a file is an image, going by its suffix."""
    return path.suffix.lower() in EXTENSIONS
