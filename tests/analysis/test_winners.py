"""Winners: who they are, and when they are sure."""

import itertools
import math

import numpy as np
import pytest
from frames import made_up
from scipy import stats as scipy_stats

from liif_bench.analysis.compare import compare
from liif_bench.analysis.winners import contenders, images_needed, winners


def compared(values, scales=(2,), metrics=("psnr",), **columns):
    """Compare models; `values` maps a model to its value per image, or a function of scale."""
    rows = [
        (f"image{n}", scale, model, metric, value)
        for metric in metrics
        for scale in scales
        for model, each in values.items()
        for n, value in enumerate(each(scale, metric) if callable(each) else each)
    ]
    [found] = compare(made_up(rows, **columns))
    return found


def drawn(seed, shift=0.0, images=14):
    return (30 + shift + np.random.default_rng(seed).normal(size=images)).tolist()


def test_the_winner_has_the_best_mean_whichever_way_is_better():
    comparison = compared(
        {"bicubic": [1.0, 2.0, 3.0], "a": [2.0, 3.0, 4.0], "b": [0.0, 1.0, 2.5]},
        metrics=("psnr", "lpips"),
    )
    psnr, lpips = winners(comparison)
    assert (psnr.model, psnr.runner_up, psnr.mean) == ("a", "bicubic", 3.0)
    assert (lpips.model, lpips.runner_up, lpips.mean) == ("b", "bicubic", 3.5 / 3)
    assert lpips.margin.difference.mean == pytest.approx(3.5 / 3 - 2)


def test_p_values_are_those_of_scipy_corrected_by_hand():
    scales = (2, 4, 8)
    values = {
        model: {scale: drawn(17 * n + scale, 0.6 * n) for scale in scales}
        for n, model in enumerate(["bicubic", "a", "b"])
    }
    found = winners(compared({m: lambda s, _, m=m: values[m][s] for m in values}, scales=scales))
    raw = []
    for scale in scales:
        best = max(values, key=lambda model: np.mean(values[model][scale]))
        others = [model for model in values if model != best]
        p = max(
            scipy_stats.wilcoxon(values[best][scale], values[other][scale], method="exact").pvalue
            for other in others
        )
        raw.append(min(1.0, p * len(others)))
    expected = [0.0] * len(raw)
    highest = 0.0
    for place, n in enumerate(sorted(range(len(raw)), key=raw.__getitem__)):
        highest = max(highest, min(1.0, raw[n] * (len(raw) - place)))
        expected[n] = highest
    assert [cell.corrected for cell in found] == pytest.approx(expected)


def test_a_clear_winner_is_sure_and_one_of_several_alike_is_not():
    base = drawn(1)
    clear = {"bicubic": base, "a": [v + 1 + 0.01 * n for n, v in enumerate(base)]}
    [cell] = winners(compared(clear))
    assert (cell.model, cell.sure) == ("a", True)
    alike = clear | {"b": [v + (-1) ** n * 0.1 for n, v in enumerate(clear["a"])]}
    [cell] = winners(compared(alike))
    assert not cell.sure  # better than bicubic, but not than its like


def test_a_tie_has_no_winner_and_is_never_sure():
    [cell] = winners(compared({"bicubic": [1.0, 2.0], "a": [2.0, 1.0]}))
    assert (cell.model, cell.runner_up, cell.corrected, cell.sure) == (None, None, None, False)


def test_infinite_values_do_not_become_nan():
    inf = math.inf
    [cell] = winners(compared({"bicubic": [inf] * 8, "a": [inf] * 8}))
    assert cell.model is None
    [cell] = winners(compared({"bicubic": drawn(2, images=8), "a": [inf] * 8}))
    assert (cell.model, cell.mean) == ("a", inf)
    assert cell.corrected == pytest.approx(2 / 2**8)


def test_only_images_that_all_models_have_count():
    [cell] = winners(compared({"bicubic": [1.0, 9.0, 1.0], "a": [2.0, "broken", 2.0]}))
    assert (cell.model, cell.images) == ("a", 2)


def test_hr_itself_cannot_win():
    comparison = compared({"hr": [9.0] * 3, "bicubic": [1.0] * 3, "a": [2.0, 2.0, 3.0]})
    assert contenders(comparison) == ("bicubic", "a")
    assert [cell.model for cell in winners(comparison)] == ["a"]


def test_as_many_images_as_needed_and_no_fewer_can_be_sure():
    for models, scales in itertools.product((2, 4), ((2,), (2, 4, 8))):
        names = ["bicubic", *(f"m{n}" for n in range(1, models))]

        def sure(images, names=names, scales=scales):
            values = {
                name: [10.0 * place + n * (1 + place) for n in range(images)]
                for place, name in enumerate(names)
            }
            return [cell.sure for cell in winners(compared(values, scales=scales))]

        needed = images_needed(compared({name: [1.0] for name in names}, scales=scales))
        assert all(sure(needed))
        assert not any(sure(needed - 1))


def test_among_models_that_are_alike_hardly_ever_one_is_sure():
    rng = np.random.default_rng(0)
    trials, alarms = 200, 0
    for _ in range(trials):
        values = {name: (30 + rng.normal(size=12)).tolist() for name in ("bicubic", "a", "b")}
        alarms += any(cell.sure for cell in winners(compared(values)))
    # 5 % at most by the correction; 21 of 200 would be beyond four standard deviations
    assert alarms <= 21
