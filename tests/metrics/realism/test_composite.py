import math

import numpy as np
import pytest
import torch

from liif_bench.distort import distort
from liif_bench.errors import LiifBenchError
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.composite import (
    FILE,
    Part,
    read_composites,
    shipped_composites,
)
from liif_bench.protocol import load_protocol
from liif_bench.shipped import read_toml

PROTOCOL = load_protocol("liif-div2k")
DIMENSIONS = ("faithfulness", "attributes", "relationships", "style")
NAMES = ("realism", *(f"realism-{dimension}" for dimension in DIMENSIONS))


@pytest.fixture(scope="module")
def needed(weights):
    for weights_id in load_metric("realism").needs(PROTOCOL):
        weights(weights_id)


@pytest.fixture(scope="module")
def case():
    """A square of a photograph of scikit-image, and its LR at x4."""
    from skimage import data

    from liif_bench.degrade import make_pair

    hr = np.ascontiguousarray(data.astronaut()[40:168, 150:278])
    lr, cropped = make_pair(hr, 4.0, PROTOCOL.lr)
    return Case(PROTOCOL, 4.0, lr, to_tensor(cropped), PROTOCOL.lr.generator)


# The formula


@pytest.mark.parametrize(
    ("how", "value", "distance"),
    [("itself", 0.3, 0.3), ("below one", 0.7, 0.3), ("from dB", 20.0, 0.1), ("itself", 0.0, 0.0)],
)
def test_a_loss_is_the_distance_over_itself_and_the_half(how, value, distance):
    part = Part(distance=how, half=0.3, weight=1)
    assert part.loss(value) == pytest.approx(distance / (distance + 0.3))


def test_a_perfect_value_has_no_loss_and_a_hopeless_one_a_whole():
    assert Part(distance="from dB", half=0.1, weight=1).loss(math.inf) == 0
    assert Part(distance="below one", half=0.1, weight=1).loss(1.0000001) == 0
    assert Part(distance="itself", half=0.1, weight=1).loss(math.inf) == 1


@pytest.mark.weights
@pytest.mark.parametrize("name", NAMES)
def test_hr_is_wholly_real(needed, case, name):
    assert load_metric(name).score(case, Output(case.hr.clone())) == pytest.approx(1, abs=1e-6)


@pytest.mark.weights
def test_a_composite_is_its_formula_worked_out_by_hand(needed, case):
    sr = distort(case.hr, "blur", 3)
    content = read_toml(FILE)
    dimensions = {}
    for dimension, parts in content["dimensions"].items():
        lost = 0.0
        for metric, part in parts.items():
            value = load_metric(metric).score(case, Output(sr))
            distance = {
                "itself": value, "below one": 1 - value, "from dB": 10 ** (-value / 20),
            }[part["distance"]]  # fmt: skip
            lost += part["weight"] * distance / (distance + part["half"])
        dimensions[dimension] = 1 - lost
    output = Output(sr)
    for dimension, expected in dimensions.items():
        assert load_metric(f"realism-{dimension}").score(case, output) == pytest.approx(expected)
    expected = sum(content["overall"][name] * value for name, value in dimensions.items())
    assert load_metric("realism").score(case, output) == pytest.approx(expected)


@pytest.mark.weights
@pytest.mark.parametrize("kind", ["blur", "noise", "jpeg", "ringing", "quantisation"])
def test_more_damage_is_less_real(needed, case, kind):
    scores = [
        load_metric("realism").score(case, Output(distort(case.hr, kind, k))) for k in (1, 3, 5)
    ]
    assert 1 > scores[0] > scores[1] > scores[2] > 0


@pytest.mark.weights
def test_what_is_measured_before_changes_nothing(needed, case):
    """Metrics share what they have seen of an image; none may take another's for its own."""
    metrics = [
        name for parts in shipped_composites().dimensions.values() for name in parts
    ]  # fmt: skip
    sr = distort(case.hr, "jpeg", 3)

    def measured(order):
        output, fresh = Output(sr), Case(PROTOCOL, 4.0, case.lr, case.hr, case.lr_source)
        return {name: load_metric(name).score(fresh, output) for name in order}

    assert measured(metrics) == pytest.approx(measured(metrics[::-1]), abs=1e-9)


def test_variants_name_the_fit_and_the_weights():
    composites = shipped_composites()
    assert load_metric("realism-style").variant(PROTOCOL) == f"fit {composites.hash}"
    overall = load_metric("realism").variant(PROTOCOL)
    for name, weight in composites.overall.items():
        assert f"{weight:.2f} {name}" in overall


# The data file


def test_every_metric_of_a_composite_is_one():
    for parts in shipped_composites().dimensions.values():
        for name in parts:
            load_metric(name)


def test_the_hash_changes_with_every_number(tmp_path):
    text = FILE.read_text(encoding="utf-8")
    half = read_toml(FILE)["dimensions"]["style"]["gram"]["half"]
    path = tmp_path / "composite.toml"
    path.write_text(text.replace(f"half = {half:g}", f"half = {half * 1.001:g}"), encoding="utf-8")
    assert read_composites(path).hash != shipped_composites().hash


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[overall]\na = 1\n[dimensions.b]\n",
        '[overall]\na = 1\n[dimensions.a]\ndists = { distance = "itself", half = 1, weight = 0.5 }',
        '[overall]\na = 1\n[dimensions.a]\ndists = { distance = "itself", half = 0, weight = 1 }',
        '[overall]\na = 1\n[dimensions.a]\ndists = { distance = "other", half = 1, weight = 1 }',
    ],
)
def test_a_file_that_holds_no_composites_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "composite.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LiifBenchError, match=r"composite\.toml") as error:
        read_composites(path)
    assert "\n" not in str(error.value)


def test_one_metric_that_cannot_be_computed_stops_its_composite(case):
    small = Case(PROTOCOL, 4.0, torch.rand(3, 4, 4), torch.rand(3, 16, 16), "given")
    with pytest.raises(LiifBenchError):
        load_metric("realism-attributes").score(small, Output(torch.rand(3, 16, 16)))
