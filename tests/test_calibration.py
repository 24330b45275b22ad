"""Tiny image pairs with the numbers of independent implementations, carried in a table."""

import hashlib
import itertools
import json
from typing import get_args

import numpy as np
import pytest
import torch
from oracles import scoring
from skimage.metrics import structural_similarity

from liif_bench.evaluate import finish
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case
from liif_bench.protocol import Colour, SsimWindow, load_protocol, protocol_names

TABLE = json.loads(scoring.TABLE.read_text(encoding="utf-8"))
BASE = load_protocol("liif-div2k")
CASES = [(name, scale) for name in scoring.PAIRS for scale in scoring.SCALES]

# The table holds seven decimals. PSNR: torchmetrics' ln(10) is a float32, 5e-8 of some 30 dB.
# LPIPS: two float32 networks whose inputs were put into range in another order.
TOLERANCE = {"psnr": 3e-6, "ssim": 1e-7, "lpips": 1e-5}


def score(protocol, metric, name, scale):
    sr, hr = scoring.pair(name)
    rendered = torch.from_numpy(np.ascontiguousarray(np.moveaxis(sr, 2, 0)))
    case = Case(protocol, scale, rendered[:, :1, :1], to_tensor(hr), "given")
    return load_metric(metric).score(case, finish(rendered, protocol))


def rows(metric_names):
    """Protocol, metric and values, of every entry of the table for some metrics."""
    for preset, metrics in TABLE["presets"].items():
        for metric in metric_names:
            yield pytest.param(
                load_protocol(preset), metric, metrics[metric], id=f"{preset}-{metric}"
            )
    for row in TABLE["fields"]:
        if row["metric"] in metric_names:
            words = ",".join(f"{field}={value}" for field, value in row["changed"].items())
            yield pytest.param(BASE.changed(row["changed"]), row["metric"], row["values"], id=words)


def assert_calibrated(protocol, metric, values):
    expected = {(name, scale): values[name][f"{scale:g}"] for name, scale in CASES}
    measured = {case: score(protocol, metric, *case) for case in CASES}
    assert measured == pytest.approx(expected, abs=TOLERANCE[metric], rel=0)


@pytest.mark.parametrize(("protocol", "metric", "values"), [*rows(["psnr", "ssim"])])
def test_the_metric_gives_the_tables_numbers(protocol, metric, values):
    assert_calibrated(protocol, metric, values)


@pytest.mark.weights
@pytest.mark.parametrize(("protocol", "metric", "values"), [*rows(["lpips"])])
def test_lpips_gives_the_tables_numbers(protocol, metric, values, weights):
    weights(f"lpips-{protocol.lpips.net}")
    assert_calibrated(protocol, metric, values)


# The table itself


def flat(tree, path=()):
    """The leaves of nested dicts and lists by their path."""
    if isinstance(tree, dict):
        return {k: v for name in tree for k, v in flat(tree[name], (*path, name)).items()}
    if isinstance(tree, list):
        return {k: v for i, part in enumerate(tree) for k, v in flat(part, (*path, i)).items()}
    return {path: tree}


@pytest.mark.weights
def test_the_table_is_what_the_independent_code_computes(weights):
    """So that no number in it is edited by hand."""
    weights("lpips-alex")
    weights("lpips-vgg")
    stored, computed = flat(TABLE), flat(scoring.table())
    assert list(stored) == list(computed)
    for path, value in computed.items():
        if "values" not in path and "presets" not in path:
            assert stored[path] == value
        else:  # float32 networks differ a little from machine to machine, sums of float64 hardly
            tolerance = 1e-5 if "lpips" in (*path, stored.get((*path[:2], "metric"))) else 2e-7
            assert stored[path] == pytest.approx(value, abs=tolerance, rel=0), path


def test_every_preset_stands_in_the_table():
    assert sorted(TABLE["presets"]) == protocol_names()


def test_every_choice_of_a_scored_field_stands_in_the_table():
    protocols = [load_protocol(name) for name in TABLE["presets"]]
    protocols += [BASE.changed(row["changed"]) for row in TABLE["fields"]]
    fields = [protocol.fields for protocol in protocols]
    choices = {
        "rounding": {"none", "uint8"},
        "psnr.colour": set(get_args(Colour)),
        "ssim.colour": set(get_args(Colour)),
        "ssim.window": set(get_args(SsimWindow)),
        "lpips.net": {"alex", "vgg"},
        "lpips.range": {"-1..1", "0..1"},
    }
    for field, values in choices.items():
        assert {protocol[field] for protocol in fields} == values


@pytest.mark.parametrize("metric", ["psnr", "ssim", "lpips"])
def test_protocols_that_score_otherwise_have_other_numbers(metric):
    """Or the pairs would not tell a right implementation from a wrong one."""

    def scored(name):
        fields = load_protocol(name).fields.items()
        return {f: v for f, v in fields if f.startswith(f"{metric}.") or f == "rounding"}

    for one, other in itertools.combinations(protocol_names(), 2):
        first, second = (flat(TABLE["presets"][name][metric]) for name in (one, other))
        furthest = max(abs(first[path] - second[path]) for path in first)
        if scored(one) == scored(other):
            assert furthest == 0, (one, other)
        else:
            assert furthest > 10 * TOLERANCE[metric], (one, other)


@pytest.mark.parametrize("row", TABLE["fields"], ids=lambda row: str(row["changed"]))
def test_no_changed_field_leaves_the_numbers_as_they_are(row):
    base = flat(TABLE["presets"]["liif-div2k"][row["metric"]])
    changed = flat(row["values"])
    assert set(base) == set(changed)
    assert all(abs(base[key] - changed[key]) > 1e-4 for key in base)


# The pairs


def test_the_pairs_are_what_they_are_called():
    levels = {name: scoring.pair(name)[0].astype(float) * 255 for name in scoring.PAIRS}
    off = {name: np.abs(values - values.round()) for name, values in levels.items()}
    assert off["8-bit"].max() < 1e-4
    for name in ("between levels", "out of range"):
        assert off[name].mean() > 0.2
        assert off[name].max() < 0.4999  # no tie for two ways of rounding to break
    outside = {name: ((values < 0) | (values > 255)).mean() for name, values in levels.items()}
    assert outside["8-bit"] == outside["between levels"] == 0
    assert outside["out of range"] > 0.02


# Made of whole numbers alone, of which every machine makes the same.
SHA256 = {
    "8-bit": ("4cd3b22886dc", "98fe927a6eb3"),
    "between levels": ("5739fd107f4b", "69518b8779ab"),
    "out of range": ("a69fdc51f7e7", "7b2af316bea4"),
}


@pytest.mark.parametrize("name", scoring.PAIRS)
def test_the_pairs_never_change(name):
    images = scoring.pair(name)
    assert [image.dtype for image in images] == ["float32", "uint8"]
    hashes = tuple(hashlib.sha256(image.tobytes()).hexdigest()[:12] for image in images)
    assert hashes == SHA256[name]


@pytest.mark.parametrize("name", scoring.PAIRS)
def test_the_independent_ssim_is_scikit_images(name):
    """Which shares no line with it."""
    sr, hr = scoring.pair(name)
    images = (scoring.clamped(sr), hr / 255)
    expected = structural_similarity(
        *images,
        channel_axis=2,
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert scoring.VALID(*images) == pytest.approx(expected, abs=1e-10)
