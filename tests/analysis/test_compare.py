import math

import numpy as np
import pytest
import scipy.stats
from frames import made_up

from liif_bench.analysis.compare import IN, MCNEMAR, OUT, SIGNED_RANK, UNKNOWN, chosen, compare
from liif_bench.analysis.stats import holm, mcnemar, paired, resampled_means, wilcoxon
from liif_bench.errors import LiifBenchError

ITEMS = [f"i{number:02d}" for number in range(20)]
SCALES = (2, 4, 8)
MODELS = ("nearest", "bicubic", "liif")
METRICS = ("psnr", "lpips", "zoom-one-top1")
GAIN = {"nearest": -1.0, "bicubic": 0.0, "liif": 2.0}


def values():
    """By metric, scale and model the values of all items."""
    rng = np.random.default_rng(0)
    found = {}
    for scale in SCALES:
        hard = rng.normal(size=len(ITEMS))
        for model in MODELS:
            noise = rng.normal(scale=0.4, size=len(ITEMS))
            quality = hard + GAIN[model] + noise
            found["psnr", scale, model] = 30 - scale + quality
            found["lpips", scale, model] = 0.3 - 0.05 * GAIN[model] + 0.1 * noise
            found["zoom-one-top1", scale, model] = (quality > 0).astype(float)
    return found


VALUES = values()


def rows():
    return [
        (item, scale, model, metric, float(VALUES[metric, scale, model][place]))
        for place, item in enumerate(ITEMS)
        for scale in SCALES
        for model in MODELS
        for metric in METRICS
    ]


@pytest.fixture(scope="module")
def comparison():
    (found,) = compare(made_up(rows()))
    return found


def test_every_cell_is_its_definition(comparison):
    assert comparison.baseline == "bicubic"
    assert len(comparison.cells) == 27
    for cell in comparison.cells:
        ours = VALUES[cell.metric, cell.scale, cell.model]
        theirs = VALUES[cell.metric, cell.scale, "bicubic"]
        assert cell.mean == pytest.approx(ours.mean())
        assert cell.images == 20
        if cell.model == "bicubic":
            assert (cell.paired, cell.p, cell.corrected, cell.better) == (None, None, None, None)
            continue
        assert cell.paired == paired(ours, theirs)
        binary = cell.metric == "zoom-one-top1"
        assert cell.test == (MCNEMAR if binary else SIGNED_RANK)
        assert cell.p == (mcnemar(ours, theirs) if binary else wilcoxon(ours - theirs))


def test_p_values_are_corrected_over_all_cells_of_the_table(comparison):
    tested = [cell for cell in comparison.cells if cell.p is not None]
    assert [cell.corrected for cell in tested] == holm([cell.p for cell in tested])
    assert len(tested) == 18
    (one,) = compare(chosen(made_up(rows()), metrics=["psnr"], scales=[2]))
    assert [cell.corrected for cell in one.cells if cell.p] == holm(
        [cell.p for cell in tested if (cell.metric, cell.scale) == ("psnr", 2)]
    )


def test_who_is_better_follows_the_direction_of_the_metric(comparison):
    verdicts = {(cell.metric, cell.model): cell.better for cell in comparison.cells}
    assert verdicts["psnr", "liif"] is True
    assert verdicts["lpips", "liif"] is True  # a lower value
    assert verdicts["psnr", "nearest"] is False
    (back,) = compare(made_up(rows()), "liif")
    assert {cell.better for cell in back.cells if cell.metric != "zoom-one-top1"} == {None, False}


def test_identical_models_are_never_better():
    same = made_up([(i, 2, m, "psnr", 30.0 + n) for n, i in enumerate(ITEMS) for m in "ab"])
    (found,) = compare(same)
    cell = found.cells[1]
    assert (cell.paired.difference.mean, cell.p, cell.corrected, cell.better) == (0, 1, 1, None)


def test_a_significant_test_without_a_clear_mean_is_no_verdict():
    """Most images a little better, two very much worse: the ranks and the mean disagree."""
    gains = np.r_[np.linspace(0.1, 0.2, 28), -9.0, -8.0]
    table = [(f"i{n}", 2, "a", "psnr", 30.0) for n in range(30)]
    table += [(f"i{n}", 2, "b", "psnr", 30.0 + gain) for n, gain in enumerate(gains)]
    (found,) = compare(made_up(table))
    cell = found.cells[1]
    assert cell.corrected < 0.05
    assert cell.paired.difference.mean < 0
    assert cell.better is None


def test_summaries_are_means_over_the_scales_of_a_regime(comparison):
    assert len(comparison.summaries) == 3 * 2 * 2
    for cell in comparison.summaries:
        scales = {IN: (2, 4), OUT: (8,)}[cell.regime]
        ours, theirs = (
            np.mean([VALUES[cell.metric, scale, model] for scale in scales], axis=0)
            for model in (cell.model, "bicubic")
        )
        assert cell.paired.difference.mean == pytest.approx((ours - theirs).mean())
        assert cell.scale is None
        one_scale = cell.metric == "zoom-one-top1" and cell.regime == OUT
        assert cell.test == (MCNEMAR if one_scale else SIGNED_RANK)
    tested = [cell.p for cell in comparison.summaries]
    assert [cell.corrected for cell in comparison.summaries] == holm(tested)


def test_the_regime_is_the_models_own_then_the_baselines_then_everyones():
    frame = made_up([("a", s, m, "psnr", 30.0) for s in (2, 8) for m in ("x", "liif1", "liif2")])
    frame.loc[(frame["upsampler"] == "liif2"), "regime"] = "out"
    (found,) = compare(frame, "x")
    assert [found.regime(2.0, m) for m in ("liif1", "liif2", "x")] == [IN, OUT, UNKNOWN]
    assert found.regime(8.0, "x") == OUT  # all trained models agree
    (found,) = compare(frame, "liif1")
    assert found.regime(2.0, "x") == IN
    (found,) = compare(made_up([("a", 2, m, "psnr", 30.0) for m in "xy"]))
    assert [cell.regime for cell in found.summaries] == [UNKNOWN]


def test_ranks_are_scipys_mean_ranks(comparison):
    for rank in comparison.ranks:
        scales = SCALES if rank.scale is None else (rank.scale,)
        ranked = []
        for scale in scales:
            table = np.array([VALUES[rank.metric, scale, model] for model in MODELS])
            sign = 1 if rank.metric == "lpips" else -1
            ranked.append(scipy.stats.rankdata(sign * table, axis=0))
        expected = np.mean(ranked, axis=(0, 2))[MODELS.index(rank.model)]
        assert rank.mean == pytest.approx(expected)
        assert rank.cases == 20 * len(scales)


def test_ranks_and_fronts_are_over_items_that_every_model_has():
    table = rows()
    table[0] = (*table[0][:4], "broken")  # i00, x2, nearest, psnr
    (found,) = compare(made_up(table))
    cases = {(rank.metric, rank.scale): rank.cases for rank in found.ranks}
    assert cases["psnr", 2] == 19
    assert cases["psnr", None] == 59
    assert cases["lpips", 2] == 20
    assert {each.images for each in found.front(["psnr", "lpips"]) if each.scale == 2} == {19}
    cell = found.cells[0]
    assert (cell.model, cell.images, cell.paired.n) == ("nearest", 19, 19)


def test_the_front_is_what_nobody_beats():
    """Sharp wins by LPIPS, faithful by PSNR, poor is behind both, fair is between them."""
    points = {"sharp": (25, 0.1), "faithful": (30, 0.3), "poor": (24, 0.4), "fair": (27, 0.2)}
    table = [
        (f"i{n}", 4, model, metric, value + noise)
        for n, noise in enumerate((0.0, 1e-3, -1e-3, 2e-3))
        for model, pair in points.items()
        for metric, value in zip(("psnr", "lpips"), pair, strict=True)
    ]
    (found,) = compare(made_up(table))
    front = {each.model: each for each in found.front(found.usual_front)}
    assert {name for name, each in front.items() if each.on} == {"sharp", "faithful", "fair"}
    assert {name: each.share for name, each in front.items()} == {
        "sharp": 1, "faithful": 1, "poor": 0, "fair": 1,
    }  # fmt: skip


def test_the_share_of_a_front_is_that_of_resamples(comparison):
    front = {(e.model, e.scale): e for e in comparison.front(["psnr", "lpips", "zoom-one-top1"])}
    for scale in SCALES:
        means = {
            model: np.stack(
                [
                    (-1 if metric == "lpips" else 1) * resampled_means(VALUES[metric, scale, model])
                    for metric in METRICS
                ]
            )
            for model in MODELS
        }
        for model in MODELS:
            beaten = np.zeros(9999, bool)
            for other in MODELS:
                gap = means[other] - means[model]
                beaten |= (gap >= 0).all(axis=0) & (gap > 0).any(axis=0)
            assert front[model, scale].share == pytest.approx(1 - beaten.mean())


def test_of_models_with_equal_means_none_beats_the_other():
    pair = [("i0", 2, m, metric, 1.0) for m in "ab" for metric in ("psnr", "lpips")]
    (found,) = compare(made_up(pair))
    assert all(each.on and each.share == 1 for each in found.front(["psnr", "lpips"]))


@pytest.mark.parametrize(
    ("names", "message"), [(["psnr"], "two metrics"), (["psnr", "lips"], "did you mean lpips")]
)
def test_a_front_of_too_few_or_unknown_metrics_is_refused(comparison, names, message):
    with pytest.raises(LiifBenchError, match=message):
        comparison.front(names)


def test_a_cell_without_values_is_empty_and_no_part_of_the_correction():
    table = rows()
    broken = [(*row[:4], "broken") if row[1:4] == (8, "liif", "psnr") else row for row in table]
    (found,) = compare(made_up(broken))
    (cell,) = [c for c in found.cells if (c.scale, c.model, c.metric) == (8, "liif", "psnr")]
    assert (cell.mean, cell.images, cell.paired, cell.p) == (None, 0, None, None)
    assert sum(c.p is not None for c in found.cells) == 17
    (summary,) = [
        c for c in found.summaries if (c.model, c.metric, c.regime) == ("liif", "psnr", OUT)
    ]
    assert summary.paired is None
    ranks = [rank for rank in found.ranks if (rank.metric, rank.scale) == ("psnr", 8)]
    assert all(rank.mean is None for rank in ranks)
    assert {each.scale for each in found.front(["psnr", "lpips"])} == {2, 4}


def test_infinite_psnr_reaches_the_cell():
    table = [(i, 2, m, "psnr", 30.0 + n) for n, i in enumerate(ITEMS) for m in ("bicubic", "hr")]
    table = [(*row[:4], math.inf) if row[2] == "hr" else row for row in table]
    (found,) = compare(made_up(table))
    cell = found.cells[1]
    assert (cell.mean, cell.paired.difference.mean, cell.paired.above) == (math.inf, math.inf, 20)
    assert cell.better is True


def test_the_baseline_is_the_named_one_or_bicubic_or_the_first():
    frame = made_up(rows())
    assert compare(frame, "nearest")[0].baseline == "nearest"
    several = frame.replace({"upsampler": {"bicubic": "bicubic · one"}})
    assert compare(several)[0].baseline == "bicubic · one"
    assert compare(chosen(frame, models=["liif", "nearest"]))[0].baseline == "nearest"
    with pytest.raises(LiifBenchError, match="did you mean nearest"):
        compare(frame, "nearst")
    with pytest.raises(LiifBenchError, match="nothing to compare 'liif' with"):
        compare(chosen(frame, models=["liif"]))


def test_data_sets_without_a_common_model_are_refused():
    frame = made_up(rows())
    frame.loc[frame["upsampler"] == "liif", "dataset"] = "other"
    with pytest.raises(LiifBenchError, match="'other' has only liif"):
        compare(frame)


def test_records_are_chosen_by_name():
    frame = made_up(rows())
    some = chosen(frame, models=["liif"], metrics=["psnr"], scales=[2.0, 8.0])
    assert len(some) == 40
    several = frame.replace({"upsampler": {"liif": "liif · one", "bicubic": "liif · two"}})
    assert set(chosen(several, models=["liif"])["upsampler"]) == {"liif · one", "liif · two"}
    assert set(chosen(several, models=["liif · two"])["upsampler"]) == {"liif · two"}
    for asked, message in (
        ({"models": ["lif"]}, "did you mean liif"),
        ({"metrics": ["psn"]}, "did you mean psnr"),
        ({"scales": [3.0]}, "unknown scale of the runs '3'"),
    ):
        with pytest.raises(LiifBenchError, match=message):
            chosen(frame, **asked)
