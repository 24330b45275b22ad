import numpy as np
import pytest
import scipy.spatial.distance
import torch

from liif_bench.downstream.embeddings import pooled
from liif_bench.downstream.encoders import load_encoder
from liif_bench.errors import LiifBenchError
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output, rows_of
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
ENCODER = "efficientnet-lite0@4"


def image(seed):
    return torch.rand(3, 70, 96, generator=torch.Generator().manual_seed(seed))


def case():
    hr = image(0)
    return Case(PROTOCOL, 2.0, hr[:, ::2, ::2], hr, "given", ("n01440764", "n01443537"), "a")


def test_pooling_is_the_mean_over_places():
    grid = torch.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_allclose(pooled(grid), [5.5, 17.5])


def test_name_direction_needs_and_variant():
    metric = load_metric(f"embedding:{ENCODER}")
    assert metric.name == f"embedding:{ENCODER}"
    assert metric.higher_is_better
    assert metric.needs(PROTOCOL) == ("efficientnet-lite0",)
    assert rows_of(metric) == ("embeddings", ENCODER)
    assert "mean over tokens" in metric.variant(PROTOCOL)
    with pytest.raises(LiifBenchError, match="write metric as embedding:ENCODER"):
        load_metric("embedding")


@pytest.mark.weights
def test_the_value_is_the_cosine_of_mean_tokens(weights):
    weights("efficientnet-lite0")
    metric, measured = load_metric(f"embedding:{ENCODER}"), case()
    encoder = load_encoder(ENCODER)
    ours, theirs = (
        encoder.features(each[None, :, :64, :96])[0].double().numpy().mean(axis=(1, 2))
        for each in (image(1), image(0))
    )
    expected = 1 - scipy.spatial.distance.cosine(ours, theirs)
    output = Output(image(1))
    assert metric.score(measured, output) == pytest.approx(expected, rel=1e-6)
    (row,) = metric.details(measured, output)
    assert row.pop("embedding") == pytest.approx(ours, rel=1e-5)
    assert row == {"encoder": ENCODER, "labels": "n01440764 n01443537"}
    assert metric.score(measured, Output(measured.hr)) == 1
