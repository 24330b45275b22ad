"""``sample``: photographs that the scikit-image wheel ships, so that a first run needs no data."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.shipped import read_toml


def sample(root: Path, argument: str = "") -> tuple[Item, ...]:
    """Return the sample photographs; `sample.toml` lists them with hashes and labels.

    Args:
        root: Not used: the photographs lie in scikit-image, not below the data root.
        argument: Not used.

    Returns:
        One item per photograph, in the order of `sample.toml`.

    Raises:
        LiifBenchError: scikit-image is not installed.
    """
    del root, argument
    folder = skimage_data_folder()
    listing = read_toml(Path(__file__).with_name("sample.toml"))
    return tuple(
        Item(
            name=entry["name"],
            hr_path=folder / entry["file"],
            labels=tuple(entry["labels"]),
            crop=tuple(entry["crop"]) if "crop" in entry else None,
            sha256=entry["sha256"],
        )
        for entry in listing["image"]
    )


def skimage_data_folder() -> Path:
    """Return the folder of images inside the installed scikit-image, without importing it.

    Raises:
        LiifBenchError: scikit-image is not installed.
    """
    spec = find_spec("skimage")
    if spec is None or not spec.submodule_search_locations:
        raise LiifBenchError("the sample images need scikit-image: pip install scikit-image")
    return Path(spec.submodule_search_locations[0]) / "data"
