"""Models side by side as small tables: differences with intervals, ranks, fronts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from liif_bench.analysis.compare import IN, MCNEMAR, OUT, UNKNOWN, Cell, Comparison, OnFront
from liif_bench.analysis.stats import CONFIDENCE, LEVEL, POWER, least_p
from liif_bench.reports.escape import csv_cells
from liif_bench.reports.grids import Grid
from liif_bench.reports.tables import DASH, RING, style_of

BETTER, WORSE = "▲", "▼"
_ON = "●"
_REGIMES = {IN: "in distribution", OUT: "out of distribution", UNKNOWN: "regime unknown"}
_LEAST_DECIMALS = 3  # of differences, which are smaller than means


def compare_grids(
    comparison: Comparison, front: Sequence[str] | None = None, decimals: int | None = None
) -> list[Grid]:
    """Return the tables of one data set.

    Args:
        comparison: Its models.
        front: Metrics of the Pareto front; the usual ones where None.
        decimals: Digits after the point; each metric's own where None.

    Raises:
        LiifBenchError: The front names a metric that there are no records of.
    """
    names = comparison.usual_front if front is None else front
    fronts = [_front(comparison, names)] if names else []
    return [
        _summary(comparison, decimals),
        _ranks(comparison),
        *fronts,
        *(
            _cells(comparison, metric.name, decimals, last=metric is comparison.metrics[-1])
            for metric in comparison.metrics
        ),
    ]


def _summary(comparison: Comparison, decimals: int | None) -> Grid:
    cells = {(cell.metric, cell.model, cell.regime): cell for cell in comparison.summaries}
    regimes = [regime for regime in _REGIMES if any(key[2] == regime for key in cells)]
    rows = []
    for metric in comparison.metrics:
        for number, model in enumerate(comparison.candidates):
            texts = [
                _difference(cells.get((metric.name, model, regime)), decimals) for regime in regimes
            ]
            title = _title(metric.name, metric.higher_is_better) if number == 0 else ""
            rows.append((title, model, *texts))
    images = "1 image" if comparison.items == 1 else f"{comparison.items} images"
    return Grid(
        f"{comparison.dataset}: difference from {comparison.baseline}, {images}",
        ("metric", "model", *(_REGIMES[regime] for regime in regimes)),
        tuple(rows),
        names=2,
        notes=(
            f"protocol {comparison.protocol}",
            *(_which_scales(comparison, regime) for regime in regimes),
            f"each image's mean over the scales, then the mean over images [{CONFIDENCE} %"
            f" interval]; {_MARKS}",
            *_too_few(comparison.summaries),
            *_lacking(comparison.summaries, comparison.items),
        ),
    )


_MARKS = (
    f"{BETTER} better, {WORSE} worse, no mark: unsure; marked where the test, corrected for the"
    f" cells of the table (Holm), gives p at most {LEVEL:g} and the interval leaves out 0"
)


def _which_scales(comparison: Comparison, regime: str) -> str:
    """Say which scales a regime is, by model where models differ."""
    by_scales: dict[str, list[str]] = {}
    for model in comparison.candidates:
        scales = [s for s in comparison.scales if comparison.regime(s, model) == regime]
        if scales:
            by_scales.setdefault(", ".join(f"x{scale:g}" for scale in scales), []).append(model)
    if len(by_scales) == 1 and len(*by_scales.values()) == len(comparison.candidates):
        return f"{_REGIMES[regime]}: {next(iter(by_scales))}"
    parts = [f"{scales} ({', '.join(models)})" for scales, models in by_scales.items()]
    return f"{_REGIMES[regime]}: {'; '.join(parts)}"


def _ranks(comparison: Comparison) -> Grid:
    ranks = {(rank.metric, rank.model, rank.scale): rank for rank in comparison.ranks}
    scales = (*comparison.scales, None)
    rows = []
    for metric in comparison.metrics:
        for number, model in enumerate(comparison.models):
            title = _title(metric.name, metric.higher_is_better) if number == 0 else ""
            found = [ranks[(metric.name, model, scale)].mean for scale in scales]
            rows.append(
                (title, model, *(DASH if mean is None else f"{mean:.2f}" for mean in found))
            )
    return Grid(
        f"{comparison.dataset}: mean rank of {len(comparison.models)} models",
        ("metric", "model", *(f"x{scale:g}" for scale in comparison.scales), "all"),
        tuple(rows),
        names=2,
        notes=("1: the best on every image; over images that every model has",),
    )


def _front(comparison: Comparison, names: Sequence[str]) -> Grid:
    found = {(each.model, each.scale): each for each in comparison.front(names)}
    rows = tuple(
        (model, *(_front_text(found.get((model, scale))) for scale in comparison.scales))
        for model in comparison.models
    )
    return Grid(
        f"{comparison.dataset}: Pareto front of {' and '.join(dict.fromkeys(names))}",
        ("model", *(f"x{scale:g}" for scale in comparison.scales)),
        rows,
        notes=(
            f"{_ON}: no model has a better mean in one of them and a worse one in none; percent:"
            " share of resamples of the images in which that holds",
        ),
    )


def _front_text(found: OnFront | None) -> str:
    if found is None:
        return DASH
    return f"{_ON if found.on else ''} {100 * found.share:.0f} %".lstrip()


def _cells(comparison: Comparison, name: str, decimals: int | None, *, last: bool) -> Grid:
    """Return one metric's differences; the last metric's table explains what all have."""
    metric = comparison.metric(name)
    cells = [cell for cell in comparison.cells if cell.metric == name]
    digits = style_of(name).decimals if decimals is None else decimals
    rows, styles = [], {}
    for number, cell in enumerate(cells):
        assert cell.scale is not None
        first = number % len(comparison.models) == 0
        ring = RING if comparison.regimes.get((cell.scale, cell.model)) == OUT else ""
        mean = DASH if cell.mean is None else f"{cell.mean:.{digits}f}"
        rows.append(
            (
                f"x{cell.scale:g}" if first else "",
                cell.model + ring,
                mean,
                "baseline" if cell.model == comparison.baseline else _difference(cell, decimals),
                "" if cell.corrected is None else _p(cell.corrected),
                _detectable(cell, decimals),
            )
        )
        if cell.better is not None:
            styles[number] = "green" if cell.better else "red"
    return Grid(
        f"{comparison.dataset}: {_title(name, metric.higher_is_better)}, difference from"
        f" {comparison.baseline}, paired by image",
        ("scale", "model", "mean", f"difference [{CONFIDENCE} %]", "p (Holm)", "detectable"),
        tuple(rows),
        names=2,
        notes=(
            *_infinite(cells),
            *_lacking(cells, comparison.items),
            *(_legend(comparison) if last else ()),
        ),
        styles=styles,
    )


def _legend(comparison: Comparison) -> list[str]:
    tested = [cell for cell in comparison.cells if cell.p is not None]
    tests = {cell.metric for cell in tested if cell.test == MCNEMAR}
    exact = f" (McNemar's exact test for {', '.join(sorted(tests))})" if tests else ""
    return [
        f"p: Wilcoxon's signed-rank test{exact}, corrected for the {len(tested)} cells of all"
        f" metrics; {BETTER} better, {WORSE} worse",
        f"detectable: the least difference that is found in {100 * POWER:.0f} % of such samples at"
        f" the {100 * LEVEL:g} % level, without correction",
        *([f"{RING}: out of distribution"] if OUT in comparison.regimes.values() else []),
        *_too_few(tested),
    ]


def _title(metric: str, higher: bool) -> str:
    return f"{style_of(metric).title} {'↑' if higher else '↓'}"


def _difference(cell: Cell | None, decimals: int | None) -> str:
    """Return a difference with its interval, marked where it is sure."""
    if cell is None or cell.paired is None:
        return DASH
    digits = _digits(cell, decimals)
    estimate = cell.paired.difference
    mean, low, high = (_signed(x, digits) for x in (estimate.mean, estimate.low, estimate.high))
    mark = "" if cell.better is None else f"{BETTER if cell.better else WORSE} "
    return f"{mark}{mean} [{low}, {high}]"


def _digits(cell: Cell, decimals: int | None) -> int:
    own = max(style_of(cell.metric).decimals, _LEAST_DECIMALS)
    return own if decimals is None else decimals


def _signed(value: float, digits: int) -> str:
    return f"{round(value, digits) + 0.0:+.{digits}f}"  # no minus in front of zero


def _p(value: float) -> str:
    return f"{value:.3f}" if value >= 0.001 else "<0.001"


def _detectable(cell: Cell, decimals: int | None) -> str:
    if cell.paired is None:
        return ""
    least = cell.paired.detectable
    return f"{least:.{_digits(cell, decimals)}f}" if math.isfinite(least) else DASH


def _too_few(cells: Sequence[Cell]) -> list[str]:
    """Say that no difference could have been marked, however large, if that is so."""
    tested = [cell for cell in cells if cell.paired is not None]
    images = max((cell.paired.n for cell in tested if cell.paired is not None), default=0)
    if not tested or least_p(images) * len(tested) <= LEVEL:
        return []
    needed = math.ceil(1 + math.log2(len(tested) / LEVEL))
    counted = "1 image" if images == 1 else f"{images} images"
    return [
        f"too few: on {counted} the test gives no p below {least_p(images):.2g}, so that none of"
        f" {len(tested)} cells can be marked, however large the difference; {needed} images could"
    ]


def _infinite(cells: Iterable[Cell]) -> list[str]:
    """Name the cells where an image is infinite on one side alone."""
    return [
        f"x{cell.scale:g} {cell.model}: the difference is +infinity on {cell.paired.above} images,"
        f" -infinity on {cell.paired.below}"
        for cell in cells
        if cell.paired is not None and (cell.paired.above or cell.paired.below)
    ]


def _lacking(cells: Iterable[Cell], items: int) -> list[str]:
    """Say of how many images cells are that lack some."""
    fewest = min((cell.paired.n for cell in cells if cell.paired is not None), default=items)
    return [] if fewest == items else [f"some cells are of fewer images, {fewest} at the least"]


def compare_csv(comparisons: Iterable[Comparison], front: Sequence[str] | None = None) -> str:
    """Return comparisons as CSV, unrounded, one line per number that a table shows.

    Lines of "cell" and "summary" hold differences, those of "rank" mean ranks, those of "front"
    whether a model is on the front (1 or 0) and the share of resamples in which it is.

    Args:
        comparisons: Data set by data set.
        front: Metrics of the Pareto front; the usual ones where None.
    """
    lines = [line for each in comparisons for line in _lines(each, front)]
    whole = csv_cells(pd.DataFrame(lines, columns=_CSV))
    counts = dict.fromkeys(("images", "pairs"), "Int64")
    return str(whole.astype(counts).to_csv(index=False, lineterminator="\n"))


_CSV = [
    "dataset", "kind", "metric", "scale", "regime", "model", "baseline", "value", "images",
    "difference", "low", "high", "pairs", "test", "p", "p_holm", "verdict", "detectable",
    "resamples_on_front",
]  # fmt: skip


def _lines(comparison: Comparison, front: Sequence[str] | None) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = [
        {"kind": kind, **_line(cell)}
        for kind, cells in (("cell", comparison.cells), ("summary", comparison.summaries))
        for cell in cells
    ]
    lines += [
        {
            "kind": "rank",
            "metric": rank.metric,
            "scale": rank.scale,
            "model": rank.model,
            "value": rank.mean,
        }
        for rank in comparison.ranks
    ]
    names = comparison.usual_front if front is None else front
    for each in comparison.front(names) if names else ():
        lines.append(
            {
                "kind": "front",
                "metric": ",".join(dict.fromkeys(names)),
                "scale": each.scale,
                "model": each.model,
                "value": int(each.on),
                "images": each.images,
                "resamples_on_front": each.share,
            }
        )
    common = {"dataset": comparison.dataset, "baseline": comparison.baseline}
    return [{**common, **line} for line in lines]


def _line(cell: Cell) -> dict[str, object]:
    line: dict[str, object] = {
        "metric": cell.metric,
        "scale": cell.scale,
        "regime": cell.regime,
        "model": cell.model,
        "value": cell.mean,
        "images": cell.images,
    }
    if cell.paired is None:
        return line
    estimate = cell.paired.difference
    return line | {
        "difference": estimate.mean,
        "low": estimate.low,
        "high": estimate.high,
        "pairs": cell.paired.n,
        "test": cell.test,
        "p": cell.p,
        "p_holm": cell.corrected,
        "verdict": {True: "better", False: "worse", None: "unsure"}[cell.better],
        "detectable": cell.paired.detectable,
    }
