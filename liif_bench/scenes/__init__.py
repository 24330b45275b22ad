"""Analytic scenes: images given by formulas, so that the truth is known at every zoom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from liif_bench.scenes.base import Scene
from liif_bench.scenes.edge import SlantedEdge
from liif_bench.scenes.text import Text
from liif_bench.scenes.voronoi import VoronoiCells
from liif_bench.scenes.waves import SiemensStar, Texture, ZonePlate

SCENES: Mapping[str, Scene] = {
    "slanted-edge": SlantedEdge(),
    "slanted-edge-level": SlantedEdge(upright=False),
    "slanted-edge-faint": SlantedEdge(dark=0.4, bright=0.6),
    "siemens-star": SiemensStar(),
    "zone-plate": ZonePlate(),
    "text-large": Text(cells=5),
    "text-medium": Text(cells=10),
    "text-small": Text(cells=20),
    "voronoi": VoronoiCells(),
    "texture": Texture(),
}
"""Every scene by name, in the order in which they are measured."""


@dataclass(frozen=True)
class Drawn:
    """A scene at a size.

    Attributes:
        scene: What it shows.
        side: Height and width of the whole in pixels.
    """

    scene: Scene
    side: int


def drawn_name(scene: str, side: int) -> str:
    """Return the name of the item that shows a scene, as in "zone-plate@480"."""
    return f"{scene}@{side}"


def find_drawn(name: str) -> Drawn | None:
    """Return what an item's name says that it shows; None where it names no scene."""
    match = re.fullmatch(r"(?P<scene>[a-z-]+)@(?P<side>[1-9][0-9]{0,4})", name)
    if match is None or match["scene"] not in SCENES:
        return None
    return Drawn(SCENES[match["scene"]], int(match["side"]))


__all__ = ["SCENES", "Drawn", "Scene", "drawn_name", "find_drawn"]
