"""Agreement of metrics with scores: against scipy, definitions written out, planted parameters."""

import subprocess
import sys
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from liif_bench.analysis import agreement as module
from liif_bench.analysis.agreement import (
    CONTENT,
    GRADED,
    METHOD,
    POOLED,
    fit_logistic,
    kendall,
    logistic,
    pairs_alike,
    parts,
    pooled,
    read_agreement,
    spearman,
    weighted_ranks,
)
from liif_bench.errors import LiifBenchError

few = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=3, max_size=12).filter(
    lambda pairs: len({y for _, y in pairs}) > 1
)


def toy(images=60, contents=5, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 8, images).astype(float)
    values = np.round(scores + noise * rng.normal(size=images), 1)
    return values, scores, np.array([f"c{i % contents}" for i in range(images)], dtype=object)


def table_of(values, scores, contents, **columns):
    """A table as it is measured, of one metric."""
    return pd.DataFrame(
        {
            "dataset": "toy", "content_id": contents, "item": [f"i{n}" for n in range(len(values))],
            "method": "any", "scale": None, "score": scores, "score_higher_is_better": True,
            "score_scope": "global", "split": "", "metric": "m", "higher_is_better": True,
            "value": values, "error": None, **columns,
        }
    )  # fmt: skip


def whole(table):
    return next(parts(table))


class TestStatistics:
    @given(few)
    def test_they_are_those_of_scipy_ties_and_all(self, pairs):
        values, scores = np.array(pairs, dtype=float).T
        if np.ptp(values) == 0:
            assert spearman(values, scores) == kendall(values, scores) == 0
        else:
            assert spearman(values, scores) == pytest.approx(
                scipy.stats.spearmanr(values, scores).statistic, abs=1e-12
            )
            assert kendall(values, scores) == pytest.approx(
                scipy.stats.kendalltau(values, scores).statistic, abs=1e-12
            )

    @given(few)
    def test_pairs_are_counted_one_by_one(self, pairs):
        told = [
            0.5 if a[0] == b[0] else float((a[0] < b[0]) == (a[1] < b[1]))
            for a, b in combinations(pairs, 2)
            if a[1] != b[1]
        ]
        values, scores = np.array(pairs, dtype=float).T
        assert pairs_alike(values, scores) == pytest.approx(np.mean(told), abs=1e-12)

    def test_infinite_values_rank_above_all_others(self):
        values, scores = np.array([np.inf, 30.0, 20.0, np.inf]), np.array([4.0, 2.0, 1.0, 3.0])
        finite = np.array([99.0, 30.0, 20.0, 99.0])
        assert spearman(values, scores) == spearman(finite, scores)
        assert kendall(values, scores) == kendall(finite, scores)
        assert pairs_alike(values, scores) == pytest.approx(5.5 / 6)

    @settings(max_examples=25)
    @given(few, st.lists(st.integers(0, 3), min_size=12, max_size=12))
    def test_weighted_ranks_are_those_of_the_sample_that_the_weights_mean(self, pairs, weights):
        values = np.array([x for x, _ in pairs], dtype=float)
        times = np.array(weights[: len(values)])
        drawn = scipy.stats.rankdata(np.repeat(values, times))
        ranks = weighted_ranks(values, times[None].astype(float))[0]
        assert np.repeat(ranks, times) == pytest.approx(drawn - 0.5)


class TestLogistic:
    def test_planted_parameters_are_found(self):
        rng = np.random.default_rng(2)
        values = rng.uniform(20, 40, 300)
        planted = (5.0, 1.0, 29.0, 2.5)
        scores = logistic(values, *planted) + 0.05 * rng.normal(size=300)
        fit = fit_logistic(values, scores)
        assert fit.reason == ""
        assert fit.parameters == pytest.approx(planted, rel=0.02)
        assert fit(np.array([-1e9, 29.0, 1e9])) == pytest.approx([1.0, 3.0, 5.0], abs=0.06)

    def test_a_falling_relation_has_a_negative_sign(self):
        values = np.linspace(0, 1, 40)
        fit = fit_logistic(values, logistic(values, 1.0, 5.0, 0.5, 0.1))
        assert fit.sign == -1
        found = pooled(values, -values, np.array(["a", "b"] * 20, dtype=object))
        assert found.pearson.mean == pytest.approx(-1, abs=1e-3)

    @pytest.mark.parametrize(
        ("values", "scores", "reason"),
        [
            (range(5), range(5), "fewer than 8 images"),
            ([1] * 9, range(9), "all values are alike"),
            (range(9), [1] * 9, "all values are alike"),
        ],
    )
    def test_where_there_is_none_the_reason_is_said(self, values, scores, reason):
        fit = fit_logistic(np.array([*values], dtype=float), np.array([*scores], dtype=float))
        assert (fit.parameters, fit.reason) == (None, reason)

    def test_pearson_is_then_that_of_the_values_and_a_note_says_so(self):
        values, scores, contents = toy(7, 3)
        found = pooled(values, scores, contents)
        assert found.pearson.mean == pytest.approx(np.corrcoef(values, scores)[0, 1])
        assert "fewer than 8 images" in found.note

    def test_infinite_values_have_no_part_in_it(self):
        values, scores, contents = toy()
        more = np.append(values, np.inf), np.append(scores, 7.0), np.append(contents, "c0")
        assert pooled(*more).pearson.mean == pytest.approx(
            pooled(values, scores, contents).pearson.mean
        )


class TestPooled:
    def test_each_number_is_that_of_all_images(self):
        values, scores, contents = toy()
        found = pooled(values, scores, contents)
        assert found.spearman.mean == pytest.approx(spearman(values, scores))
        assert found.kendall.mean == pytest.approx(kendall(values, scores))
        assert found.pairs.mean == pytest.approx(pairs_alike(values, scores))
        mapped = fit_logistic(values, scores)(values)
        assert found.pearson.mean == pytest.approx(scipy.stats.pearsonr(mapped, scores).statistic)
        assert (found.images, found.contents, found.note) == (60, 5, "")

    def test_intervals_are_those_of_contents_drawn_one_by_one(self, monkeypatch):
        monkeypatch.setattr(module, "RESAMPLES", 300)
        values, scores, contents = toy(40, 4, seed=3)
        found = pooled(values, scores, contents)
        drawn = []
        names = np.unique(contents)
        for counts in np.random.default_rng(0).multinomial(4, [0.25] * 4, 300):
            rows = np.concatenate(
                [np.flatnonzero(contents == name) for name in np.repeat(names, counts)]
            )
            x, y = values[rows], scores[rows]
            drawn.append(
                (
                    scipy.stats.spearmanr(x, y).statistic,
                    scipy.stats.kendalltau(x, y).statistic,
                )
            )
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        assert (found.spearman.low, found.kendall.low) == pytest.approx(low, abs=1e-9)
        assert (found.spearman.high, found.kendall.high) == pytest.approx(high, abs=1e-9)

    def test_they_are_the_same_every_time_and_as_wide_as_contents_differ(self):
        values, scores, contents = toy()
        assert pooled(values, scores, contents) == pooled(values, scores, contents)
        # Every content holds the same images: a resample is the whole again.
        same = pooled(np.tile(values[:12], 5), np.tile(scores[:12], 5), np.repeat(contents[:5], 12))
        assert same.spearman.low == pytest.approx(same.spearman.high)
        wide, narrow = (pooled(*toy(20 * n, n, seed=1)).spearman for n in (3, 30))
        assert wide.high - wide.low > narrow.high - narrow.low

    @pytest.mark.parametrize("scores", [[1.0, 2.0], [3.0, 3.0, 3.0]])
    def test_too_few_images_or_one_score_say_nothing(self, scores):
        assert (
            pooled(np.arange(len(scores)), np.array(scores), np.array(["a"] * len(scores))) is None
        )


class TestWithin:
    def test_contents_count_alike_however_many_images_they_have(self):
        values = [1, 2, 3, 4, 5, 6, 3, 2, 1]
        table = table_of(values, [1, 2, 3, 4, 5, 6, 1, 2, 3], ["a"] * 6 + ["b"] * 3)
        found = whole(table).agreement("m", CONTENT)
        assert found.spearman.mean == found.kendall.mean == 0
        assert (found.spearman.low, found.spearman.high) == (-1, 1)
        assert found.pairs.mean == 0.5
        assert (found.images, found.contents, found.pearson) == (9, 2, None)

    def test_an_offset_between_contents_spoils_only_what_is_pooled(self):
        values = np.concatenate([np.arange(10.0), np.arange(10.0) + 100])
        scores = np.tile(np.arange(10.0), 2)
        part = whole(table_of(values, scores, ["a"] * 10 + ["b"] * 10))
        within, together = (part.agreement("m", level) for level in (CONTENT, POOLED))
        assert within.spearman.mean == pytest.approx(1)
        assert within.pearson.mean > 0.98  # an S through a straight line
        assert together.spearman.mean < 0.6

    def test_directions_of_metric_and_score_are_turned(self):
        values, scores, contents = toy()
        right = whole(table_of(values, scores, contents)).agreement("m", POOLED)
        turned = whole(
            table_of(
                -values, -scores, contents, higher_is_better=False, score_higher_is_better=False
            )
        )
        assert turned.agreement("m", POOLED).spearman == right.spearman
        half = whole(table_of(values, -scores, contents)).agreement("m", POOLED)
        assert half.spearman.mean == pytest.approx(-right.spearman.mean)

    def test_groups_that_cannot_say_are_left_out_and_a_constant_metric_says_nothing(self):
        table = table_of(
            [1, 2, 3, 7, 7, 7, 1, 2, 5],
            [1, 2, 3, 1, 2, 3, 4, 4, 4],
            ["a"] * 3 + ["b"] * 3 + ["c"] * 3,
        )
        found = whole(table).agreement("m", CONTENT)
        assert (found.contents, found.spearman.mean, found.pairs.mean) == (2, 0.5, 0.75)

    def test_within_method_is_averaged_over_the_methods_of_a_content_first(self):
        table = table_of(
            [1, 2, 3, 3, 2, 1, 1, 2, 3],
            [1, 2, 3] * 3,
            ["a"] * 6 + ["b"] * 3,
            method=["x"] * 3 + ["y"] * 3 + ["x"] * 3,
        )
        part = whole(table)
        assert part.methods == ("x", "y")
        assert part.agreement("m", METHOD).spearman.mean == 0.5  # (0 + 1) / 2
        assert part.by_method("m", "x").mean == 1
        assert part.by_method("m", "y").mean == -1

    def test_images_without_a_value_are_left_out_and_counted(self):
        values, scores, contents = toy(12, 2)
        table = table_of(values, scores, contents)
        table.loc[[0, 3], ["value", "error"]] = [np.nan, "broken"]
        part = whole(table)
        assert part.agreement("m", POOLED).images == 10
        assert part.unscored("m") == (2, "broken")


class TestParts:
    def test_scales_and_splits_stand_apart_where_there_are_several(self):
        values, scores, contents = toy(40)
        scale, split = [2.0, 4.0, 8.0, None] * 10, ["train"] * 20 + ["test"] * 20
        named = [part.name for part in parts(table_of(values, scores, contents, scale=scale))]
        assert named == ["", "in distribution, up to x4", "out of distribution, beyond x4"]
        found = {part.name: len(part.rows) for part in parts(
            table_of(values, scores, contents, scale=scale, split=split)
        )}  # fmt: skip
        assert found == {
            "": 40, "in distribution, up to x4": 20, "out of distribution, beyond x4": 10,
            "split train": 20, "split test": 20,
        }  # fmt: skip
        assert [p.name for p in parts(table_of(values, scores, contents, split="train"))] == [""]

    @pytest.mark.parametrize(
        ("dataset", "scope", "levels"),
        [
            ("toy", "global", (METHOD, CONTENT, POOLED)),
            ("toy", "content", (METHOD, CONTENT)),
            ("toy", "method", (METHOD,)),
            (GRADED, "method", (METHOD, CONTENT, POOLED)),
        ],
    )
    def test_scores_are_compared_no_further_than_they_may_be(self, dataset, scope, levels):
        table = table_of(*toy(), dataset=dataset, score_scope=scope)
        assert whole(table).levels == levels

    def test_a_metric_without_a_meaning_anywhere_is_named_apart(self):
        values, scores, contents = toy(9, 3)
        other = table_of(
            np.full(9, np.nan), scores, contents, metric="o", error="not applicable: no scene"
        )
        part = whole(pd.concat([table_of(values, scores, contents), other]))
        assert (part.metrics, part.meaningless) == (("m",), ("o",))


class TestReading:
    def test_what_is_kept_is_read_again(self, tmp_path):
        table = table_of(*toy(6, 2))
        table.to_parquet(tmp_path / "agreement.parquet")
        assert read_agreement(tmp_path).equals(pd.read_parquet(tmp_path / "agreement.parquet"))

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (None, "holds no agreement.parquet"),
            (b"nonsense", "cannot be read"),
            (pd.DataFrame({"value": [1.0]}), "has no column 'content_id'"),
        ],
    )
    def test_what_is_no_such_table_is_refused_in_one_line(self, tmp_path, content, message):
        path = tmp_path / "agreement.parquet"
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            content.to_parquet(path)
        with pytest.raises(LiifBenchError, match=message) as caught:
            read_agreement(tmp_path)
        assert "\n" not in str(caught.value)


def test_reading_and_reporting_never_import_torch():
    code = (
        "import sys, liif_bench.analysis.agreement, liif_bench.reports.agreement,"
        " liif_bench.ratings.pipal, liif_bench.ratings.table; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
