"""``folder:PATH``: SR images that were made elsewhere, found by the item's name and the scale."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor

from liif_bench.datasets.folder import image_files, is_image
from liif_bench.datasets.root import exists
from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256
from liif_bench.images import EXTENSIONS, read_rgb, read_size, to_tensor
from liif_bench.paths import user_path
from liif_bench.upsamplers.base import Options, Request, TrainingScales, Weights
from liif_bench.upsamplers.finished import FinishedImage
from liif_bench.upsamplers.options import fill, split_options, table_name, training_scales

SCALED_PATTERNS = (
    "{item}_x{scale}.png",
    "{item}x{scale}.png",
    "{scale}/{item}.png",
    "x{scale}/{item}.png",
)
"""Where images are looked for that no pattern names."""

UNSCALED_PATTERN = "{item}.png"
"""The same where no file's name holds a scale."""

_PLACES = {"item": ".+", "scale": r"\d+(?:\.\d+)?"}


class Folder:
    """A folder of finished images as an upsampler.

    Args:
        name: As in tables and records.
        path: The folder.
        files: Its image files, as paths within it; no other file is ever opened.
        patterns: How they are named.
        training: Scales that their network was trained on; None where unknown.
        settings: For the manifest.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        files: Iterable[str],
        patterns: tuple[str, ...],
        training: TrainingScales | None,
        settings: Mapping[str, str],
    ) -> None:
        self.name = name
        self.path = path
        self.files = frozenset(files)
        self.patterns = patterns
        self.training_scales = training
        self.settings = settings
        self.weights = Weights(str(path), _sha256(path, self.files))
        self._answered: dict[str, bytes] = {}

    def encode(self, lr: Tensor) -> FinishedImage:
        """Refuse: which image answers cannot be told from LR.

        Raises:
            LiifBenchError: Always.
        """
        del lr
        raise LiifBenchError(
            f"'{self.path}' holds finished images, found by item and scale: use them in a run,"
            " not on an LR alone"
        )

    def encode_case(self, request: Request) -> FinishedImage:
        """Return the image of a case; see `CaseUpsampler.encode_case`.

        Raises:
            LiifBenchError: There is none or more than one, it cannot be decoded, it has another
                size than HR, or it has already answered another LR.
        """
        name = self._find(request)
        path = self.path / name
        size = read_size(path)
        if size != request.size:
            raise LiifBenchError(
                f"'{path}' has {size[1]}x{size[0]} pixels, expected"
                f" {request.size[1]}x{request.size[0]} as HR of '{request.item}' at"
                f" x{request.scale:g}"
            )
        digest = hashlib.sha256(request.lr.cpu().contiguous().numpy().tobytes()).digest()
        if self._answered.setdefault(name, digest) != digest:
            raise LiifBenchError(
                f"'{path}' has already answered another LR than this of '{request.item}' at"
                f" x{request.scale:g}: a finished image answers one LR, of one data set"
            )
        return FinishedImage(to_tensor(read_rgb(path)))

    def _find(self, request: Request) -> str:
        item = Path(request.item)
        stem = item.with_suffix("") if is_image(item) else item
        values = {"item": stem.as_posix(), "scale": f"{request.scale:g}"}
        places = list(dict.fromkeys(fill(pattern, values) for pattern in self.patterns))
        found = [place for place in places if place in self.files]
        if not found:
            raise LiifBenchError(
                f"'{self.path}' holds no image of '{request.item}' at x{request.scale:g}: looked"
                f" for {', '.join(places)}; name yours with ?pattern="
            )
        if len(found) > 1:
            raise LiifBenchError(
                f"'{self.path}' holds more than one image of '{request.item}' at"
                f" x{request.scale:g}, {' and '.join(found)}: choose with ?pattern="
            )
        return found[0]


def folder(options: Options, argument: str) -> Folder:
    """Open a folder of finished images.

    Args:
        options: Not used: there is no network to run.
        argument: ``PATH`` or ``PATH?pattern={item}_x{scale}.png&name=NAME&train=1-4``.

    Raises:
        LiifBenchError: An option that there is not; no such folder; no file in it that is named
            like the pattern.
    """
    del options
    head, chosen = split_options(argument, ("pattern", "name", "train"))
    path = user_path(head)
    if not exists(path) or not path.is_dir():
        raise LiifBenchError(f"folder '{path}' does not exist: name the folder of SR images")
    files = [file.relative_to(path).as_posix() for file in image_files(path)]
    patterns = _patterns(chosen.get("pattern"), files)
    known = [file for file in files if any(_named_like(each, file) for each in patterns)]
    if not known:
        raise LiifBenchError(
            f"folder '{path}' holds no file named like {' or '.join(patterns)} (but"
            f" '{files[0]}'): name yours with ?pattern="
        )
    settings = {"pattern": " or ".join(patterns), "values": "8-bit files, multiples of 1/255"}
    if "train" in chosen:
        settings["train"] = chosen["train"]
    return Folder(
        table_name(chosen.get("name", path.resolve().name)),
        path,
        known,
        patterns,
        training_scales(chosen["train"]) if "train" in chosen else None,
        settings,
    )


def _patterns(given: str | None, files: Iterable[str]) -> tuple[str, ...]:
    """Return the pattern that was given, or else those that fit the folder.

    Raises:
        LiifBenchError: It holds no place for the item, or an unknown place, or names no image.
    """
    if given is None:
        scaled = any(_named_like(each, file) for each in SCALED_PATTERNS for file in files)
        return SCALED_PATTERNS if scaled else (UNSCALED_PATTERN,)
    places = re.findall(r"\{([^{}]*)\}", given)
    if "item" not in places or not set(places) <= set(_PLACES):
        raise LiifBenchError(
            f"pattern '{given}' is not possible: it needs {{item}}, may have {{scale}}, and no"
            " other place in braces"
        )
    if not is_image(Path(given)):
        raise LiifBenchError(
            f"pattern '{given}' names no image: end it with one of {', '.join(sorted(EXTENSIONS))}"
        )
    return (given,)


def _named_like(pattern: str, file: str) -> bool:
    """Whether a path is what a pattern gives for some item and scale."""
    literal = re.escape(pattern).replace(r"\{", "{").replace(r"\}", "}")
    return re.fullmatch(fill(literal, _PLACES), file) is not None


def _sha256(path: Path, files: Iterable[str]) -> str:
    """Hash names and contents; a file that cannot be read counts as such."""
    digest = hashlib.sha256()
    for file in sorted(files):
        try:
            content = file_sha256(path / file)
        except LiifBenchError:
            content = "unreadable"
        digest.update(f"{file}\0{content}\0".encode())
    return digest.hexdigest()
