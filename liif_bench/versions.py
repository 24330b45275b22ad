"""The versions of packages that a run's numbers may depend on."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata

HEART = (
    "torch",
    "torchvision",
    "torchmetrics",
    "lpips",
    "timm",
    "ncnn",
    "scikit-image",
    "numpy",
    "pillow",
    "pandas",
    "pyarrow",
)


def installed(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed, by name, in the given order."""
    found = {}
    for name in dict.fromkeys(packages):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
