"""``isrgen-qa:PATH``: ISRGen-QA (VQualA 2025 challenge, Li et al., arXiv 2509.06413).

The label files are those of the authors' repository: ``train.txt``, ``val.txt``, ``test.txt`` with
a line ``ATD_x2_0813x2.png#4.0#0813x2.png`` per image: SR, mean opinion of 21 people from 1 to 5,
LR. Content and scale are taken from the name of LR, ``<HR>x<scale>``, as the names of some SR
images number the contents otherwise or leave the scale out. HR, LR and SR images are found by
their names wherever they lie below the folder; the archive itself was not at hand, and that HR is
called ``<HR>.png`` is taken from the authors' description of the names.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from liif_bench.datasets.root import find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.ratings.base import Rating, by_name, line_by_line, named, number

SPLITS = ("train", "val", "test")
_LR = re.compile(r"(?P<image>\w+?)x(?P<scale>\d+)\.png")
_SR = re.compile(r"(?P<method>.+?)(?:_x\d+)?_[^_]+\.png")
_RATERS = 21


def isrgen_qa(root: Path, argument: str = "") -> tuple[Rating, ...]:
    """Read ISRGen-QA.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: The folder that holds the label files and, below it, the unpacked images.

    Returns:
        The ratings, split by label file.

    Raises:
        LiifBenchError: The folder does not exist or has no label file; a line is wrong (the message
            names file and line), or names an image that is not there.
    """
    folder = find_folder(argument, root)
    labels = [folder / f"{split}.txt" for split in SPLITS if (folder / f"{split}.txt").is_file()]
    if not labels:
        raise LiifBenchError(f"'{folder}' holds no label file of ISRGen-QA, such as train.txt")
    images = by_name(folder, (".png",))
    return tuple(
        rating
        for path in labels
        for rating in line_by_line(path, partial(_rating, folder, path.stem, images))
    )


def _rating(folder: Path, split: str, images: dict[str, Path], text: str) -> Rating:
    parts = text.split("#")
    sr, lr = _SR.fullmatch(parts[0]), _LR.fullmatch(parts[-1])
    if len(parts) != 3 or sr is None or lr is None:
        raise LiifBenchError(f"'{text}' is not of the form EDSR_x2_0813x2.png#4.0#0813x2.png")
    return Rating(
        dataset="isrgen-qa",
        content_id=lr["image"],
        sr_path=named(images, parts[0], folder),
        ref_path=named(images, f"{lr['image']}.png", folder),
        method=sr["method"],
        score=number(parts[1], "score"),
        lr_path=images.get(parts[2]),
        scale=float(lr["scale"]),
        n_raters=_RATERS,
        split=split,
    )
