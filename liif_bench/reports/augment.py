"""What test-time augmentation recognises, as tables; nothing here imports torch."""

from __future__ import annotations

from liif_bench.analysis.augment import ONE, PLACES, AugmentResults
from liif_bench.downstream import CROPS, ONE_CROP
from liif_bench.reports.grids import Grid, lacking
from liif_bench.reports.zoom import p_value_text, range_text, signed_text

_LEGEND = (
    f"one: the view at {ONE_CROP}, centre; mean: of the probabilities on {CROPS} random resized"
    " crops; memo: the one crop, after one step towards a lower entropy of that mean"
)
_TEST = "p: McNemar's exact test"


def augment_grids(results: AugmentResults, baseline: str) -> list[Grid]:
    """Return the tables of one data set: accuracy, gain over a baseline, gain over one crop.

    Args:
        results: What was recognised.
        baseline: Upsampler that gains are over; no such table where it is not among the run's.
    """
    grids = []
    for scale in results.scales:
        grids.append(_accuracy(results, scale))
        if baseline in results.upsamplers and len(results.upsamplers) > 1:
            grids.append(_over_baseline(results, scale, baseline))
        grids.append(_over_one(results, scale))
    return grids


def _title(results: AugmentResults, scale: float, what: str) -> str:
    return f"{results.dataset}: x{scale:g}, test-time augmentation, {what}"


def _name(method: str, places: int) -> str:
    return f"top-{places} ({method})"


def _accuracy(results: AugmentResults, scale: float) -> Grid:
    rows = tuple(
        (
            _name(method, places),
            *(
                range_text(results.estimate(name, scale, method, places))
                for name in results.upsamplers
            ),
        )
        for places in PLACES
        for method in results.methods
    )
    everyone = results.images()
    short = tuple(
        lacking(name, results.images(name), everyone)
        for name in results.upsamplers
        if results.images(name) < everyone
    )
    return Grid(
        _title(results, scale, "accuracy with 95 % intervals"),
        ("measure", *results.upsamplers),
        rows,
        notes=(f"labelled images: {everyone}", _LEGEND, *short),
    )


def _over_baseline(results: AugmentResults, scale: float, baseline: str) -> Grid:
    others = [name for name in results.upsamplers if name != baseline]
    rows = []
    for places in PLACES:
        for method in results.methods:
            texts = []
            for name in others:
                gain = results.gain_over(baseline, name, scale, method, places)
                texts += [signed_text(gain), p_value_text(gain)]
            rows.append((_name(method, places), *texts))
    return Grid(
        _title(results, scale, f"gain over {baseline}, paired by image"),
        ("measure", *(head for name in others for head in (name, "p"))),
        tuple(rows),
        unit=2,
        notes=(_TEST,),
    )


def _over_one(results: AugmentResults, scale: float) -> Grid:
    rows = []
    for places in PLACES:
        for method in results.methods:
            if method == ONE:
                continue
            texts = []
            for name in results.upsamplers:
                gain = results.gain_of(name, scale, method, places)
                texts += [signed_text(gain), p_value_text(gain)]
            rows.append((_name(method, places), *texts))
    return Grid(
        _title(results, scale, "gain over the one crop of the same model, paired by image"),
        ("measure", *(head for name in results.upsamplers for head in (name, "p"))),
        tuple(rows),
        unit=2,
        notes=(_TEST,),
    )
