"""Human ratings: what people said of super-resolved images, in the formats it was published in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from liif_bench.errors import LiifBenchError
from liif_bench.registry import Entry, Registry

if TYPE_CHECKING:
    from liif_bench.ratings.base import Rating

RATINGS = Registry(
    "ratings",
    "liif_bench.ratings",
    [
        Entry(
            "csv",
            "liif_bench.ratings.table:table",
            "any ratings, a row per image; the columns stand in docs/agreement.md",
            "FILE.csv",
            argument_required=True,
        ),
        Entry(
            "pipal",
            "liif_bench.ratings.pipal:pipal",
            "PIPAL's training part: a label file per reference image",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "sriqa-bench",
            "liif_bench.ratings.sriqa_bench:sriqa_bench",
            "SRIQA-Bench: 100 images by ten networks at x4, rated within each image",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "isrgen-qa",
            "liif_bench.ratings.isrgen_qa:isrgen_qa",
            "ISRGen-QA: 19 images of DIV2K by many networks at x2, x3, x4, x8",
            "PATH",
            argument_required=True,
        ),
        Entry(
            "vha-bench",
            "liif_bench.ratings.vha_bench:vha_bench",
            "VHA-bench: how much six generative networks made up, on 90 images of RealSR",
            "PATH",
            argument_required=True,
        ),
    ],
)


def load_ratings(spec: str, data_root: Path | None = None) -> tuple[Rating, ...]:
    """Read ratings without decoding an image.

    Args:
        spec: ``name:argument`` of `RATINGS`, or the path of a ``.csv`` file.
        data_root: Folder below which relative paths are looked for that are not found here; None
            for `LIIF_BENCH_DATA`, or else the folder `data` in the cache.

    Returns:
        At least one rating.

    Raises:
        LiifBenchError: Unknown name; a file that is missing or wrong, with its line; no rating.
    """
    from liif_bench.datasets.root import default_data_root
    from liif_bench.ratings.base import Rating

    name = spec.partition(":")[0]
    if spec.lower().endswith(".csv") and name not in RATINGS.entries():
        spec = f"csv:{spec}"
    root = default_data_root() if data_root is None else data_root
    ratings = RATINGS.make(spec, root)
    if not isinstance(ratings, tuple) or not all(isinstance(each, Rating) for each in ratings):
        raise LiifBenchError(f"ratings '{spec}' are no tuple of ratings: see docs/agreement.md")
    if not ratings:
        raise LiifBenchError(f"ratings '{spec}' hold no rated image")
    return ratings


__all__ = ["RATINGS", "load_ratings"]
