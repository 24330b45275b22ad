"""``pipal:PATH``: PIPAL (Gu et al., ECCV 2020, arXiv 2007.12142), the part with public labels.

There is one text file per reference, ``A0001.txt``, with a line ``A0001_00_00.bmp,1520.0648`` per
distorted image: reference, type and number of the distortion, and the Elo score of all pairwise
votes together, the higher the better. The names of files and lines are as the authors' repository
and several public loaders have them; the names of the folders differ between copies
(``Train_Label`` or ``MOS_Scores_train``, ``Distortion_1`` to ``Distortion_4`` or one folder), so
that files are found by their names wherever they lie below the given folder.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from liif_bench.datasets.root import find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.ratings.base import Rating, by_name, line_by_line, named, number

_LABELS = re.compile(r"(A\d{4})\.txt")
_LINE = re.compile(r"((A\d{4})_(\d+)_\d+\.bmp)\s*,\s*(\S+)")


def pipal(root: Path, argument: str = "") -> tuple[Rating, ...]:
    """Read PIPAL's training labels.

    The method is the type of distortion, ``type 00`` and so on. Neither LR nor scale is published.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: The unpacked folder.

    Returns:
        The ratings by reference, in the order of the label files.

    Raises:
        LiifBenchError: The folder does not exist or has no label file; a line is wrong (the message
            names file and line), or names an image that is not there.
    """
    folder = find_folder(argument, root)
    images = by_name(folder, (".bmp",))
    labels = [path for path in sorted(folder.rglob("*.txt")) if _LABELS.fullmatch(path.name)]
    if not labels:
        raise LiifBenchError(
            f"'{folder}' holds no label file of PIPAL, such as Train_Label/A0001.txt"
        )
    return tuple(
        rating
        for path in labels
        for rating in line_by_line(path, partial(_rating, folder, path.stem, images))
    )


def _rating(folder: Path, reference: str, images: dict[str, Path], text: str) -> Rating:
    found = _LINE.fullmatch(text)
    if found is None or found[2] != reference:
        raise LiifBenchError(f"'{text}' is not of the form {reference}_00_00.bmp,1500.0")
    return Rating(
        dataset="pipal",
        content_id=reference,
        sr_path=named(images, found[1], folder),
        ref_path=named(images, f"{reference}.bmp", folder),
        method=f"type {found[3]}",
        score=number(found[4], "score"),
        split="train",
    )
