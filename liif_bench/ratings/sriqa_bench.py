"""``sriqa-bench:PATH``: SRIQA-Bench (Chen et al., CVPR 2025, arXiv 2503.11221).

As the authors' repository lays it out: ``MOS/<image>.txt`` with a line ``<image>_<method>x4.png``,
score (a comma or a space between them), ``images/<method>/``, ``images/Original/`` with the
references and ``LRImages/``. The scores of each image come from paired comparisons among its own
eleven versions and are stretched to 0 to 100 for each image by itself: they say nothing between
images. The reference is one of the eleven; it is left out here, since nothing is measured of it.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

from liif_bench.datasets.root import exists, find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.ratings.base import Rating, existing, line_by_line, number

_ORIGINAL = "Original"
_LINE = re.compile(
    r"(?P<name>(?P<image>.+)_(?P<method>[^_]+?)(?:x(?P<scale>\d+))?\.png)[,\s]+(?P<score>\S+)"
)
_RATERS = 10  # of every pair


def sriqa_bench(root: Path, argument: str = "") -> tuple[Rating, ...]:
    """Read SRIQA-Bench.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: The unpacked folder, which holds ``MOS`` and ``images``.

    Returns:
        The ratings by image, without those of the references.

    Raises:
        LiifBenchError: The folder does not exist or has no label file; a line is wrong (the message
            names file and line), or names an image that is not there.
    """
    folder = find_folder(argument, root)
    labels = sorted((folder / "MOS").glob("*.txt"))
    if not labels:
        raise LiifBenchError(f"'{folder}' holds no label file of SRIQA-Bench, such as MOS/x1.txt")
    return tuple(
        rating
        for path in labels
        for rating in line_by_line(path, partial(_rating, folder, path.stem))
    )


def _rating(folder: Path, image: str, text: str) -> Rating | None:
    found = _LINE.fullmatch(text)
    if found is None or found["image"] != image:
        raise LiifBenchError(f"'{text}' is not of the form {image}_SwinIRx4.png,50.0")
    score = number(found["score"], "score")
    if found["method"] == _ORIGINAL:
        return None
    original = f"{image}_{_ORIGINAL}.png"
    lr = folder / "LRImages" / original
    return Rating(
        dataset="sriqa-bench",
        content_id=image,
        sr_path=existing(folder / "images" / found["method"] / found["name"]),
        ref_path=existing(folder / "images" / _ORIGINAL / original),
        method=found["method"],
        score=score,
        score_scope="content",
        lr_path=lr if exists(lr) else None,
        scale=float(found["scale"]) if found["scale"] else None,
        n_raters=_RATERS,
    )
