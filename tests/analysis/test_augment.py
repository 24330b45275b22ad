import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
from views import made_up_augmented, run_of

from liif_bench.analysis.augment import augment_results
from liif_bench.analysis.stats import bootstrapped

ITEMS = [f"i{number:02d}" for number in range(30)]
MODELS = ["bicubic", "liif-edsr", "hr"]


@pytest.fixture(scope="module")
def tables():
    return {method: made_up_augmented(ITEMS, MODELS, method) for method in ("mean", "memo")}


@pytest.fixture(scope="module")
def results(tables, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    run_of(folder, tables["mean"], name="tta")
    (found,) = augment_results(run_of(folder, tables["memo"], name="memo"))
    return found


def by_hand(table, model, method, places):
    kept = zip(table["upsampler"], table["method"], table["rank"], strict=True)
    return np.array([float(rank <= places) for *who, rank in kept if who == [model, method]])


@pytest.mark.parametrize("method", ["one", "mean", "memo"])
@pytest.mark.parametrize("places", [1, 5])
def test_accuracy_and_gains_are_their_definitions(method, places, results, tables):
    table = tables["mean" if method == "one" else method]
    values = {model: by_hand(table, model, method, places) for model in MODELS}
    ones = {model: by_hand(table, model, "one", places) for model in MODELS}
    for model in MODELS:
        right = results.right(model, 4.0, method, places)
        assert right.index.tolist() == ITEMS
        np.testing.assert_array_equal(right, values[model])
        assert results.estimate(model, 4.0, method, places) == bootstrapped(values[model])
        for gain, base in (
            (results.gain_over("bicubic", model, 4.0, method, places), values["bicubic"]),
            (results.gain_of(model, 4.0, method, places), ones[model]),
        ):
            difference = values[model] - base
            assert astuple(gain.difference) == astuple(bootstrapped(difference))
            won, lost = int((difference > 0).sum()), int((difference < 0).sum())
            p = scipy.stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
            assert gain.p_value == pytest.approx(p)


def test_what_a_run_has(results, tmp_path, tables):
    assert results.scales == (4.0,)
    assert results.upsamplers == tuple(MODELS)
    assert results.methods == ("one", "mean", "memo")
    assert results.images() == results.images("hr") == 30
    (alone,) = augment_results(run_of(tmp_path / "one", tables["memo"], name="memo"))
    assert alone.methods == ("one", "memo")
    assert alone.estimate("hr", 4.0, "mean", 1) is None
    assert alone.gain_of("hr", 4.0, "mean", 1) is None
    assert augment_results(run_of(tmp_path / "none")) == []


def test_reading_them_never_imports_torch():
    code = "import sys, liif_bench.analysis.augment, liif_bench.reports.augment;"
    code += "assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
