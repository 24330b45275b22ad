"""``paired:PATH``: benchmark sets with published LR files, in the EDSR ``benchmark/`` layout.

``PATH/HR/baby.png`` beside ``PATH/LR_bicubic/X2/babyx2.png``. A set whose HR was cropped for each
scale may have ``HR_X2``, ``HR_X4`` instead of one ``HR``.
"""

from __future__ import annotations

import re
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.datasets.folder import image_files
from liif_bench.errors import LiifBenchError
from liif_bench.paths import user_path

_SCALE_FOLDER = re.compile(r"X(\d+(?:\.\d+)?)")


def paired(argument: str) -> tuple[Item, ...]:
    """Collect the HR images of a benchmark set and their LR files.

    Args:
        argument: Path of the set's folder.

    Returns:
        One item per HR image, sorted by name.

    Raises:
        LiifBenchError: No HR folder; an image without the HR or the LR file of a scale that
            others have; two files of one name. The message names the file.
    """
    root = user_path(argument)
    by_scale = {
        scale: _by_stem(root / f"HR_{path.name}")
        for scale, path in _scale_folders(root)
        if (root / f"HR_{path.name}").is_dir()
    }
    common = _by_stem(root / "HR") if (root / "HR").is_dir() or not by_scale else {}
    names = sorted(common or set().union(*by_scale.values()))
    low = {scale: _by_stem(path) for scale, path in _scale_folders(root)}
    items = []
    for name in names:
        lr_paths = {}
        for scale, files in low.items():
            stem = f"{name}x{scale:g}"
            if stem not in files:
                expected = root / "LR_bicubic" / f"X{scale:g}" / f"{stem}.png"
                raise LiifBenchError(f"'{name}' has HR but no LR file '{expected}'")
            lr_paths[scale] = files[stem]
        for scale, files in by_scale.items():
            if name not in files and name not in common:
                expected = root / f"HR_X{scale:g}" / f"{name}.png"
                raise LiifBenchError(f"'{name}' has no HR file '{expected}'")
        hr_paths = {scale: files[name] for scale, files in by_scale.items() if name in files}
        hr_path = common.get(name) or next(iter(hr_paths.values()))
        items.append(Item(name, hr_path, lr_paths, hr_paths))
    return tuple(items)


def _scale_folders(root: Path) -> list[tuple[float, Path]]:
    return [
        (float(match[1]), path)
        for path in sorted((root / "LR_bicubic").glob("X*"))
        if path.is_dir() and (match := _SCALE_FOLDER.fullmatch(path.name))
    ]


def _by_stem(folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in image_files(folder):
        if path.stem in files:
            raise LiifBenchError(f"'{files[path.stem]}' and '{path}' have one name: keep one")
        files[path.stem] = path
    return files
