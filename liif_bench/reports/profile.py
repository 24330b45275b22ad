"""Where the time of a run went, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from liif_bench.profile import BACKGROUND
from liif_bench.reports.grids import Grid


def profile_grid(manifest: Mapping[str, Any]) -> Grid:
    """Lay out the time of a run's stages, the largest first.

    Args:
        manifest: Of a run; one that an older liif-bench wrote has no stages.

    Returns:
        Stage, seconds and share of the wall time. The stages in the background come on top of it.
    """
    stages: dict[str, float] = manifest.get("stages", {})
    networks = manifest.get("network_stages", [])
    wall = sum(seconds for name, seconds in stages.items() if name not in BACKGROUND)
    inside = sum(seconds for name, seconds in stages.items() if name in networks)

    def share(seconds: float) -> str:
        return f"{100 * seconds / wall:.1f} %" if wall else "-"

    return Grid(
        title="Where the time went",
        columns=("stage", "seconds", "share"),
        rows=tuple(
            (
                f"{name} (background)" if name in BACKGROUND else name,
                f"{seconds:.2f}",
                share(seconds),
            )
            for name, seconds in sorted(stages.items(), key=lambda stage: -stage[1])
        ),
        notes=(
            f"outside encoder, decoder and metric networks: {share(wall - inside)} of {wall:.2f} s",
            "background stages run beside the others; their share comes on top of 100 %",
        ),
    )
