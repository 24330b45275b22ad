import math

import numpy as np
import pytest
from gates import PROTOCOL, made_up_cell, made_up_snapshot
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from liif_bench.analysis.gate import Outcome, drop_p, gate, read_rules
from liif_bench.errors import LiifBenchError

RULES = read_rules()
BEFORE = [30.0, 31.5, 28.2, 33.1, 29.9]


def rules(tmp_path, text):
    path = tmp_path / "gate.toml"
    path.write_text(text, encoding="utf-8")
    return read_rules(path)


def judged(after, before=BEFORE, asked=RULES, **fields):
    """The verdict on one cell."""
    report = gate(
        made_up_snapshot(made_up_cell(after, **fields)),
        made_up_snapshot(made_up_cell(before, **fields)),
        asked,
    )
    (verdict,) = report.verdicts
    return verdict


def moved(by, noise=0.0):
    wobble = np.array([1, -1, 0.5, -0.5, 0]) * noise
    return [float(value + by + each) for value, each in zip(BEFORE, wobble, strict=True)]


# One cell


def test_nothing_changed_is_the_same():
    verdict = judged(BEFORE)
    assert (verdict.outcome, verdict.change, verdict.p) == (Outcome.same, 0, 1)


def test_a_drop_within_the_tolerance_is_the_same_however_sure():
    assert judged(moved(-0.019)).outcome is Outcome.same


def test_a_drop_beyond_the_tolerance_that_all_images_show_is_worse():
    verdict = judged(moved(-0.05, noise=0.01))
    assert verdict.outcome is Outcome.worse
    assert verdict.change == pytest.approx(-0.05)


def test_a_drop_beyond_the_tolerance_that_images_do_not_agree_on_is_unsure_and_says_so():
    verdict = judged(moved(-0.05, noise=2))
    assert verdict.outcome is Outcome.unsure
    assert "5 images cannot tell" in verdict.says


def test_one_image_cannot_tell():
    assert judged([29.0], [30.0]).outcome is Outcome.unsure


def test_a_gain_is_better():
    assert judged(moved(0.05)).outcome is Outcome.better


def test_a_metric_that_is_better_lower_is_worse_higher():
    assert judged([0.21, 0.22, 0.2305], [0.2, 0.21, 0.22], metric="lpips").outcome is Outcome.worse
    assert judged([0.2, 0.21, 0.22], [0.21, 0.22, 0.2305], metric="lpips").outcome is Outcome.better


def test_the_worst_image_is_named():
    assert judged([30.0, 31.5, 27.2, 33.0, 29.9]).worst == "image2"


def test_images_that_are_infinite_before_and_now_have_not_changed():
    verdict = judged([math.inf, 30.0], [math.inf, 30.0])
    assert (verdict.outcome, verdict.change) == (Outcome.same, 0)


def test_an_image_that_is_no_longer_perfect_is_worse():
    verdict = judged([60.0, 30.0, 31.0], [math.inf, 30.0, 31.0])
    assert verdict.outcome is Outcome.worse
    assert verdict.change == -math.inf


def test_a_metric_without_a_rule_is_no_silent_pass():
    assert judged([1.0, 2.0], [3.0, 4.0], metric="mtf50").outcome is Outcome.unruled


def test_accuracies_are_tested_by_mcnemar():
    before = [1.0] * 12 + [0.0] * 4
    after = [0.0] * 9 + [1.0] * 3 + [0.0] * 4
    verdict = judged(after, before, metric="zoom-one-top1")
    assert verdict.p == pytest.approx(0.5**9)
    assert verdict.outcome is Outcome.worse


# What cannot be compared


def report_of(after, before, asked=RULES):
    return gate(made_up_snapshot(*after), made_up_snapshot(*before), asked)


def test_a_cell_that_is_gone_fails():
    report = report_of([], [made_up_cell(BEFORE)])
    assert [verdict.outcome for verdict in report.verdicts] == [Outcome.missing]
    assert not report.passed


def test_an_image_that_is_gone_fails():
    report = report_of([made_up_cell(BEFORE[:4])], [made_up_cell(BEFORE)])
    assert report.verdicts[0].outcome is Outcome.missing
    assert "image4" in report.verdicts[0].says


def test_a_new_cell_is_told_and_passes():
    report = report_of(
        [made_up_cell(BEFORE), made_up_cell(BEFORE, scale=8.0)], [made_up_cell(BEFORE)]
    )
    assert report.counts == {Outcome.new: 1, Outcome.same: 1}
    assert report.passed


def test_an_error_where_there_was_a_value_fails_with_its_reason():
    now = made_up_cell(BEFORE[:4], errors={"image4": "out of memory"})
    report = report_of([now], [made_up_cell(BEFORE)])
    assert report.verdicts[0].outcome is Outcome.error
    assert "image4: out of memory" in report.verdicts[0].says


def test_an_error_that_was_there_before_does_not_fail():
    both = made_up_cell(BEFORE[:4], errors={"image4": "too small"})
    assert report_of([both], [both]).passed


def test_another_variant_is_incomparable():
    report = report_of([made_up_cell(BEFORE, variant="Y")], [made_up_cell(BEFORE)])
    assert report.verdicts[0].outcome is Outcome.incomparable
    assert not report.passed


def test_another_protocol_fails_and_names_the_fields():
    other = PROTOCOL.changed({"psnr.shave_extra": 0})
    after = made_up_snapshot(
        made_up_cell(BEFORE), protocol=other.model_dump(), protocol_hash=other.hash
    )
    report = gate(after, made_up_snapshot(made_up_cell(BEFORE)), RULES)
    assert not report.passed
    assert [str(change) for change in report.refusals] == [
        "protocol psnr.shave_extra: 6 before, 0 now"
    ]


def test_other_images_fail():
    after = made_up_snapshot(
        made_up_cell(BEFORE), datasets={"photos": {"items": 5, "sha256": "0ther"}}
    )
    report = gate(after, made_up_snapshot(made_up_cell(BEFORE)), RULES)
    assert not report.passed
    assert "0ther" in str(report.refusals[0])


def test_other_weights_are_told_and_pass():
    after = made_up_snapshot(made_up_cell(BEFORE), weights={"mine": "n3w"})
    report = gate(after, made_up_snapshot(made_up_cell(BEFORE)), RULES)
    assert report.passed
    assert [str(note) for note in report.notes] == ["weights of mine: w3ights before, n3w now"]


# Costs


def test_costs_are_asked_about_only_where_rules_say_so(tmp_path):
    before = made_up_snapshot(made_up_cell(BEFORE))
    after = made_up_snapshot(made_up_cell(BEFORE), seconds={"mine": 9.0}, peak_rss_bytes=2**33)
    assert gate(after, before, RULES).passed
    strict = rules(
        tmp_path,
        '[[rule]]\nmetric = "*"\ntolerance = 1\n[tripwire]\ntime = 3.0\nmemory = 2.0\n',
    )
    report = gate(after, before, strict)
    assert not report.passed
    assert "9.0 times" in report.costs[0]
    assert "8.0 times" in report.costs[1]


# Rules


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ('metric = "psnr"', True),
        ('metric = "p*"', True),
        ('metric = "ssim"', False),
        ('metric = "psnr"\nscales = [2, 4]', True),
        ('metric = "psnr"\nscales = [5, 30]', False),
        ('metric = "psnr"\nregime = "out"', False),
        ('metric = "psnr"\nupsampler = "other"', False),
        ('metric = "psnr"\ndataset = "photos"', True),
    ],
)
def test_a_rule_fits_by_metric_scale_regime_model_and_data_set(tmp_path, rule, fits):
    asked = rules(tmp_path, f"[[rule]]\n{rule}\ntolerance = 0.01\n")
    assert (judged(moved(-0.05), asked=asked).outcome is Outcome.worse) == fits


def test_the_first_rule_that_fits_counts(tmp_path):
    text = '[[rule]]\nmetric = "psnr"\ntolerance = 1\n[[rule]]\nmetric = "*"\ntolerance = 0.01\n'
    assert judged(moved(-0.05), asked=rules(tmp_path, text)).outcome is Outcome.same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "rule = []",
        '[[rule]]\nmetric = "psnr"',
        '[[rule]]\nmetric = "psnr"\ntolerance = -1',
        '[[rule]]\nmetric = "psnr"\ntolerance = 1\nscale = 4',
        'alpha = 2\n[[rule]]\nmetric = "psnr"\ntolerance = 1',
        "[[rule",
    ],
)
def test_wrong_rules_are_refused_in_one_line_that_names_the_file(tmp_path, text):
    with pytest.raises(LiifBenchError, match=r"gate\.toml") as error:
        rules(tmp_path, text)
    assert "\n" not in str(error.value)


# The test of a drop


def test_p_is_that_of_a_one_sided_t_test_of_compressed_gains():
    gains = [-0.3, 0.1, -0.2, -0.25, 0.02]
    compressed = np.array([math.log(g / 0.1 + math.sqrt((g / 0.1) ** 2 + 1)) for g in gains])
    statistic = compressed.mean() / (compressed.std(ddof=1) / math.sqrt(len(gains)))
    expected = stats.t(len(gains) - 1).cdf(statistic)
    assert drop_p(np.array(gains), 0.1) == pytest.approx(expected)


def test_a_drop_that_all_images_show_is_sure_though_its_size_differs():
    """The t-test of the gains themselves has p = 0.009, 0.03 among three metrics."""
    gains = np.array([-1.8, -4.2, -5.5, -1.0, -3.3])
    assert drop_p(gains, 0.02) < 1e-4
    assert stats.ttest_1samp(gains, 0, alternative="less").pvalue > 0.005


def test_the_same_drop_everywhere_is_no_chance():
    assert drop_p(np.full(5, -0.1), 0.02) == 0
    assert drop_p(np.full(5, 0.1), 0.02) == 1


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20))
def test_p_is_a_probability(gains):
    p = drop_p(np.array(gains), 0.02)
    assert p is not None
    assert 0 <= p <= 1


def test_more_cells_ask_for_more_evidence():
    """Holm: the one cell that dropped is judged among a hundred that did not."""
    before = [made_up_cell(BEFORE, dataset=f"d{n}") for n in range(100)]
    dropped = made_up_cell(moved(-0.05, noise=0.03), dataset="d0")
    alone = report_of([dropped], before[:1]).verdicts[0]
    among = report_of([dropped, *before[1:]], before).verdicts[0]
    assert alone.outcome is Outcome.worse
    assert among.outcome is Outcome.unsure
    assert among.p == pytest.approx(100 * alone.p)


def test_infinities_gained_and_lost_are_incomparable_and_leave_no_nan():
    """One image is met exactly now and another no more: their mean change is no number."""
    verdict = judged([math.inf, 31.5, 28.2, 33.1, 29.9], [30.0, 31.5, math.inf, 33.1, 29.9])
    assert verdict.outcome is Outcome.incomparable
    assert verdict.says == "image0 is better by infinity and image2 worse: there is no mean change"
    assert verdict.change is None
    assert judged([math.inf, *BEFORE[1:]]).outcome is Outcome.better
