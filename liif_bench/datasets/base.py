"""What a data set is: named items, each with HR, maybe LR files, maybe labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.images import RgbArray, read_rgb, read_size


@dataclass(frozen=True)
class Item:
    """One image.

    Attributes:
        name: Unique within the data set.
        hr_path: HR file.
        lr_paths: Given LR files by scale.
        hr_paths: HR files for scales that have one of their own, used instead of `hr_path`.
        labels: WordNet ids of every ImageNet class that is a right answer; empty if unknown.
        crop: Part of HR to use, `(top, left, height, width)` in pixels; None for all of it.
        sha256: Hash that the HR file must have; None where any file will do.
        make: Makes the HR file if it is not there yet; called before it is read. None for a file
            that a data set is found with.
    """

    name: str
    hr_path: Path
    lr_paths: Mapping[float, Path] = field(default_factory=dict)
    hr_paths: Mapping[float, Path] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    crop: tuple[int, int, int, int] | None = None
    sha256: str | None = None
    make: Callable[[], object] | None = field(default=None, compare=False)

    def read_hr(self, scale: float) -> RgbArray:
        """Decode HR for a scale.

        Returns:
            `(H, W, 3)` uint8.

        Raises:
            LiifBenchError: The file cannot be decoded, or is not the one that was asked for.
        """
        self._made()
        path = self.hr_paths.get(scale, self.hr_path)
        if self.sha256 is not None and (actual := file_sha256(path)) != self.sha256:
            raise LiifBenchError(
                f"'{path}' is another file than this data set measures"
                f" (sha256 {actual}, expected {self.sha256})"
            )
        image = read_rgb(path)
        if self.crop is None:
            return image
        top, left, height, width = self.crop
        return image[top : top + height, left : left + width]

    def read_lr(self, scale: float) -> RgbArray | None:
        """Decode the given LR file of a scale, `(h, w, 3)` uint8; None where there is none."""
        path = self.lr_paths.get(scale)
        return None if path is None else read_rgb(path)

    @property
    def pixels(self) -> int:
        """Pixels of HR, from the file's header.

        Raises:
            LiifBenchError: The header cannot be read.
        """
        self._made()
        height, width = self.crop[2:] if self.crop else read_size(self.hr_path)
        return height * width

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of the item.

        Raises:
            LiifBenchError: One that has to be made cannot be written.
        """
        self._made()
        return (self.hr_path, *self.hr_paths.values(), *self.lr_paths.values())

    def _made(self) -> None:
        if self.make is not None:
            self.make()


@dataclass(frozen=True)
class Dataset:
    """A named sequence of items.

    Attributes:
        name: As given on the command line.
        items: In the order in which they are scored.
    """

    name: str
    items: tuple[Item, ...]

    def limited(self, limit: int | None) -> Dataset:
        """Return the first `limit` items as a data set, all of them where None."""
        return Dataset(self.name, self.items[:limit])

    def fingerprint(self) -> str:
        """Return a SHA-256 over names, scales and contents, first 16 hex digits.

        A file that cannot be read counts as such: it will be an error record, not a reason to
        measure nothing.
        """
        digest = hashlib.sha256()
        for item in self.items:
            scales = f"{tuple(item.hr_paths)}\0{tuple(item.lr_paths)}"
            digest.update(f"{item.name}\0{item.crop}\0{item.labels}\0{scales}\0".encode())
            for path in item.files:
                try:
                    digest.update(file_sha256(path).encode())
                except LiifBenchError:
                    digest.update(b"unreadable")
        return digest.hexdigest()[:16]


def check_pairs(items: Iterable[Item], scales: Iterable[float]) -> None:
    """Check by the files' headers that given LR and HR are in the ratio of their scale.

    HR may be larger than LR times scale by less than one LR pixel, as `degrade.fit_pair` allows.
    A file whose header cannot be read is passed over: it will be an error record.

    Args:
        items: What is to be measured.
        scales: At which scales; where an item has no LR file there is nothing to check.

    Raises:
        LiifBenchError: A pair does not fit; the message names both files and their sizes.
    """
    for misfit in misfits(items, scales):
        raise LiifBenchError(misfit)


def misfits(items: Iterable[Item], scales: Iterable[float]) -> Iterator[str]:
    """Yield one line for each LR file that does not fit its HR; see `check_pairs`."""
    wanted = tuple(scales)
    for item in items:
        for scale in wanted:
            if scale not in item.lr_paths:
                continue
            low_path, high_path = item.lr_paths[scale], item.hr_paths.get(scale, item.hr_path)
            try:
                low = read_size(low_path)
                high = item.crop[2:] if item.crop else read_size(high_path)
            except LiifBenchError:
                continue
            if not all(_fits(*sides, scale) for sides in zip(low, high, strict=True)):
                yield (
                    f"'{low_path}' ({low[1]}x{low[0]}) does not fit '{high_path}'"
                    f" ({high[1]}x{high[0]}) at x{scale:g}: give files of one image in that ratio"
                )


def _fits(low: int, high: int, scale: float) -> bool:
    return round(low * scale) <= high < (low + 1 - 1e-9) * scale
