import subprocess
import sys
from dataclasses import astuple

import numpy as np
import pytest
import scipy.stats
from views import made_up_views, run_of

from liif_bench.analysis.stats import bootstrapped
from liif_bench.analysis.zoom import MEASURES, calibration_error, zoom_results
from liif_bench.errors import LiifBenchError

ITEMS = [f"i{number:02d}" for number in range(30)]
MODELS = ["bicubic", "liif-edsr", "hr"]
BY_NAME = {measure.name: measure for measure in MEASURES}


@pytest.fixture(scope="module")
def table():
    return made_up_views(ITEMS, MODELS)


@pytest.fixture(scope="module")
def results(table, tmp_path_factory):
    (found,) = zoom_results(run_of(tmp_path_factory.mktemp("run"), table))
    return found


def rows_of(table, **wanted):
    """The rows of a table as dictionaries, those that have certain values."""
    rows = [dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True)]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def by_hand(table, name, model):
    """A measure by image, worked out row by row."""
    kind, _, which = name.partition(" (")
    value = {
        "top-1": lambda row: row["rank"] == 1,
        "top-5": lambda row: row["rank"] <= 5,
        "centre any": lambda row: row["rank"] == 1,
        "any view": lambda row: row["rank"] == 1,
        "agree": lambda row: row["agrees"],
        "KL": lambda row: row["kl"],
    }[kind]
    found = []
    for item in ITEMS:
        rows = rows_of(table, item=item, upsampler=model)
        if which == "one)" or name == "centre any":
            rows = [row for row in rows if row["row"] == row["column"] == 1]
        if which == "one)":
            rows = [row for row in rows if row["size"] == 256]
        values = [float(value(row)) for row in rows]
        found.append(max(values) if "any" in name else np.mean(values))
    return np.array(found)


@pytest.mark.parametrize("name", BY_NAME)
def test_a_measure_is_its_definition_for_each_image(name, results, table):
    for model in MODELS:
        values = results.seen(model, 4.0).per_image(BY_NAME[name])
        assert values.index.tolist() == ITEMS
        np.testing.assert_allclose(values, by_hand(table, name, model), rtol=1e-12)


@pytest.mark.parametrize("name", BY_NAME)
def test_an_interval_is_that_of_scipys_bootstrap(name, results, table):
    values = by_hand(table, name, "bicubic")
    estimate = results.seen("bicubic", 4.0).estimate(BY_NAME[name])
    assert (estimate.mean, estimate.images) == (pytest.approx(values.mean()), 30)
    if values.std() == 0:
        assert estimate.low == estimate.high == values[0]
        return
    interval = scipy.stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(1)
    ).confidence_interval
    spread = values.std()
    assert estimate.low == pytest.approx(interval.low, abs=0.02 * spread)
    assert estimate.high == pytest.approx(interval.high, abs=0.02 * spread)


def test_intervals_are_the_same_every_time():
    values = np.random.default_rng(3).normal(size=40)
    assert bootstrapped(values) == bootstrapped(values)


@pytest.mark.parametrize("name", BY_NAME)
def test_gains_are_paired_by_image(name, results, table):
    measure = BY_NAME[name]
    ours, theirs = by_hand(table, name, "liif-edsr"), by_hand(table, name, "bicubic")
    gain = results.seen("liif-edsr", 4.0).gain(measure, results.seen("bicubic", 4.0))
    expected = bootstrapped(ours - theirs)
    assert astuple(gain.difference) == pytest.approx(astuple(expected), abs=1e-12)
    binary = "any" in name or (name.endswith("(one)") and not name.startswith("KL"))
    if not binary:
        assert gain.p_value is None
        return
    won, lost = int((ours > theirs).sum()), int((ours < theirs).sum())
    expected = scipy.stats.binomtest(won, won + lost).pvalue if won + lost else 1.0
    assert gain.p_value == pytest.approx(expected)


def test_an_image_that_one_model_lacks_is_in_no_pair(table, tmp_path):
    kept = [
        row for row in rows_of(table) if (row["item"], row["upsampler"]) != ("i03", "liif-edsr")
    ]
    short = {name: [row[name] for row in kept] for name in table}
    (results,) = zoom_results(run_of(tmp_path, short))
    liif, bicubic = results.seen("liif-edsr", 4.0), results.seen("bicubic", 4.0)
    measure = BY_NAME["top-1 (mean)"]
    assert liif.estimate(measure).images == 29
    assert bicubic.estimate(measure).images == 30
    assert liif.gain(measure, bicubic).difference.images == 29


def test_accuracy_by_size_and_by_anchor(results, table):
    seen = results.seen("bicubic", 4.0)
    for size, accuracy in seen.by_size().items():
        right = [row["rank"] == 1 for row in rows_of(table, upsampler="bicubic", size=size)]
        assert accuracy == pytest.approx(np.mean(right))
    for size, accuracy in seen.by_size(centre=True).items():
        rows = rows_of(table, upsampler="bicubic", size=size, row=1, column=1)
        assert accuracy == pytest.approx(np.mean([row["rank"] == 1 for row in rows]))
    assert list(seen.by_size()) == [128, 256, 512]
    anchors = seen.by_anchor()
    for row in range(3):
        for column in range(3):
            rows = rows_of(table, upsampler="bicubic", row=row, column=column)
            right = [each["rank"] == 1 for each in rows]
            assert anchors[row, column] == pytest.approx(np.mean(right))


def test_exclusives(tmp_path):
    """Four images: right only at 512, only at 128, at both, nowhere."""
    table = made_up_views(["in", "out", "both", "never"], ["m"])
    right = {"in": [512], "out": [128], "both": [128, 512], "never": []}
    for place, (item, size) in enumerate(zip(table["item"], table["size"], strict=True)):
        here = size in right[item] and table["row"][place] == 2
        table["rank"][place] = 1 if here else 7
    (results,) = zoom_results(run_of(tmp_path, table))
    found = results.seen("m", 4.0).exclusives()
    assert (found.zoom_in, found.zoom_out, found.never) == (0.25, 0.25, 0.25)
    for place, (item, size) in enumerate(zip(table["item"], table["size"], strict=True)):
        if item == "in" and size == 256:
            table["rank"][place] = 1  # at the one-crop size, at some anchor, too
    (results,) = zoom_results(run_of(tmp_path, table))
    assert results.seen("m", 4.0).exclusives().zoom_in == 0


def test_calibration_error_is_its_definition():
    rng = np.random.default_rng(5)
    confidence, right = rng.uniform(size=500), (rng.uniform(size=500) < 0.4).astype(float)
    confidence[:3] = 0.0, 1.0, 1 / 3
    expected = 0.0
    for low in range(15):
        edges = (low / 15, (low + 1) / 15)
        inside = (confidence >= edges[0]) & (confidence < edges[1])
        if low == 14:
            inside |= confidence == 1
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            expected += inside.mean() * gap
    assert calibration_error(confidence, right) == pytest.approx(expected)
    assert calibration_error(np.array([1.0, 1.0]), np.array([1.0, 1.0])) == 0
    assert calibration_error(np.array([1.0, 1.0]), np.array([0.0, 0.0])) == 1


def test_without_labels_there_is_agreement_and_no_accuracy(tmp_path):
    (results,) = zoom_results(run_of(tmp_path, made_up_views(ITEMS, MODELS, labelled=False)))
    seen = results.seen("bicubic", 4.0)
    assert results.labelled == 0
    for measure in MEASURES:
        assert (seen.estimate(measure) is None) is measure.labelled
    assert seen.exclusives() is None
    assert seen.calibration_error() is None
    with pytest.raises(LiifBenchError, match="has a label"):
        seen.by_anchor()


def test_labels_of_some_images_count_for_accuracy_alone(tmp_path):
    mixed = [
        made_up_views(ITEMS[:10], MODELS),
        made_up_views(ITEMS[10:], MODELS, labelled=False),
    ]
    (results,) = zoom_results(run_of(tmp_path, *mixed))
    assert (results.images, results.labelled) == (30, 10)
    seen = results.seen("hr", 4.0)
    assert seen.estimate(BY_NAME["top-1 (mean)"]).images == 10
    assert seen.estimate(BY_NAME["KL (mean)"]).images == 30


def test_a_run_without_views_has_no_results(tmp_path):
    assert zoom_results(run_of(tmp_path)) == []


def test_reading_views_never_imports_torch():
    code = "import sys, liif_bench.analysis.zoom, liif_bench.reports.zoom, liif_bench.cli.zoom;"
    code += "assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
