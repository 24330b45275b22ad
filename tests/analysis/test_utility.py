import numpy as np
import pytest
from crops_runs import made_up_crops, run_of_crops

from liif_bench.analysis.utility import (
    ARMS,
    choose,
    deal,
    detectable,
    inconclusive,
    interval,
    measure_utility,
    pools,
    resample,
    trial,
)
from liif_bench.analysis.zoom import Estimate
from liif_bench.datasets.classes import imagenet_classes
from liif_bench.errors import LiifBenchError

QUICK = {"seeds": 20, "resamples": 10}


def pool_of(folder, seed=0, **options):
    features, scores = made_up_crops(np.random.default_rng(seed), **options)
    return pools(run_of_crops(folder, features, scores))[0]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """Bad crops do harm, and the score knows them."""
    return pool_of(tmp_path_factory.mktemp("run"))


def everyone(pool):
    return np.ones(len(pool.labels), dtype=np.int64)


# What comes out


def test_good_crops_help_and_bad_ones_hurt_where_that_was_planted(planted):
    found = measure_utility(planted, **QUICK)
    for arm in ("top", "best", "real"):
        assert found.differences[arm].low > 0, arm
    for arm in ("bottom", "worst"):
        assert found.differences[arm].high < 0, arm
    assert found.f1["best"].mean == pytest.approx(found.f1["real"].mean, abs=0.05)
    assert found.scores["top"] < found.scores["best"] < found.scores["random"]
    assert found.scores["random"] < found.scores["worst"] < found.scores["bottom"]
    assert found.chosen["best"]["good x4"] + found.chosen["best"]["good x8"] == 1
    assert found.chosen["bottom"]["bad x4"] + found.chosen["bottom"]["bad x8"] == 1


def test_a_score_that_was_drawn_says_nothing(tmp_path):
    found = measure_utility(pool_of(tmp_path, ranked=False), **QUICK)
    for arm in ("best", "worst"):
        assert inconclusive(found.differences[arm]), arm
    assert found.differences["real"].low > 0  # and yet half of the crops are bad


def test_where_all_crops_are_alike_no_choice_among_them_matters(tmp_path):
    found = measure_utility(pool_of(tmp_path, harm=False), **QUICK)
    for arm in ("best", "worst", "real"):
        assert inconclusive(found.differences[arm]), arm
        assert found.differences[arm].mean == pytest.approx(0, abs=0.03)
    assert found.differences["none"].high < 0


def test_a_difference_is_that_of_the_means(planted):
    found = measure_utility(planted, **QUICK)
    for arm, difference in found.differences.items():
        expected = found.f1[arm].mean - found.f1["random"].mean
        assert difference.mean == pytest.approx(expected)
        assert difference.low < difference.mean < difference.high


def test_the_same_seed_gives_the_same_numbers(planted):
    quick = {"seeds": 4, "resamples": 5}
    first, second = (measure_utility(planted, **quick) for _ in range(2))
    assert first.f1 == second.f1
    assert first.differences == second.differences
    assert measure_utility(planted, seeds=5, resamples=5).f1 != first.f1


# Who is trained on, and who is tested


def test_no_image_is_on_two_sides(planted):
    """Nor are its crops, nor another copy of it."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        copies = everyone(planted) if seed % 2 else resample(planted, rng)
        dealt = deal(planted, copies, rng)
        sides = [set(each.tolist()) for each in (dealt.base, dealt.pool, dealt.test)]
        assert len(set.union(*sides)) == sum(map(len, sides))
        assert set.union(*sides) == set(np.flatnonzero(copies).tolist())
        everywhere = np.concatenate([dealt.base, dealt.pool, dealt.test])
        np.testing.assert_array_equal(np.bincount(everywhere, minlength=len(copies)), copies)
        for side in (dealt.base, dealt.pool, dealt.test):
            assert set(planted.labels[side]) == {0, 1, 2, 3}
        choice = choose(planted, dealt.pool, 2, rng)
        for taken in choice.crops.values():
            assert set(planted.owner[taken].tolist()) <= sides[1]
        assert set(choice.real.tolist()) <= sides[1]


def test_test_images_could_not_be_known_from_training(planted):
    """A classifier is right about a kind drawn by lot as often as chance would have it."""
    rng = np.random.default_rng(0)
    values = []
    for number in range(30):
        lots = type(planted)(
            **{
                **{name: getattr(planted, name) for name in planted.__dataclass_fields__},
                "labels": np.random.default_rng(number).permutation(planted.labels),
            }
        )
        values.append(trial(lots, everyone(lots), 3, rng).f1)
    means = np.mean(values, axis=0)
    assert (means < 0.33).all(), dict(zip(ARMS, means, strict=True))  # 0.25 by chance


def test_the_chosen_are_the_best_and_the_worst(planted):
    images = np.flatnonzero(np.arange(len(planted.labels)) % 2 == 0)
    choice = choose(planted, images, 3, np.random.default_rng(0))
    for kind in range(4):
        scores = {}
        for crop, image in enumerate(planted.owner):
            if image in images and planted.labels[image] == kind:
                scores.setdefault(image, []).append(planted.realism[crop])
        top = sorted((max(each) for each in scores.values()), reverse=True)[:3]
        bottom = sorted(min(each) for each in scores.values())[:3]
        taken = {
            arm: each[planted.labels[planted.owner[each]] == kind]
            for arm, each in choice.crops.items()
        }
        assert planted.realism[taken["top"]].tolist() == top
        assert planted.realism[taken["bottom"]].tolist() == bottom
        for image in choice.real[planted.labels[choice.real] == kind]:
            best, worst = (
                planted.realism[taken[arm][planted.owner[taken[arm]] == image]]
                for arm in ("best", "worst")
            )
            assert best == max(scores[image])
            assert worst == min(scores[image])
    owners = {arm: planted.owner[each].tolist() for arm, each in choice.crops.items()}
    assert owners["random"] == owners["best"] == owners["worst"] == choice.real.tolist()
    assert all(len(set(each)) == 12 for each in owners.values())


def test_a_kind_gives_what_it_has(planted):
    images = planted.members[0][:2]
    choice = choose(planted, images, 5, np.random.default_rng(0))
    assert {len(each) for each in choice.crops.values()} == {2}


def test_resamples_leave_out_images_of_every_kind(planted):
    counts = np.array([resample(planted, np.random.default_rng(seed)) for seed in range(300)])
    for members in planted.members:
        assert (counts[:, members].sum(axis=1) == len(members) - 1).all()
        assert (np.count_nonzero(counts[:, members], axis=1) >= 3).all()
    assert counts.mean(axis=0) == pytest.approx(11 / 12, abs=0.25)


# Intervals


def test_an_interval_without_images_to_draw_is_that_of_a_mean():
    rng = np.random.default_rng(0)
    values = rng.normal(0.3, 0.2, 50)
    found = interval(values, np.zeros((9, 2)), 7)
    reach = 1.959964 * values.std(ddof=1) / np.sqrt(50)
    assert found == Estimate(
        pytest.approx(values.mean()),
        pytest.approx(values.mean() - reach, rel=1e-5),
        pytest.approx(values.mean() + reach, rel=1e-5),
        7,
    )


def test_an_interval_holds_the_variance_between_images_and_not_that_of_dealing_twice():
    """Random effects with a known variance: 0.1 between resamples, 0.2 between deals."""
    rng = np.random.default_rng(1)
    resampled = rng.normal(0, 0.1, (40_000, 1)) + rng.normal(0, 0.2, (40_000, 5))
    values = rng.normal(0, 0.2, 400)
    found = interval(values, resampled, 7)
    expected = 1.96 * np.sqrt(0.1**2 + values.var(ddof=1) / 400)
    assert (found.high - found.low) / 2 == pytest.approx(expected, rel=0.02)


def test_what_would_have_been_seen_is_2_8_standard_errors():
    assert detectable(Estimate(0.1, 0.1 - 1.96, 0.1 + 1.96, 9)) == pytest.approx(2.8016, rel=1e-3)


# What is read


def test_pools_are_of_all_scales_and_of_each(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    found = pools(run_of_crops(tmp_path, features, scores))
    assert [each.scales for each in found] == [(4.0, 8.0), (4.0,), (8.0,)]
    whole, single, _ = found
    assert (len(whole.labels), len(whole.made), len(single.made)) == (48, 192, 96)
    assert set(single.sources) == {"good x4", "bad x4"}
    np.testing.assert_array_equal(np.sort(whole.owner), whole.owner)
    kept = {(row["item"], row["upsampler"], row["scale"]): row for row in features}
    items = sorted({row["item"] for row in features})
    for crop, image in enumerate(whole.owner[:40]):
        model, scale = whole.sources[crop].split(" x")
        row = kept[items[image], model, float(scale)]
        assert whole.made[crop].tolist() == row["embedding"]
        assert whole.real[image].tolist() == kept[items[image], "hr", 4.0]["embedding"]


def test_the_direction_of_a_score_is_the_metrics(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    for higher in (False, True):
        folder = tmp_path / str(higher)
        pool = pools(run_of_crops(folder, features, scores, higher_is_better=higher))[0]
        best = {pool.sources[crop].split()[0] for crop in pool.first}
        assert best == ({"bad"} if higher else {"good"})
        found = measure_utility(pool, seeds=3, resamples=2)
        assert (found.scores["best"] > found.scores["worst"]) is higher


def test_the_first_score_of_the_run_ranks_unless_it_is_said(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    assert pools(run_of_crops(tmp_path / "a", features, scores, "dists"))[0].score == "dists"
    run = run_of_crops(tmp_path / "b", features, scores, "psnr", higher_is_better=True)
    assert pools(run, "psnr")[0].score == "psnr"
    with pytest.raises(LiifBenchError, match="none of realism, dists, lpips: name a metric of it"):
        pools(run)
    with pytest.raises(LiifBenchError, match="unknown metric of the run 'lpisp'"):
        pools(run, "lpisp")


def test_crops_without_a_score_are_left_out(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    scores = [row for row in scores if row["upsampler"] != "bad"]
    pool = pools(run_of_crops(tmp_path, features, scores))[0]
    assert set(pool.sources) == {"good x4", "good x8"}


def test_kinds_with_few_images_and_other_classes_are_left_out(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    rare = {row["item"] for row in features if row["labels"] == features[0]["labels"]}
    rare -= set(sorted(rare)[:5])
    features = [row for row in features if row["item"] not in rare]
    stage = imagenet_classes()[819]  # of no kind
    for row in features[-6:]:
        row["labels"] = stage
    pool = pools(run_of_crops(tmp_path, features, scores))[0]
    assert pool.left_out == ("dogs",)
    assert pool.kinds == ("other mammals", "other vertebrates", "invertebrates")
    assert np.bincount(pool.labels).tolist() == [12, 12, 11]


def test_what_a_run_lacks_is_said_in_one_line(tmp_path):
    features, scores = made_up_crops(np.random.default_rng(0))
    without_hr = [row for row in features if row["upsampler"] != "hr"]
    with pytest.raises(LiifBenchError, match="the model 'hr' and others with a value of lpips"):
        pools(run_of_crops(tmp_path / "a", without_hr, scores))
    one = [row for row in features if row["labels"] == features[0]["labels"]]
    with pytest.raises(LiifBenchError, match="two kinds of images with 6 or more of each"):
        pools(run_of_crops(tmp_path / "b", one, scores))
    empty = run_of_crops(tmp_path / "c", features, scores)
    (tmp_path / "c" / "embeddings.parquet").unlink()
    with pytest.raises(LiifBenchError, match="no features to train on: run 'liif-bench run util"):
        pools(empty)
