"""``imagenet-hard``: the images that classifiers fail on (arXiv 2304.05538), several labels each.

The `datasets` library reads them, from the hub or from a copy. Their bytes are written to a folder
as they are, once, with a CSV file as `labels:` takes; from then on the library is not needed.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from liif_bench.datasets.base import Item
from liif_bench.datasets.classes import imagenet_classes
from liif_bench.datasets.download import install, workspace
from liif_bench.datasets.folder import visible_files
from liif_bench.datasets.imagenet import interleaved
from liif_bench.datasets.labels import read_labels
from liif_bench.datasets.root import exists, find
from liif_bench.errors import DataUnavailableError, LiifBenchError, one_line
from liif_bench.paths import cache_root

NAME = "imagenet-hard"
REPOSITORY = "taesiri/imagenet-hard"
"""Where the authors publish it on the Hugging Face hub."""

SPLIT = "validation"
LISTING = "labels.csv"
"""File beside the images: the path and the labels of each."""

_SAVED = ("dataset_dict.json", "state.json")  # what `save_to_disk` leaves in a folder
_REMEDY = f"liif-bench data fetch {NAME}"


@dataclass(frozen=True)
class Placed:
    """Where the fetched set lies.

    Attributes:
        folder: The folder of the images.
        is_new: Whether it was fetched just now.
        aside: Where the folder went that was in its place; None if there was none.
    """

    folder: Path
    is_new: bool
    aside: Path | None = None


def imagenet_hard(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the images of ImageNet-Hard.

    Args:
        root: The data root, which holds the fetched set, and below which a relative path is looked
            for that is not found here.
        argument: Path of a copy: a folder by the `save_to_disk` of `datasets`, or Parquet files;
            "" for the fetched set.

    Returns:
        One item per image, named by its row, as `imagenet.interleaved` orders them.

    Raises:
        DataUnavailableError: The set is not there; the message says how to get it.
        LiifBenchError: The copy is missing, is none, or cannot be read or written out.
    """
    folder = _written_out(find(argument, root, "copy")) if argument else locate(root)
    return interleaved(read_labels(folder / LISTING))


def locate(root: Path) -> Path:
    """Return the folder of the fetched set.

    Args:
        root: The data root.

    Raises:
        DataUnavailableError: It is not there; the message says how to get it.
    """
    folder = root / NAME
    if not exists(folder / LISTING):
        raise DataUnavailableError(
            f"data set '{NAME}' is not below the data root ('{folder / LISTING}' is not there): run"
            f" '{_REMEDY}', or name a copy of it as '{NAME}:PATH'",
            _REMEDY,
        )
    return folder


def fetch(root: Path, *, force: bool = False) -> Placed:
    """Fetch the set from the hub, if it is not below the data root yet.

    Args:
        root: The data root; made if need be.
        force: Whether to fetch a set that is there, too; its folder is kept aside.

    Raises:
        DataUnavailableError: The hub cannot be reached; the message says what else can be done.
        LiifBenchError: Another folder is in the set's place; it holds something else than it
            should; the data root cannot be written to.
    """
    folder = root / NAME
    if not force:
        if exists(folder / LISTING):
            return Placed(folder, is_new=False)
        if exists(folder):
            raise LiifBenchError(
                f"'{folder}' is already there and holds no '{LISTING}': name it as"
                f" '{NAME}:{folder}' if it is a copy, move it away, or add --force"
            )
    aside = _write_out(_from_hub(), folder, "name another folder with --data-root")
    return Placed(folder, is_new=True, aside=aside)


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    """Rows as `datasets` gives them, and where they come from, for messages."""

    name: str
    rows: Any


def _from_hub() -> _Source:
    from datasets import load_dataset

    try:
        return _Source(REPOSITORY, load_dataset(REPOSITORY, split=SPLIT))
    except Exception as error:  # the library raises almost anything
        raise DataUnavailableError(
            f"{NAME}: cannot fetch '{REPOSITORY}' from the hub ({one_line(error)}): get its Parquet"
            f" files by hand and name their folder as '{NAME}:PATH'"
        ) from error


def _of_copy(path: Path) -> _Source:
    from datasets import load_dataset, load_from_disk

    saved = any((path / name).is_file() for name in _SAVED)
    tables = [str(each) for each in _files(path) if each.suffix == ".parquet"]
    if not saved and not tables:
        raise LiifBenchError(
            f"'{path}' is no copy of ImageNet-Hard: it holds neither Parquet files nor what the"
            " save_to_disk of 'datasets' writes"
        )
    try:
        if saved:
            return _Source(str(path), _split_of(load_from_disk(str(path))))
        # Streamed, since otherwise the library keeps a copy of its own.
        rows = load_dataset("parquet", data_files=tables, split="train", streaming=True)
        return _Source(str(path), rows)
    except Exception as error:  # the library raises almost anything
        raise LiifBenchError(f"cannot read the copy '{path}': {one_line(error)}") from error


def _split_of(saved: Any) -> Any:
    """Return the rows of what was saved: itself, or its split `validation`, or its only one."""
    from datasets import DatasetDict

    if not isinstance(saved, DatasetDict):
        return saved
    name = next(iter(saved)) if len(saved) == 1 else SPLIT
    if name not in saved:
        raise LiifBenchError(f"it has no split '{SPLIT}', but {', '.join(saved)}")
    return saved[name]


def _rows(source: _Source) -> Iterator[tuple[bytes, tuple[str, ...]]]:
    """Yield the file and the WordNet ids of each image."""
    from datasets import Image as ImageFeature

    rows = source.rows
    for name in ("image", "label"):
        if name not in (rows.column_names or ()):
            raise LiifBenchError(
                f"'{source.name}' is no copy of ImageNet-Hard: it has no column '{name}'"
            )
    number = 0
    try:
        narrow = rows.select_columns(["image", "label"])
        for row in narrow.cast_column("image", ImageFeature(decode=False)):
            yield _bytes(row["image"]), _wordnet_ids(row["label"])
            number += 1
    except Exception as error:  # the library raises almost anything
        raise LiifBenchError(
            f"cannot read row {number} of '{source.name}': {one_line(error)}"
        ) from error


def _bytes(image: Mapping[str, Any] | None) -> bytes:
    content = (image or {}).get("bytes")
    if not content:
        raise LiifBenchError("it holds no image: embed the images in the copy")
    return bytes(content)


def _wordnet_ids(label: Any) -> tuple[str, ...]:
    classes = imagenet_classes()
    indices = label if isinstance(label, list) else [label]
    for index in indices:
        if not isinstance(index, int) or not 0 <= index < len(classes):
            raise LiifBenchError(f"label {index!r} is no index of an ImageNet-1k class")
    return tuple(dict.fromkeys(classes[index] for index in indices))


# --- writing ------------------------------------------------------------------------------------


def _written_out(copy: Path) -> Path:
    """Return the folder in the cache with the images of a copy, written there if they are not."""
    place = cache_root() / NAME / _state(copy)
    if not exists(place):
        _write_out(_of_copy(copy), place, "set LIIF_BENCH_CACHE to another folder", once=True)
    return place


def _state(copy: Path) -> str:
    """Return 16 hex digits that change with the copy's place, and its files' sizes and times."""
    digest = hashlib.sha256()
    for file in _files(copy.resolve()):
        about = file.stat()
        digest.update(f"\0{file}\0{about.st_size}\0{about.st_mtime_ns}".encode())
    return digest.hexdigest()[:16]


def _files(path: Path) -> list[Path]:
    return visible_files(path, recursive=True) if path.is_dir() else [path]


def _write_out(source: _Source, place: Path, hint: str, *, once: bool = False) -> Path | None:
    """Write images and listing to a folder that is then whole, or to none at all.

    Args:
        source: What to write.
        place: The folder. One that is there is kept aside.
        hint: What to do where there is no room.
        once: Whether a folder that is there is left alone instead: another process was quicker.

    Returns:
        Where the folder went that was there.
    """
    try:
        with workspace(place.parent) as scratch:
            if once and place.exists():
                return None
            staged = scratch / f"{place.name}.part"
            staged.mkdir()
            _write(_rows(source), staged)
            return install(staged, place)
    except OSError as error:
        raise LiifBenchError(
            f"cannot write '{place}': {error.strerror or error}: make room there, or {hint}"
        ) from error


def _write(images: Iterable[tuple[bytes, tuple[str, ...]]], folder: Path) -> None:
    with (folder / LISTING).open("w", encoding="utf-8", newline="") as file:
        listing = csv.writer(file)
        listing.writerow(["path", "labels"])
        for number, (content, wnids) in enumerate(images):
            name = f"{number:05d}{_suffix(content)}"
            (folder / name).write_bytes(content)
            listing.writerow([name, ";".join(wnids)])


def _suffix(content: bytes) -> str:
    """Return how the name of an image file should end; what cannot be told is called PNG.

    It will be an error record then, as any file that cannot be decoded.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            kind = (image.format or "PNG").lower()
    except Exception:  # decoders raise almost anything on hostile bytes
        kind = "png"
    return f".{kind}" if kind in ("jpeg", "webp", "bmp", "tiff") else ".png"
