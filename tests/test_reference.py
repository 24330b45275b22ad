"""Per-image PSNR of the LIIF authors' own evaluation code with the official weights."""

import json

import pytest

from liif_bench.datasets import load_dataset
from liif_bench.evaluate import answer_case, make_case
from liif_bench.metrics.distortion import Psnr
from liif_bench.protocol import load_protocol

pytestmark = [pytest.mark.data, pytest.mark.weights]

PROTOCOL = load_protocol("liif-benchmark")


@pytest.mark.parametrize(
    ("dataset", "scale", "published"),
    [
        ("Set5", 4, 32.237),
        ("Set5", 8, 26.976),
        pytest.param("Set5", 2, 37.988, marks=pytest.mark.slow),
        pytest.param("Set5", 3, 34.400, marks=pytest.mark.slow),
        pytest.param("Set14", 2, 33.670, marks=pytest.mark.slow),
        pytest.param("Set14", 4, 28.624, marks=pytest.mark.slow),
    ],
)
def test_every_image_equals_the_authors_code(reference_data, liif, dataset, scale, published):
    reference = json.loads((reference_data / "reference.json").read_text())
    expected = reference[dataset][str(scale)]
    measured = {}
    for item in load_dataset(f"paired:{reference_data / dataset}").items:
        case = make_case(PROTOCOL, item, float(scale))
        assert case.lr_source == "given"
        measured[item.name] = Psnr().score(case, answer_case(liif, case).output)
    assert measured == pytest.approx(expected, abs=0.002)
    assert sum(measured.values()) / len(measured) == pytest.approx(published, abs=0.0006)
