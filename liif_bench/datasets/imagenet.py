"""``imagenet:PATH``: images whose folder or file name says which ImageNet class they show.

=======  ===========================================  =============================
layout   files                                        item
=======  ===========================================  =============================
folders  ``n01440764/ILSVRC2012_val_00000293.JPEG``,  ``n01440764_ILSVRC2012_...``,
         ``n01440764/n01440764_10026.JPEG``           ``n01440764_10026.JPEG``
flat     ``n01440764_tench.JPEG``                     ``n01440764_tench.JPEG``
=======  ===========================================  =============================

An image has one name in either layout. The files are listed, and not looked at.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.datasets.classes import is_class
from liif_bench.datasets.folder import is_image
from liif_bench.datasets.root import exists, find_folder
from liif_bench.errors import DataUnavailableError, LiifBenchError
from liif_bench.images import EXTENSIONS
from liif_bench.paths import text_of

SAMPLE_FOLDER = "imagenet_sample"
"""Where `imagenet-sample` is looked for below the data root."""


def imagenet(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the images of a folder whose names tell their classes.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: Path of the folder.

    Returns:
        As `read_imagenet`.

    Raises:
        LiifBenchError: As `read_imagenet`, or the folder does not exist.
    """
    return read_imagenet(find_folder(argument, root))


def imagenet_sample(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the user's own sample of ImageNet: the folder `imagenet_sample` of the data root.

    Args:
        root: The data root.
        argument: Not used.

    Returns:
        As `read_imagenet`.

    Raises:
        DataUnavailableError: The folder is not there; the message says how to make one.
        LiifBenchError: As `read_imagenet`.
    """
    del argument
    folder = root / SAMPLE_FOLDER
    if not exists(folder):
        raise DataUnavailableError(
            f"data set 'imagenet-sample' is a sample of your own, and '{folder}' is not there: put"
            " ImageNet images there, named by WordNet id as n01440764_tench.JPEG, or name a folder"
            " of them as 'imagenet:PATH'"
        )
    return read_imagenet(folder)


def read_imagenet(folder: Path) -> tuple[Item, ...]:
    """Collect the images of a folder, in a folder for each class or all in one.

    Args:
        folder: A folder that exists.

    Returns:
        One item per image, with one label each, as `interleaved` orders them.

    Raises:
        LiifBenchError: The folder mixes the layouts, holds a name that tells no class of
            ImageNet-1k, or holds no image. The message names the file.
    """
    folders, images = _content(folder)
    if folders and images:
        raise LiifBenchError(
            f"'{folder}' mixes layouts, with the folder '{folders[0].name}' and the image"
            f" '{images[0].name}': keep either a folder for each class or images named by class"
        )
    items = [item for each in folders for item in _of_class(each)] + [
        _flat(each) for each in images
    ]
    if not items:
        raise LiifBenchError(f"folder '{folder}' holds no image ({', '.join(sorted(EXTENSIONS))})")
    return interleaved(items)


def interleaved(items: Iterable[Item]) -> tuple[Item, ...]:
    """Order items so that the first N of them, for any N, are spread over all classes.

    They come in rounds: one of each class, then the second of each, and so on, by name. In a round
    the classes come as in the van der Corput sequence: sorted, numbered from 0, and ordered by the
    bits of the number read backwards. WordNet ids that are close are animals of one kind, say, and
    this takes them from all over the list.

    Args:
        items: Any; of an item with several labels the first is its class.

    Returns:
        The same items.
    """
    classes: dict[tuple[str, ...], list[Item]] = defaultdict(list)
    for item in items:
        classes[item.labels[:1]].append(item)
    members = [sorted(classes[label], key=lambda item: item.name) for label in sorted(classes)]
    digits = len(members).bit_length()
    spread = sorted(range(len(members)), key=lambda number: f"{number:0{digits}b}"[::-1])
    rounds = zip_longest(*(members[number] for number in spread))
    return tuple(item for each in rounds for item in each if item is not None)


def _of_class(folder: Path) -> Iterator[Item]:
    wnid = folder.name
    if not is_class(wnid):
        raise LiifBenchError(
            f"folder '{folder}' is not named by the WordNet id of an ImageNet-1k class, such as"
            " n01440764: name the folder that holds only such folders, or use 'folder:' to do"
            " without labels"
        )
    folders, images = _content(folder)
    if folders:
        raise LiifBenchError(
            f"'{folders[0]}' is a folder in the folder of a class: put its images into '{folder}'"
        )
    for path in images:
        name = text_of(Path(path.name))
        yield Item(name if name.startswith(f"{wnid}_") else f"{wnid}_{name}", path, labels=(wnid,))


def _flat(path: Path) -> Item:
    wnid, bar, _ = path.name.partition("_")
    if not bar or not is_class(wnid):
        raise LiifBenchError(
            f"'{path}' has no WordNet id of an ImageNet-1k class in front, as n01440764_tench.JPEG"
            " has: rename it, or use 'labels:' with a CSV file, or 'folder:' to do without labels"
        )
    return Item(text_of(Path(path.name)), path, labels=(wnid,))


def _content(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the folders and the images of a folder that are not hidden, sorted."""
    folders, images = [], []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                path = folder / entry.name
                if entry.is_dir():
                    folders.append(path)
                elif is_image(path) and entry.is_file():
                    images.append(path)
    except OSError as error:
        raise LiifBenchError(f"folder '{folder}' cannot be read: {error.strerror}") from error
    return sorted(folders), sorted(images)
