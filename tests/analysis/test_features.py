import math

import numpy as np
import pytest
import scipy.stats
from features import made_up_features, run_of_features

from liif_bench.analysis.features import Way, feature_results
from liif_bench.errors import LiifBenchError

BICUBIC, BETTER = Way("bicubic", "image"), Way("better", "image")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    table, truths = made_up_features()
    (results,) = feature_results(run_of_features(tmp_path_factory.mktemp("run"), table))
    return results, truths, table


def errors_of(table, scale, way):
    rows = zip(*(table[name] for name in ("scale", "upsampler", "route", "mse")), strict=True)
    return np.array([row[3] for row in rows if row[:3] == (scale, way.upsampler, way.route)])


def test_fidelity_is_variance_over_error(made):
    results, truths, table = made
    tokens = np.concatenate([*truths.values()])
    counts = [len(each) for each in truths.values()]
    error = np.average(errors_of(table, 4.0, BICUBIC), weights=counts)
    found = results.fidelity(4.0, BICUBIC)
    assert found.mean == pytest.approx(tokens.var(axis=0).mean() / error)
    assert found.low < found.mean < found.high
    assert found == results.fidelity(4.0, BICUBIC)


def test_the_interval_is_that_of_scipy(made):
    """Of another generator's resamples, so that it agrees but for their number."""
    results, truths, table = made
    each, errors = [*truths.values()], errors_of(table, 4.0, BICUBIC)

    def fidelity(places):
        tokens = np.concatenate([each[int(place)] for place in places])
        counts = [len(each[int(place)]) for place in places]
        error = np.average(errors[places.astype(int)], weights=counts)
        return tokens.var(axis=0).mean() / error

    theirs = scipy.stats.bootstrap(
        (np.arange(len(each)),), fidelity, n_resamples=3000, method="percentile",
        vectorized=False, rng=1,
    ).confidence_interval  # fmt: skip
    found = results.fidelity(4.0, BICUBIC)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), rel=0.03)


def test_a_gain_is_a_ratio_of_fidelities(made):
    results = made[0]
    gain = results.gain(8.0, BETTER, BICUBIC)
    ours, theirs = (results.fidelity(8.0, way).mean for way in (BETTER, BICUBIC))
    assert gain.mean == pytest.approx(ours / theirs)
    assert 1 < gain.low < gain.mean < gain.high
    assert results.gain(8.0, BICUBIC, BETTER).mean == pytest.approx(1 / gain.mean)


def test_what_is_hr_is_infinitely_faithful(made):
    results = made[0]
    found = results.fidelity(4.0, Way("hr", "image"))
    assert found.mean == found.low == found.high == math.inf
    assert results.gain(4.0, Way("hr", "image"), BICUBIC).mean == math.inf
    assert results.gain(4.0, BICUBIC, Way("hr", "image")).mean == 0
    assert results.gain(4.0, Way("hr", "image"), Way("hr", "image")) is None


def test_shuffled_is_the_mean_over_all_pairs_of_images(made):
    results, truths, _ = made
    each = [*truths.values()]
    differences, pairs = 0.0, 0
    for place, one in enumerate(each):
        for other in each[:place] + each[place + 1 :]:
            squared = ((one[:, None] - other[None]) ** 2).mean(axis=2)
            differences += squared.sum()
            pairs += squared.size
    variance = np.concatenate(each).var(axis=0).mean()
    expected = variance / (differences / pairs)
    assert results.shuffled(4.0) == pytest.approx(expected)
    assert expected < 1


def test_all_ways_are_over_the_same_images(tmp_path):
    table, _ = made_up_features(scales=(4.0,))
    lost = table["item"].index("image2")
    for column in table.values():
        del column[lost]
    (results,) = feature_results(run_of_features(tmp_path / "run", table))
    assert results.items(4.0) == ("image0", "image1", "image3", "image4", "image5")
    assert results.fidelity(4.0, BICUBIC).images == 5


def test_one_image_cannot_be_shuffled(tmp_path):
    table, _ = made_up_features(items=1)
    (results,) = feature_results(run_of_features(tmp_path / "run", table))
    assert results.shuffled(4.0) is None
    found = results.fidelity(4.0, BICUBIC)
    assert found.low == pytest.approx(found.mean) == pytest.approx(found.high)
    with pytest.raises(LiifBenchError, match="two images"):
        results.moments(4.0).shuffled()


def test_a_run_without_features_is_refused(tmp_path):
    with pytest.raises(LiifBenchError, match="has no features: measure metrics such as feature-"):
        feature_results(run_of_features(tmp_path / "run"))


def test_an_unfinished_runs_features_are_in_its_journal(tmp_path, made):
    from liif_bench.records import JOURNAL, SCHEMA_VERSION, Journal, load_run, write_manifest

    write_manifest(tmp_path, {"schema_version": SCHEMA_VERSION})
    Journal(tmp_path / JOURNAL).append(("photos", "all", 4.0), [], {"features": made[2]})
    (results,) = feature_results(load_run(tmp_path))
    assert results.fidelity(4.0, BICUBIC) == made[0].fidelity(4.0, BICUBIC)
