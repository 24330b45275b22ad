"""What was seen in zoomed views, as tables and figures; nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from liif_bench.analysis.stats import Estimate
from liif_bench.analysis.zoom import BINS, MEASURES, Gain, Measure, Seen, ZoomResults
from liif_bench.downstream import ONE_CROP
from liif_bench.errors import LiifBenchError
from liif_bench.reports.figures import COLOURS, empty_figure
from liif_bench.reports.grids import Grid, lacking
from liif_bench.reports.tables import DASH
from liif_bench.upsamplers import TRUTH

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LEGEND = (
    f"one: the view at {ONE_CROP}, centre; mean: of all views; any: right in at least one (of the"
    " centre ones); agree, KL (nats): with and from HR; ↓: lower is better"
)
_ROWS = ("top", "middle", "bottom")
_COLUMNS = ("left", "centre", "right")


def zoom_grids(results: ZoomResults, baseline: str) -> list[Grid]:
    """Return the tables of one data set.

    Args:
        results: Its views.
        baseline: Upsampler that gains are over; no gains where it is not among the run's.
    """
    grids = []
    for scale in results.scales:
        grids.append(_measures(results, scale))
        if baseline in results.upsamplers and len(results.upsamplers) > 1:
            grids.append(_gains(results, scale, baseline))
    if results.labelled:
        everyone = [
            results.seen(name, scale) for scale in results.scales for name in results.upsamplers
        ]
        grids += [
            _by_size(results, everyone, centre=True),
            _by_size(results, everyone, centre=False),
            _by_anchor(results, everyone),
            _sides(results, everyone),
        ]
    return grids


def _title(results: ZoomResults, what: str) -> str:
    return f"{results.dataset}: {what}"


def _count(results: ZoomResults) -> str:
    return f"{results.images} images, {results.labelled} of them labelled"


def _measures(results: ZoomResults, scale: float) -> Grid:
    seen = [results.seen(name, scale) for name in results.upsamplers]
    rows = [
        (_name(measure), *(range_text(each.estimate(measure)) for each in seen))
        for measure in MEASURES
    ]
    return Grid(
        _title(results, f"x{scale:g}, means over images with 95 % intervals"),
        ("measure", *results.upsamplers),
        tuple(rows),
        notes=(_count(results), _LEGEND, *_partial(results, seen)),
    )


def _gains(results: ZoomResults, scale: float, baseline: str) -> Grid:
    base = results.seen(baseline, scale)
    others = [name for name in results.upsamplers if name != baseline]
    rows = []
    for measure in MEASURES:
        texts = []
        for name in others:
            gain = results.seen(name, scale).gain(measure, base)
            texts += [signed_text(gain), p_value_text(gain)]
        rows.append((_name(measure), *texts))
    return Grid(
        _title(results, f"x{scale:g}, gain over {baseline}, paired by image"),
        ("measure", *(head for name in others for head in (name, "p"))),
        tuple(rows),
        unit=2,
        notes=("p: McNemar's exact test, where an image is right or wrong",),
    )


def _partial(results: ZoomResults, seen: Sequence[Seen]) -> tuple[str, ...]:
    """Name the upsamplers that lack views of some images."""
    counts = {each.upsampler: int(each.views["item"].nunique()) for each in seen}
    return tuple(
        lacking(name, count, results.images)
        for name, count in counts.items()
        if count < results.images
    )


def _by_size(results: ZoomResults, everyone: Sequence[Seen], *, centre: bool) -> Grid:
    curves = [each.by_size(centre=centre) for each in everyone]
    sizes = sorted({size for curve in curves for size in curve})
    which = "centre view" if centre else "mean of nine views"
    return Grid(
        _title(results, f"top-1 accuracy by size of the shorter side, {which}"),
        ("model", "scale", *map(str, sizes)),
        tuple(
            (*_who(each), *(_number(curve.get(size)) for size in sizes))
            for each, curve in zip(everyone, curves, strict=True)
        ),
        names=2,
    )


def _by_anchor(results: ZoomResults, everyone: Sequence[Seen]) -> Grid:
    return Grid(
        _title(results, "top-1 accuracy by anchor, mean over sizes"),
        ("model", "scale", "row", *_COLUMNS),
        tuple(
            (*_who(each), row, *map(_number, values))
            for each in everyone
            if not each.labelled.empty
            for row, values in zip(_ROWS, each.by_anchor(), strict=True)
        ),
        names=3,
    )


def _sides(results: ZoomResults, everyone: Sequence[Seen]) -> Grid:
    rows = []
    for each in everyone:
        found = each.exclusives()
        shares = (found.zoom_in, found.zoom_out, found.never) if found else (None,) * 3
        rows.append((*_who(each), *map(_number, shares), _number(each.calibration_error())))
    return Grid(
        _title(results, "what one zoom alone shows, and calibration"),
        ("model", "scale", "zoom-in only", "zoom-out only", "never", "ECE"),
        tuple(rows),
        names=2,
        notes=(
            "zoom-in only, zoom-out only: share of images that are right in a view larger (smaller)"
            f" than {ONE_CROP} and in no other",
            f"ECE: expected calibration error of all views, {BINS} bins",
        ),
    )


def _who(seen: Seen) -> tuple[str, str]:
    return seen.upsampler, f"x{seen.scale:g}"


def _name(measure: Measure) -> str:
    return measure.name if measure.higher_is_better else f"{measure.name} ↓"


def range_text(estimate: Estimate | None) -> str:
    """Return a mean with its interval as a cell."""
    if estimate is None:
        return DASH
    return f"{estimate.mean:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def signed_text(gain: Gain | None) -> str:
    """Return a gain with its interval as a cell."""
    if gain is None:
        return DASH
    mean, low, high = (
        round(value, 3) + 0.0  # no minus in front of zero
        for value in (gain.difference.mean, gain.difference.low, gain.difference.high)
    )
    return f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"


def p_value_text(gain: Gain | None) -> str:
    """Return a gain's p-value as a cell, empty where it has none."""
    if gain is None or gain.p_value is None:
        return ""
    return f"{gain.p_value:.3f}" if gain.p_value >= 0.001 else "<0.001"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.3f}"


def draw_curves(results: ZoomResults, scale: float) -> Figure:
    """Draw top-1 accuracy against the size of the shorter side, the mean of nine views.

    HR, where the run has it, is the dashed ceiling.

    Raises:
        LiifBenchError: No image has a label; matplotlib is not installed.
    """
    if not results.labelled:
        raise LiifBenchError(f"no image of '{results.dataset}' has a label: there is no accuracy")
    figure = empty_figure()
    axes = figure.subplots()
    others = [name for name in results.upsamplers if name != TRUTH]
    styles = {name: (COLOURS[n % len(COLOURS)], "-") for n, name in enumerate(others)}
    styles[TRUTH] = ("black", "--")
    for name in results.upsamplers:
        curve = results.seen(name, scale).by_size()
        colour, line = styles[name]
        axes.plot([*curve], [*curve.values()], line, color=colour, marker="o", ms=4, label=name)
    axes.set_xscale("log", base=2)
    sizes = sorted(int(size) for size in results.rows["size"].unique())
    shown = sizes if len(sizes) <= 8 else [16, 32, 64, 128, 256, 512, 1024]
    axes.set_xticks(shown, [str(size) for size in shown])
    axes.set_xlabel("shorter side of the zoomed image (pixels)")
    axes.set_ylabel("top-1 accuracy ↑")
    axes.set_ylim(0, 1.02)
    axes.grid(visible=True, alpha=0.25)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    axes.set_title(f"{results.dataset}, LR = HR / {scale:g}: mean of nine views", fontsize=9)
    return figure


def draw_anchors(results: ZoomResults, scale: float) -> Figure:
    """Draw top-1 accuracy by anchor, a 3x3 map for each upsampler under one scale of colours.

    Raises:
        LiifBenchError: No image has a label; matplotlib is not installed.
    """
    seen = [results.seen(name, scale) for name in results.upsamplers]
    maps = {each.upsampler: each.by_anchor() for each in seen if not each.labelled.empty}
    if not maps:
        raise LiifBenchError(f"no image of '{results.dataset}' has a label: there is no accuracy")
    figure = empty_figure(width=1.2 + 2.2 * len(maps), height=2.9)
    low = min(values.min() for values in maps.values())
    high = max(values.max() for values in maps.values())
    plots = figure.subplots(1, len(maps), squeeze=False)[0]
    drawn = []
    for axes, (name, values) in zip(plots, maps.items(), strict=True):
        drawn.append(axes.imshow(values, vmin=low, vmax=high, cmap="viridis"))
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                dark = values[row, column] < (low + high) / 2
                axes.text(
                    column,
                    row,
                    f"{values[row, column]:.2f}",
                    ha="center",
                    va="center",
                    fontsize=9,
                    color="white" if dark else "black",
                )
        axes.set_xticks(range(len(_COLUMNS)), _COLUMNS, fontsize=7)
        axes.set_yticks(range(len(_ROWS)), _ROWS, fontsize=7)
        axes.set_title(name, fontsize=9)
    figure.colorbar(drawn[0], ax=list(plots), label="top-1 accuracy", shrink=0.8)
    figure.suptitle(f"{results.dataset}, LR = HR / {scale:g}: accuracy by anchor", fontsize=9)
    return figure
