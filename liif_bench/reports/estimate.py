"""The plan of a run and what it will take, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from liif_bench.progress import duration
from liif_bench.reports.grids import Grid

if TYPE_CHECKING:
    from liif_bench.estimate import Estimate


def estimate_grids(found: Estimate) -> list[Grid]:
    """Return what a plan measures, and its predicted time by part.

    Args:
        found: By `liif_bench.estimate.estimate`.
    """
    plan = found.plan
    images = ", ".join(f"{name} ({count} images)" for name, count in found.images.items())
    rows = (
        ("suite", f"{plan.suite} (version {plan.suite_version})"),
        ("protocol", f"{plan.protocol.name} ({plan.protocol.hash})"),
        ("data", images),
        ("scales", ", ".join(f"x{scale:g}" for scale in plan.scales)),
        ("models", ", ".join(plan.models)),
        ("metrics", ", ".join(plan.metrics)),
        ("cases", str(found.cases)),
        ("engine", f"{found.engine}, {found.workers} worker{'s' * (found.workers > 1)}"),
        ("predicted", f"{duration(found.wall)}, for {duration(sum(found.seconds))} of work"),
    )
    notes = [
        f"Predicted from costs measured on {found.costs.machine}, with"
        f" {found.costs.threads} thread{'s' * (found.costs.threads > 1)} per worker; another"
        " machine takes another time. 'python benchmarks/fit_costs.py RUN' measures yours.",
    ]
    if found.unknown:
        notes.append(f"Not in the prediction, since nothing is known: {', '.join(found.unknown)}")
    costly = sorted(found.shares.items(), key=lambda part: -part[1])
    total = sum(found.shares.values()) or 1.0
    parts = tuple(
        (name, duration(seconds), f"{100 * seconds / total:.0f} %") for name, seconds in costly
    )
    return [
        Grid("What would be measured", ("", ""), rows, names=2, notes=tuple(notes)),
        Grid("Where the time would go", ("part", "time", "share"), parts),
    ]
