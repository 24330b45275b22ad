"""``paired:PATH``: a benchmark set in one of the layouts in which people have them.

=================  ============================================================================
layout             files
=================  ============================================================================
EDSR ``benchmark`` ``HR/baby.png``, ``LR_bicubic/X2/babyx2.png``; ``HR_X2/`` ... where HR was
                   cropped for each scale
DIV2K validation   ``DIV2K_valid_HR/0801.png``, ``DIV2K_valid_LR_bicubic/X2/0801x2.png``
SelfExSR           ``image_SRF_2/img_001_SRF_2_HR.png``, ``..._LR.png``, or all in one folder
HR alone           images that lie in the folder itself
=================  ============================================================================

The first of these that a folder shows is the one it is read as. What lies beside the named
folders, and what is hidden, is not looked at.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.datasets.folder import image_files, is_image, visible_files
from liif_bench.datasets.root import find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.paths import text_of

LOOKED_FOR = (
    "HR/ or HR_X2/ ... (with LR_bicubic/X2/ ...),"
    " DIV2K_valid_HR/ (with DIV2K_valid_LR_bicubic/X2/ ...),"
    " image_SRF_2/ ... or NAME_SRF_2_HR.png with NAME_SRF_2_LR.png,"
    " HR images in the folder itself"
)

_SCALE = r"(\d+(?:\.\d+)?)"
_SRF_FOLDER = re.compile(f"image_SRF_{_SCALE}")
_SRF_STEM = re.compile(f".+_SRF_{_SCALE}_(HR|LR)")


def paired(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Collect the HR images of a benchmark set and their LR files.

    Args:
        root: The data root, below which a relative path is looked for that is not found here.
        argument: Path of the set's folder.

    Returns:
        One item per HR image, sorted by name.

    Raises:
        LiifBenchError: As `read_layout`, or the folder does not exist.
    """
    return read_layout(find_folder(argument, root))


def read_layout(folder: Path) -> tuple[Item, ...]:
    """Collect the HR images of a folder and their LR files, whichever layout it has.

    Args:
        folder: A folder that exists.

    Returns:
        One item per HR image, sorted by name.

    Raises:
        LiifBenchError: The folder has no known layout; an image lacks the HR or LR file of a
            scale that is there; two files have one name; a folder mixes file types. The message
            names the file.
    """
    for read in (_edsr, _div2k, _self_ex_sr, _hr_alone):
        items = read(folder)
        if items is not None:
            return items
    raise LiifBenchError(f"folder '{folder}' holds no benchmark set: looked for {LOOKED_FOR}")


# --- the layouts --------------------------------------------------------------------------------


def _edsr(folder: Path) -> tuple[Item, ...] | None:
    return _scale_folders(folder, hr="HR", lr="LR_bicubic")


def _div2k(folder: Path) -> tuple[Item, ...] | None:
    return _scale_folders(folder, hr="DIV2K_valid_HR", lr="DIV2K_valid_LR_bicubic")


def _scale_folders(folder: Path, *, hr: str, lr: str) -> tuple[Item, ...] | None:
    inside = _subfolders(folder)
    own = _by_scale(inside, f"{hr}_X")
    if hr not in inside and not own:
        return None
    given = _by_scale(_subfolders(inside[lr]), "X") if lr in inside else {}
    return _join(
        _whole_folder("HR", inside[hr]) if hr in inside else None,
        {scale: _whole_folder(f"HR at x{scale:g}", path) for scale, path in own.items()},
        {
            scale: _whole_folder(f"LR at x{scale:g}", path, f"x{path.name[1:]}")
            for scale, path in given.items()
        },
    )


def _self_ex_sr(folder: Path) -> tuple[Item, ...] | None:
    inside = _subfolders(folder)
    sources = [path for name, path in inside.items() if _SRF_FOLDER.fullmatch(name)]
    if not sources and not any(_SRF_STEM.fullmatch(path.stem) for path in _loose(folder)):
        return None
    found: dict[tuple[str, str], list[Path]] = defaultdict(list)
    for source in sources or [folder]:
        for path in image_files(source, recursive=False):
            if match := _SRF_STEM.fullmatch(path.stem):
                scale, kind = match.groups()
                found[scale, kind].append(path)
            elif "_SRF_" not in path.stem:  # other endings are the results of methods
                raise LiifBenchError(
                    f"'{path}' is not named NAME_SRF_2_HR or NAME_SRF_2_LR as the files beside it:"
                    " rename or remove it"
                )
    if not found:
        raise LiifBenchError(f"folder '{sources[0]}' holds no NAME_SRF_2_HR or NAME_SRF_2_LR image")
    groups: dict[str, dict[float, _Group]] = {"HR": {}, "LR": {}}
    for scale in sorted({scale for scale, _ in found}, key=float):
        place = next(paths[0].parent for (text, _), paths in found.items() if text == scale)
        for kind, by_scale in groups.items():
            by_scale[float(scale)] = _group(
                f"{kind} at x{float(scale):g}", place, f"_SRF_{scale}_{kind}", found[scale, kind]
            )
    return _join(None, groups["HR"], groups["LR"])


def _hr_alone(folder: Path) -> tuple[Item, ...] | None:
    files = _loose(folder)
    return _join(_group("HR", folder, "", files), {}, {}) if files else None


# --- their parts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Group:
    """The HR or LR files of a set, of all scales or of one.

    Attributes:
        kind: What they are, for messages.
        folder: Where they lie.
        ending: How their names end, suffix aside.
        files: By the name of the image, which is the file's without the ending.
    """

    kind: str
    folder: Path
    ending: str
    files: Mapping[str, Path]

    def expected(self, name: str) -> Path:
        suffix = next((path.suffix for path in self.files.values()), ".png")
        return self.folder / f"{name}{self.ending}{suffix}"


def _group(kind: str, folder: Path, ending: str, paths: Iterable[Path]) -> _Group:
    files: dict[str, Path] = {}
    for path in paths:
        if not path.stem.endswith(ending) or path.stem == ending:
            raise LiifBenchError(
                f"'{path}' is not named as {kind} is: its name must end in '{ending}'"
            )
        name = text_of(Path(path.stem.removesuffix(ending)))
        if name in files:
            raise LiifBenchError(f"'{files[name]}' and '{path}' have one name: keep one")
        files[name] = path
    _check_one_type(files.values())
    return _Group(kind, folder, ending, files)


def _whole_folder(kind: str, folder: Path, ending: str = "") -> _Group:
    return _group(kind, folder, ending, image_files(folder, recursive=False))


def _check_one_type(paths: Collection[Path]) -> None:
    counts = Counter(path.suffix.lower() for path in paths)
    (usual, _), *others = counts.most_common() or [("", 0)]
    if others:
        rare = others[-1][0]
        odd = next(path for path in paths if path.suffix.lower() == rare)
        raise LiifBenchError(
            f"'{odd}' lies among {usual} files: a benchmark set has files of one type, so remove it"
            " or use 'folder:' for mixed images"
        )


def _join(
    common: _Group | None, own: Mapping[float, _Group], given: Mapping[float, _Group]
) -> tuple[Item, ...]:
    """Make items of HR for all scales, HR of single scales, and LR; each must have every image."""
    groups = [*([common] if common else []), *own.values(), *given.values()]
    names = sorted({name for group in groups for name in group.files})
    for name in names:
        there = next(group.files[name] for group in groups if name in group.files)
        for group in groups:
            if name not in group.files:
                expected = group.expected(name)
                raise LiifBenchError(f"'{there}' has no {group.kind}: add '{expected}'")
    default = common or own[min(own)]  # the smallest scale's, which was cropped least
    return tuple(
        Item(
            name,
            default.files[name],
            {scale: group.files[name] for scale, group in given.items()},
            {scale: group.files[name] for scale, group in own.items()},
        )
        for name in names
    )


def _by_scale(folders: Mapping[str, Path], prefix: str) -> dict[float, Path]:
    """Return the folders that are named after a scale, in the order of the scales."""
    pattern = re.compile(re.escape(prefix) + _SCALE)
    found: dict[float, Path] = {}
    for name, path in folders.items():
        if match := pattern.fullmatch(name):
            scale = float(match[1])
            if scale in found:
                raise LiifBenchError(f"'{found[scale]}' and '{path}' are of one scale: keep one")
            found[scale] = path
    return dict(sorted(found.items()))


def _subfolders(folder: Path) -> dict[str, Path]:
    try:
        return {path.name: path for path in sorted(folder.iterdir()) if path.is_dir()}
    except OSError as error:
        raise LiifBenchError(f"folder '{folder}' cannot be read: {error.strerror}") from error


def _loose(folder: Path) -> list[Path]:
    return [path for path in visible_files(folder, recursive=False) if is_image(path)]
