"""How useful crops are as training data, as tables and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from liif_bench.analysis.stats import Estimate
from liif_bench.analysis.utility import AGAINST, ARMS, BASE, Utility, detectable, inconclusive
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH

_WORDS = {
    "none": "no crops",
    "top": "the top crops",
    "bottom": "the bottom crops",
    "best": "the best crops of the same images",
    "worst": "the worst crops of the same images",
    "real": "the same images as HR",
}


def utility_grids(found: Sequence[Utility]) -> list[Grid]:
    """Lay out what training on crops gave.

    Args:
        found: Of one run and one score.

    Returns:
        One table per data set, encoder and pool of scales.
    """
    return [_grid(each) for each in found]


def _grid(found: Utility) -> Grid:
    pool = found.pool
    rows = tuple(
        (
            arm,
            _number(found.scores.get(arm)),
            f"{found.f1[arm].mean:.3f}",
            _signed(found.differences[arm]) if arm in found.differences else DASH,
        )
        for arm in ARMS
    )
    return Grid(
        title=f"{pool.dataset}, {pool.encoder}, {_scales(found)}: macro-F1 on HR after training",
        columns=("added", f"mean {pool.score}", "macro-F1", f"less {AGAINST}"),
        rows=rows,
        notes=(
            f"{len(pool.labels)} images of {len(pool.kinds)} kinds ({', '.join(pool.kinds)}),"
            f" {len(pool.owner)} crops",
            *(
                [f"left out, for too few images: {', '.join(pool.left_out)}"]
                if pool.left_out
                else []
            ),
            f"added to {BASE} real image of each kind: {found.crops} crops of each;"
            f" mean of {found.seeds} trials; best, worst and real show the images of {AGAINST}",
            *(f"{arm}: {_parts(shares)}" for arm, shares in found.chosen.items()),
            *(sentence(arm, difference) for arm, difference in found.differences.items()),
        ),
    )


def sentence(arm: str, difference: Estimate) -> str:
    """Say what a difference from the random crops allows to say.

    Args:
        arm: What was added instead of them.
        difference: In macro-F1, with its interval.
    """
    who, size = _WORDS[arm], f"{abs(difference.mean):.3f}"
    span = f"[{difference.low:+.3f}, {difference.high:+.3f}]"
    if inconclusive(difference):
        return (
            f"{who}: inconclusive, {difference.mean:+.3f} {span} holds 0; a true difference of"
            f" {detectable(difference):.3f} would have been seen in 80 % of the cases"
        )
    verb = "better" if difference.mean > 0 else "worse"
    return f"{who}: {verb} than {AGAINST} ones by {size} {span}"


def _parts(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{share:.0%} {source}" for source, share in shares.items() if share)


def _scales(found: Utility) -> str:
    return " and ".join(f"x{scale:g}" for scale in found.pool.scales)


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def _signed(estimate: Estimate) -> str:
    return f"{estimate.mean:+.3f} [{estimate.low:+.3f}, {estimate.high:+.3f}]"
