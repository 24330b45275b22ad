"""``vha-bench:PATH``: VHA-bench (arXiv 2610.25770), how much generative upsamplers made up.

Read from ``metadata.jsonl`` of the published archive, one JSON object per pair. Its fields are
documented as ``gt``, ``sr``, ``sample_id``, ``image_id``, ``method``, ``human_score`` (1 to 5, more
hallucination is higher) and ``n_ratings``. The file itself was not at hand: that the two images
stand in it as ``gt_file_name`` and ``sr_file_name``, paths from its own folder, follows from the
convention of the image folders that the data set is published as, and has not been checked against
the file. A row without them is refused with its line. ``mos.csv``, whose columns are not
documented, is not read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from liif_bench.datasets.root import find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.ratings.base import Rating, existing, line_by_line, number

_FIELDS = ("gt_file_name", "sr_file_name", "image_id", "method", "human_score")


def vha_bench(root: Path, argument: str = "") -> tuple[Rating, ...]:
    """Read VHA-bench.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: The unpacked folder, which holds ``metadata.jsonl`` itself or in a folder below.

    Returns:
        The ratings in the file's order; a higher score is worse.

    Raises:
        LiifBenchError: The folder does not exist or has not one ``metadata.jsonl``; a line is wrong
            (the message names file and line), or names an image that is not there.
    """
    folder = find_folder(argument, root)
    listings = sorted(folder.rglob("metadata.jsonl"))
    if len(listings) != 1:
        raise LiifBenchError(
            f"'{folder}' holds {len(listings)} files metadata.jsonl; VHA-bench has one, in test.zip"
        )
    listing = listings[0]
    return tuple(line_by_line(listing, partial(_rating, listing.parent)))


def _rating(folder: Path, text: str) -> Rating:
    try:
        row: Mapping[str, Any] = json.loads(text)
    except ValueError as error:
        raise LiifBenchError(f"no JSON: {error}") from error
    lacking = [name for name in _FIELDS if not isinstance(row, dict) or name not in row]
    if lacking:
        raise LiifBenchError(f"no field '{lacking[0]}'; expected {', '.join(_FIELDS)}")
    raters = row.get("n_ratings")
    return Rating(
        dataset="vha-bench",
        content_id=str(row["image_id"]),
        sr_path=existing(folder / str(row["sr_file_name"])),
        ref_path=existing(folder / str(row["gt_file_name"])),
        method=str(row["method"]),
        score=number(str(row["human_score"]), "human_score"),
        higher_is_better=False,
        n_raters=None if raters is None else int(number(str(raters), "n_ratings")),
    )
