"""Example crops of a run: which there are and where they lie. What reads them needs no torch.

A run keeps small PNG files below its folder, ``crops/``, of the first images of each data set: one
window of HR, the same of LR with every pixel enlarged to a square, and of each upsampler's SR, at
every scale. ``crops/crops.json`` lists them; every file is written whole or not at all, before the
journal names the case as finished.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from liif_bench.errors import LiifBenchError
from liif_bench.paths import file_stem
from liif_bench.records import CaseKey, write_whole
from liif_bench.shipped import describe_invalid

FOLDER = "crops"
INDEX = "crops.json"

DEFAULT_CROPS = 4
"""Images of each data set that a run keeps crops of, if nothing else is asked for."""

SIDE = 128
"""Pixels of HR that a crop is high and wide, where the image is large enough."""

HR, LR = "HR", "LR"
"""What crops of no upsampler are called. Of an upsampler of that name there are none."""


@dataclass(frozen=True)
class Crop:
    """One file.

    Attributes:
        dataset: Name of the data set.
        item: Image within the data set.
        scale: HR size / LR size.
        model: Name of the upsampler, `HR` or `LR`.
        file: Name of the file in the folder of crops.
        top: First row of the window, in pixels of HR.
        left: First column.
        height: Rows.
        width: Columns.
        hr_h: Height of HR, of which it is a window.
        hr_w: Width of HR.
    """

    dataset: str
    item: str
    scale: float
    model: str
    file: str
    top: int
    left: int
    height: int
    width: int
    hr_h: int
    hr_w: int

    @property
    def case(self) -> CaseKey:
        """Which case it is of."""
        return (self.dataset, self.item, self.scale)


def crop_stem(dataset: str, item: str, scale: float, model: str | None = None) -> str:
    """Return what a crop's file is called, without suffix.

    Without a model: what the names of all files of a case begin with, before a further `_`.
    """
    parts = [dataset, item, f"x{scale:g}"]
    return file_stem(parts if model is None else [*parts, model])


class CropFolder:
    """The crops of a run.

    Args:
        run: Folder of the run; it need not have any.

    Raises:
        LiifBenchError: The index is damaged.
    """

    def __init__(self, run: Path) -> None:
        self.path = run / FOLDER
        self._crops = {(*crop.case, crop.model): crop for crop in _read_index(self.path / INDEX)}

    @property
    def crops(self) -> list[Crop]:
        """Every crop whose file is there, in the order in which cases were measured."""
        return [crop for crop in self._crops.values() if (self.path / crop.file).is_file()]

    def content(self, crop: Crop) -> bytes:
        """Return a crop's PNG.

        Raises:
            LiifBenchError: It cannot be read.
        """
        path = self.path / crop.file
        try:
            return path.read_bytes()
        except OSError as error:
            raise LiifBenchError(f"cannot read '{path}': {error.strerror}") from error

    def free_file(self, case: CaseKey, model: str, taken: Collection[str] = ()) -> str:
        """Return a name for a crop's file that no other crop has, even where case is ignored.

        Args:
            case: Which case it is of.
            model: Whose SR it shows, `HR` or `LR`.
            taken: Further names that are not free, in lower case.
        """
        stem = crop_stem(*case, model)
        taken = {
            *taken,
            *(crop.file.casefold() for key, crop in self._crops.items() if key != (*case, model)),
        }
        number, name = 1, f"{stem}.png"
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}.png"
        return name

    def add(self, files: Iterable[tuple[Crop, bytes]]) -> None:
        """Write crops and then the index, each file whole or not at all.

        Args:
            files: Crops of one case, each with its PNG; they take the place of all earlier ones.

        Raises:
            LiifBenchError: The folder cannot be written.
        """
        files = list(files)
        cases = {crop.case for crop, _ in files}
        before = {key: crop.file for key, crop in self._crops.items() if crop.case in cases}
        try:
            self.path.mkdir(exist_ok=True)
            for key in before:
                del self._crops[key]
            for crop, content in files:
                write_whole(self.path / crop.file, content)
                self._crops[(*crop.case, crop.model)] = crop
            entries = [asdict(crop) for crop in self._crops.values()]
            text = json.dumps({"crops": entries}, ensure_ascii=False, indent=1) + "\n"
            write_whole(self.path / INDEX, text.encode())
            for file in {*before.values()} - {crop.file for crop in self._crops.values()}:
                (self.path / file).unlink(missing_ok=True)
        except OSError as error:
            raise LiifBenchError(f"cannot write '{self.path}': {error.strerror}") from error

    def add_named(self, files: Iterable[tuple[Crop, bytes]]) -> None:
        """Write crops of one case as `add` does, under names that are free.

        Args:
            files: Crops, each with its PNG; what they say of their files does not count.

        Raises:
            LiifBenchError: The folder cannot be written.
        """
        named: list[tuple[Crop, bytes]] = []
        for crop, content in files:
            taken = {each.file.casefold() for each, _ in named}
            file = self.free_file(crop.case, crop.model, taken)
            named.append((replace(crop, file=file), content))
        self.add(named)

    def copy(self, other: CropFolder) -> None:
        """Take over the crops of another run that are not here yet.

        Raises:
            LiifBenchError: A file cannot be read or written.
        """
        new: dict[CaseKey, list[Crop]] = {}
        for crop in other.crops:
            if (*crop.case, crop.model) not in self._crops:
                new.setdefault(crop.case, []).append(crop)
        for crops in new.values():
            self.add_named((crop, other.content(crop)) for crop in crops)


def crops_by_case(crops: Iterable[Crop]) -> Mapping[CaseKey, Mapping[str, Crop]]:
    """Return crops by case and model, in their order."""
    found: dict[CaseKey, dict[str, Crop]] = {}
    for crop in crops:
        found.setdefault(crop.case, {})[crop.model] = crop
    return found


_LONGEST = 255  # of a file's name


class _Index(BaseModel):
    model_config = ConfigDict(strict=True)

    crops: list[Crop]


def _read_index(path: Path) -> list[Crop]:
    if not path.is_file():
        return []
    try:
        found = _Index.model_validate_json(path.read_bytes()).crops
    except ValidationError as error:
        why = describe_invalid(error)
        raise LiifBenchError(f"'{path}' is damaged ({why}): delete the folder") from error
    except OSError as error:
        raise LiifBenchError(f"cannot read '{path}': {error.strerror}") from error
    for crop in found:
        if Path(crop.file).name != crop.file or "\0" in crop.file or len(crop.file) > _LONGEST:
            raise LiifBenchError(f"'{path}' names '{crop.file}' outside its folder: delete it")
        if min(crop.top, crop.left) < 0 or min(crop.height, crop.width, crop.hr_h, crop.hr_w) < 1:
            raise LiifBenchError(f"'{path}' holds an impossible window: delete the folder")
    return found
