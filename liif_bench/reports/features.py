"""Fidelity of features as tables and figures; nothing here imports torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from liif_bench.analysis.features import FeatureResults, Way
from liif_bench.analysis.stats import Estimate
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.grids import Grid, lacking
from liif_bench.reports.tables import DASH
from liif_bench.upsamplers import TRUTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

IMAGE = "image"
_FROM_LR = "bilinear"
_LEGEND = (
    "image: encode SR; tiles: encode SR in tiles of the encoder's native size; bilinear,"
    " bilateral: encode LR, then upsample its features (bilateral: guided by SR)",
    "hr is a ceiling: its routes are shown HR",
)
_SHUFFLED = (
    "shuffled: HR against the tokens of another image of the set, expected over all pairs of images"
    " and places; the mean token of the set would have 1"
)


def feature_grids(results: Sequence[FeatureResults], baseline: str) -> list[Grid]:
    """Return the tables of one data set: for each scale, four of all its encoders.

    Args:
        results: Its encoders.
        baseline: Upsampler that others are held against; no such table where it is not among the
            run's.
    """
    grids = []
    for scale in sorted({scale for each in results for scale in each.scales}):
        here = [each for each in results if scale in each.scales]
        grids += [_fidelities(here, scale), _cosines(here, scale), _image_or_features(here, scale)]
        if any(baseline in each.upsamplers for each in here):
            grids.append(_upsamplers(here, scale, baseline))
    return [grid for grid in grids if grid.rows]


def _grid(
    results: Sequence[FeatureResults],
    title: str,
    rows: Sequence[tuple[str, ...]],
    notes: tuple[str, ...] = (),
    route: str = "route",
) -> Grid:
    """Return a table with a row per upsampler and route and a column per encoder."""
    heads = ("model", route, *(each.encoder for each in results))
    return Grid(f"{results[0].dataset}: {title}", heads, tuple(rows), names=2, notes=notes)


def _ways(results: Sequence[FeatureResults]) -> list[Way]:
    return list(dict.fromkeys(way for each in results for way in each.ways))


def _fidelities(results: Sequence[FeatureResults], scale: float) -> Grid:
    rows = [
        (
            way.upsampler,
            way.route,
            *(_shown(each.fidelity(scale, way) if way in each.ways else None) for each in results),
        )
        for way in _ways(results)
    ]
    shuffled = [each.shuffled(scale) for each in results]
    rows.append((TRUTH, "shuffled", *map(_number, shuffled)))
    return _grid(
        results,
        f"x{scale:g}, fidelity of features ↑ with 95 % intervals",
        rows,
        (*_counts(results, scale), *_LEGEND, _SHUFFLED),
    )


def _cosines(results: Sequence[FeatureResults], scale: float) -> Grid:
    rows = []
    for way in _ways(results):
        means = [each.cosine(scale, way) if way in each.ways else None for each in results]
        rows.append((way.upsampler, way.route, *map(_number, means)))
    return _grid(
        results,
        f"x{scale:g}, cosine of tokens with HR's ↑",
        rows,
        ("mean over the tokens of all images; it does not see how long tokens are",),
    )


def _counts(results: Sequence[FeatureResults], scale: float) -> tuple[str, ...]:
    """Say over how many images, and of which encoder some are lacking."""
    whole = max(int(each.rows["item"].nunique()) for each in results)
    lacking = tuple(
        lacking(each.encoder, len(each.items(scale)), whole)
        for each in results
        if len(each.items(scale)) < whole
    )
    return (f"{whole} images", *lacking)


def _image_or_features(results: Sequence[FeatureResults], scale: float) -> Grid:
    rows = []
    for way in _ways(results):
        if way.route == IMAGE or way.upsampler == TRUTH:
            continue
        image = Way(way.upsampler, IMAGE)
        gains = (each.gain(scale, image, way) if way in each.ways else None for each in results)
        rows.append((way.upsampler, way.route, *map(_shown, gains)))
    return _grid(
        results,
        f"x{scale:g}, fidelity of the route image over another's, paired by image",
        rows,
        ("above 1: sharpening the image and then encoding it is better",),
        "over route",
    )


def _upsamplers(results: Sequence[FeatureResults], scale: float, baseline: str) -> Grid:
    rows = []
    for way in _ways(results):
        if way.upsampler in (baseline, TRUTH) or way.route == _FROM_LR:
            continue
        base = Way(baseline, way.route)
        gains = (
            each.gain(scale, way, base) if {way, base} <= set(each.ways) else None
            for each in results
        )
        rows.append((way.upsampler, way.route, *map(_shown, gains)))
    title = f"x{scale:g}, fidelity over that of {baseline} by the same route, paired by image"
    return _grid(results, title, rows)


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _shown(estimate: Estimate | None) -> str:
    if estimate is None:
        return DASH
    if math.isinf(estimate.mean):
        return "inf"
    return f"{estimate.mean:.2f} [{estimate.low:.2f}, {estimate.high:.2f}]"


def draw_fidelity(results: FeatureResults) -> Figure:
    """Draw the fidelity of every route and upsampler by scale, with intervals.

    A bar per upsampler, a group per route; the dashed line is what the set's mean token would get.
    What is infinite is left out, and so is `hr`, whose routes are shown HR.

    Raises:
        LiifBenchError: matplotlib is not installed.
    """
    names = [name for name in results.upsamplers if name != TRUTH] or [*results.upsamplers]
    figure = empty_figure(width=1.5 + 3.2 * len(results.scales), height=3.4)
    plots = figure.subplots(1, len(results.scales), sharey=True, squeeze=False)[0]
    width = 0.8 / len(names)
    for axes, scale in zip(plots, results.scales, strict=True):
        for number, name in enumerate(names):
            places, bars, errors = [], [], []
            for place, route in enumerate(results.routes):
                found = results.fidelity(scale, Way(name, route))
                if found is not None and math.isfinite(found.mean):
                    places.append(place + (number - (len(names) - 1) / 2) * width)
                    bars.append(found.mean)
                    errors.append((found.mean - found.low, found.high - found.mean))
            axes.bar(
                places,
                bars,
                width,
                yerr=[*zip(*errors, strict=True)] or None,
                color=COLOURS[number % len(COLOURS)],
                error_kw={"lw": 1, "capsize": 2},
                label=name,
            )
        axes.axhline(1, color="0.4", ls="--", lw=1)
        axes.set_xticks(range(len(results.routes)), results.routes, fontsize=8)
        axes.set_title(f"x{scale:g}", fontsize=9)
        axes.grid(visible=True, axis="y", alpha=0.25)
    plots[0].set_ylabel("fidelity ↑")
    plots[-1].legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    figure.suptitle(f"{results.dataset}, {results.encoder}: fidelity of features", fontsize=9)
    return figure
