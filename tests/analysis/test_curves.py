import math
import subprocess
import sys

import numpy as np
import pytest
import scipy.stats
from frames import made_up

from liif_bench.analysis.curves import means, strips
from liif_bench.errors import LiifBenchError

INF = math.inf


def records(values, metric="psnr", scale=4):
    """Of values by model, one per image; None leaves a record out."""
    return made_up(
        [
            (f"image {number}", scale, model, metric, value)
            for model, each in values.items()
            for number, value in enumerate(each)
            if value is not None
        ]
    )


def noise(seed, count=40):
    return np.random.default_rng(seed).normal(30, 2, count).tolist()


def test_means_have_scipys_bootstrap_intervals():
    values = noise(0)
    (found,) = means(records({"liif": values}), "psnr")
    expected = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=20_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert (found.model, found.scale, found.regime) == ("liif", 4, "in")
    assert found.estimate.mean == pytest.approx(np.mean(values))
    assert found.estimate.low == pytest.approx(expected.low, abs=0.05)
    assert found.estimate.high == pytest.approx(expected.high, abs=0.05)


def test_differences_are_paired_and_their_bands_narrow():
    base = noise(0)
    shifted = [value + 1 for value in base]
    frame = records({"bicubic": base, "liif": shifted})
    (found,) = means(frame, "psnr", "bicubic")
    assert found.model == "liif"
    assert found.estimate.mean == pytest.approx(1)
    assert found.estimate.high - found.estimate.low < 1e-9
    wide = means(frame, "psnr")[0].estimate
    assert wide.high - wide.low > 0.5


def test_means_are_over_the_images_that_all_models_have():
    frame = records({"one": [1.0, 2.0, 3.0], "two": [10.0, "broken", 30.0]})
    one, two = means(frame, "psnr")
    assert (one.model, one.estimate.mean, one.estimate.images) == ("one", 2.0, 2)
    assert (two.model, two.estimate.mean, two.estimate.images) == ("two", 20.0, 2)


def test_a_model_that_is_infinite_or_absent_at_a_scale_is_left_out_there():
    frame = made_up(
        [
            ("a", 2, "hr", "psnr", INF), ("a", 2, "one", "psnr", 1.0),
            ("a", 4, "hr", "psnr", INF), ("a", 4, "one", "psnr", 2.0), ("a", 4, "two", "psnr", 3.0),
        ]
    )  # fmt: skip
    found = [(each.scale, each.model) for each in means(frame, "psnr")]
    assert found == [(2, "one"), (4, "one"), (4, "two")]
    assert means(frame, "psnr", "two")[0].model == "one"
    assert means(frame, "psnr", "hr") == []


def test_strips_are_sorted_and_exact():
    frame = records({"m": [3.0, 1.0, 2.0], "b": [1.0, 2.0, 2.0]})
    (strip,) = strips(frame, "psnr", "m", "b")
    assert strip.items == ("image 1", "image 2", "image 0")
    assert strip.differences == (-1.0, 0.0, 2.0)
    assert strip.estimate.mean == pytest.approx(1 / 3)
    assert strip.estimate.low <= -1 / 3
    assert strip.left_out == 0
    (turned,) = strips(frame, "psnr", "b", "m")
    assert turned.differences == (-2.0, 0.0, 1.0)


def test_infinite_differences_are_counted_and_equal_infinities_are_none():
    frame = records({"m": [INF, INF, 2.0, "x"], "b": [1.0, INF, 1.0, 1.0]})
    (strip,) = strips(frame, "psnr", "m", "b")
    assert strip.differences == (0.0, 1.0)
    assert strip.left_out == 1
    assert strips(records({"m": [INF], "b": [1.0]}), "psnr", "m", "b") == []


def test_scales_where_one_is_missing_have_no_strip():
    frame = made_up(
        [("a", 2, "m", "psnr", 1.0), ("a", 4, "m", "psnr", 2.0), ("a", 4, "b", "psnr", 3.0)]
    )
    assert [strip.scale for strip in strips(frame, "psnr", "m", "b")] == [4]


def test_unknown_names_are_refused():
    frame = records({"m": [1.0], "b": [2.0], "broken": ["no weights"]})
    with pytest.raises(LiifBenchError, match="unknown metric of the run 'dists'"):
        means(frame, "dists")
    with pytest.raises(LiifBenchError, match="unknown model of the run 'bicubic'"):
        means(frame, "psnr", "bicubic")
    with pytest.raises(LiifBenchError, match="unknown model of the run 'c'"):
        strips(frame, "psnr", "m", "c")
    with pytest.raises(LiifBenchError, match="no value of psnr"):
        means(records({"broken": ["no weights"]}), "psnr")


def test_torch_is_not_imported():
    code = "import sys, liif_bench.analysis.curves; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
