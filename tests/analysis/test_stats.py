import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats

from liif_bench.analysis import stats
from liif_bench.analysis.stats import (
    bootstrapped,
    detectable_difference,
    holm,
    least_p,
    mcnemar,
    paired,
    resampled_means,
    right_or_wrong,
    tail_for,
    wilcoxon,
)

INF = math.inf


@pytest.mark.parametrize(("won", "lost"), [(0, 0), (1, 0), (5, 5), (9, 2), (2, 9), (60, 31)])
def test_mcnemar_is_the_binomial_test_of_the_differing_images(won, lost):
    ours = np.array([1] * won + [0] * lost + [1, 0, 1])
    theirs = np.array([0] * won + [1] * lost + [1, 0, 1])
    expected = scipy.stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert mcnemar(ours, theirs) == pytest.approx(expected, rel=1e-12)
    assert mcnemar([bool(x) for x in ours], [bool(x) for x in theirs]) == mcnemar(ours, theirs)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (([0, 1, 1], [1, 0, 0]), True),
        (([0, math.nan, 1],), True),
        (([math.nan],), True),
        (([0, 1, 0.5],), False),
        (([0, 1], [2, 1]), False),
        (([0, 1], [1, math.inf]), False),
    ],
)
def test_values_of_0_and_1_are_right_or_wrong_and_what_is_missing_says_nothing(values, expected):
    assert right_or_wrong(*map(np.array, values)) is expected


@pytest.mark.parametrize("n", [1, 2, 5, 14, 50, 51, 100, 1000])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_signed_rank_test_is_scipys_where_scipy_has_one_answer(n, shift):
    differences = np.random.default_rng(n).normal(shift, 1, n)
    method = "exact" if n <= 50 else "approx"
    expected = scipy.stats.wilcoxon(differences, method=method, correction=False).pvalue
    assert wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


def test_many_shared_ranks_are_in_the_variance_as_scipy_has_them():
    differences = np.round(np.random.default_rng(1).normal(0.3, 2, 200))
    expected = scipy.stats.wilcoxon(differences, method="approx", correction=False).pvalue
    assert 0 < expected < 1
    assert wilcoxon(differences) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_few_differences_are_held_against_every_choice_of_signs(seed):
    differences = np.random.default_rng(seed).integers(-3, 5, 9).astype(float)
    rest = differences[differences != 0]
    ranks = scipy.stats.rankdata(abs(rest))
    seen = abs(ranks @ np.sign(rest))
    signs = np.array(list(itertools.product((-1, 1), repeat=len(rest))))
    expected = (abs(signs @ ranks) >= seen - 1e-9).mean()
    assert wilcoxon(differences) == pytest.approx(expected, rel=1e-12)
    assert wilcoxon(-differences) == pytest.approx(expected, rel=1e-12)


def test_identical_runs_differ_by_nothing_and_p_is_1():
    values = [30.0, INF, 28.5, 41.0, -INF, 0.0]
    result = paired(values, values)
    assert (result.difference.mean, result.difference.low, result.difference.high) == (0, 0, 0)
    assert (result.p, result.n, result.detectable) == (1.0, 6, 0.0)
    assert (result.above, result.below) == (0, 0)


def test_infinity_on_one_side_is_said_and_decides_the_mean():
    better = paired([INF, 30.0, 31, 30, 32, 35], [40, 30.5, 31, 30, 32, 36])
    assert (better.above, better.below) == (1, 0)
    assert better.difference.mean == better.difference.high == INF
    assert better.detectable == INF
    worse = paired([40, 30.5, 31, 30, 32, 36], [INF, 30.0, 31, 30, 32, 35])
    assert (worse.above, worse.below) == (0, 1)
    assert worse.difference.mean == worse.difference.low == -INF
    assert worse.p == better.p == wilcoxon([99, -0.5, 0, 0, 0, -1])


def test_infinity_on_both_sides_leaves_no_mean_over_all_images():
    result = paired([INF, 30.0, 31.0], [40.0, INF, 30.0])
    assert (result.above, result.below) == (1, 1)
    assert (result.difference.mean, result.difference.low) == (1.0, -INF)
    assert result.difference.high == INF
    assert paired([INF, 1.0], [1.0, INF]).difference.mean == 0
    assert not math.isnan(result.p)


@pytest.mark.parametrize(
    ("ours", "theirs"), [([], []), ([1.0], [1.0, 2.0]), ([math.nan], [1.0]), ([1.0], [math.nan])]
)
def test_what_cannot_be_paired_is_refused(ours, theirs):
    with pytest.raises(ValueError, match=r"images|number"):
        paired(ours, theirs)


def test_a_comparison_is_antisymmetric_and_moves_with_its_unit():
    rng = np.random.default_rng(2)
    ours, theirs = rng.normal(size=(2, 20))
    there, back = paired(ours, theirs), paired(theirs, ours)
    assert there.difference.mean == -back.difference.mean
    assert there.difference.low == pytest.approx(-back.difference.high, rel=1e-9)
    assert (there.p, there.detectable) == (back.p, pytest.approx(back.detectable))
    percent = paired(100 * ours, 100 * theirs)
    assert percent.difference.low == pytest.approx(100 * there.difference.low)
    assert percent.detectable == pytest.approx(100 * there.detectable)
    assert percent.p == there.p


def test_the_interval_is_that_of_an_independent_bootstrap():
    values = np.random.default_rng(4).gamma(2, size=40)
    found = bootstrapped(values)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(9)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.05 * width)
    wide = paired(values, np.zeros(40)).difference
    deviation = values.std(ddof=1) / math.sqrt(40)
    reach = scipy.stats.t(39).ppf(0.975) * deviation
    assert wide.high - wide.low == pytest.approx(2 * reach, rel=0.05)
    assert wide.low < found.low < found.high < wide.high


@pytest.mark.parametrize("n", [2, 5, 14, 100])
def test_the_tail_of_few_images_is_hesterbergs(n):
    expected = 100 * scipy.stats.norm.cdf(-math.sqrt(n / (n - 1)) * scipy.stats.t(n - 1).ppf(0.975))
    assert tail_for(n) == pytest.approx(expected, rel=1e-9)
    assert tail_for(1) == 2.5
    assert tail_for(10**7) == pytest.approx(2.5, abs=1e-5)


@pytest.mark.parametrize(("n", "least"), [(5, 0.89), (14, 0.92), (25, 0.93), (100, 0.93)])
def test_the_interval_holds_the_mean_as_often_as_it_says(n, least):
    """Of normal differences; the bounds are three standard deviations of 400 trials wide."""
    rng = np.random.default_rng(n)
    intervals = [paired(rng.normal(size=n), np.zeros(n)).difference for _ in range(400)]
    share = np.mean([each.low <= 0 <= each.high for each in intervals])
    assert least - 0.02 <= share <= 0.985


def test_the_test_cries_wolf_as_often_as_it_says():
    rng = np.random.default_rng(7)
    for n in (8, 25, 80):
        cries = np.mean([wilcoxon(rng.normal(size=n)) <= 0.05 for _ in range(1000)])
        assert 0.02 <= cries <= 0.07  # discrete where images are few: at most 5 % and noise


@pytest.mark.parametrize("n", [10, 14, 25, 100])
def test_what_could_have_been_detected_is_detected_in_four_of_five_samples(n):
    rng = np.random.default_rng(n)
    shift = detectable_difference(1.0, n)
    found = np.mean([wilcoxon(rng.normal(shift, 1, n)) <= 0.05 for _ in range(1000)])
    assert found == pytest.approx(0.8, abs=0.06)


def test_skewed_differences_of_mean_0_alarm_the_test_and_not_the_interval():
    rng = np.random.default_rng(100)
    found = [paired(rng.exponential(size=100) - 1, np.zeros(100)) for _ in range(300)]
    assert np.mean([each.p <= 0.05 for each in found]) > 0.25
    assert np.mean([each.p <= 0.05 and each.clear for each in found]) < 0.1


def test_what_could_have_been_detected_follows_its_formula():
    t = scipy.stats.t(13)
    expected = (t.ppf(0.975) + t.ppf(0.8)) * 0.3 / math.sqrt(14) * math.sqrt(math.pi / 3)
    assert detectable_difference(0.3, 14) == pytest.approx(expected, rel=1e-9)
    ours = np.random.default_rng(3).normal(size=14)
    result = paired(ours, np.zeros(14))
    assert result.detectable == pytest.approx(detectable_difference(ours.std(ddof=1), 14))
    assert detectable_difference(0.3, 14, 0.05 / 6) > detectable_difference(0.3, 14)


def test_five_images_can_show_nothing_however_much_they_differ():
    assert (
        least_p(5) == wilcoxon([100, 200, 300, 400, 500.0]) == mcnemar([1] * 5, [0] * 5) == 1 / 16
    )
    assert paired([100, 200, 300, 400, 500.0], [0] * 5).detectable == INF
    assert paired([100, 200, 300, 400, 500.0, 600], [0] * 6).detectable < INF
    assert paired([3.0], [1.0]).detectable == INF
    assert paired([3.0], [1.0]).p == least_p(1) == 1


def test_holm_is_the_step_down_procedure_by_hand():
    assert holm([]) == []
    assert holm([0.04]) == [0.04]
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9, 0.4]) == [1.0, 1.0, 1.0]
    rng = np.random.default_rng(0)
    for _ in range(50):
        p = rng.uniform(size=12) ** 4
        rejected = set()
        for place, index in enumerate(np.argsort(p)):  # Holm's own wording: stop at the first
            if p[index] > 0.05 / (12 - place):
                break
            rejected.add(int(index))
        assert {n for n, value in enumerate(holm(p.tolist())) if value <= 0.05} == rejected


@pytest.mark.parametrize("images", [1, 7, 300])
def test_resamples_are_means_of_images_drawn_with_replacement(images, monkeypatch):
    values = np.random.default_rng(5).normal(size=images)
    whole = resampled_means(values)
    drawn = np.random.default_rng(0).integers(0, images, (stats.RESAMPLES, images))
    np.testing.assert_allclose(whole, values[drawn].mean(axis=1), rtol=0, atol=1e-12)
    monkeypatch.setattr(stats, "_KEPT_IMAGES", 0)
    monkeypatch.setattr(stats, "_BLOCK", 300 * 1000)  # other blocks, the same resamples
    np.testing.assert_allclose(resampled_means(values), whole, rtol=0, atol=1e-12)


def test_resamples_that_hold_an_infinite_value_are_infinite():
    values = np.array([1.0, INF, 2.0, 3.0])
    means = resampled_means(values)
    drawn = np.random.default_rng(0).integers(0, 4, (stats.RESAMPLES, 4))
    np.testing.assert_allclose(means, values[drawn].mean(axis=1), rtol=1e-12)
    assert 0.3 < np.isfinite(means).mean() < 0.34  # (3 / 4) ** 4
    assert (resampled_means(-values)[np.isinf(means)] == -INF).all()


def test_importing_it_imports_neither_torch_nor_scipy():
    code = "import sys, liif_bench.analysis.stats; assert not {'torch', 'scipy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
