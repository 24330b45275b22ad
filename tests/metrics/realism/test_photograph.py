import io
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.special import expit

from liif_bench.bench import Bench
from liif_bench.datasets import load_dataset
from liif_bench.downstream.encoders import load_encoder
from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.evaluate import measure_case
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism import PATCHES
from liif_bench.metrics.realism.photograph import (
    ENCODER,
    JUDGE_FILE,
    PATCH,
    definition,
    features,
    load_judge,
    patches,
    places,
    probe,
)
from liif_bench.protocol import load_protocol
from liif_bench.upsamplers import load_upsampler

PROTOCOL = load_protocol("liif-div2k")


def noise(height, width, seed=0):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed))


def case_of(hr, item="photo"):
    return Case(PROTOCOL, 4.0, hr[:, ::4, ::4], hr, "made", item=item)


@pytest.fixture(scope="module")
def photo():
    """A part of a photograph that is stored as PNG, `(288, 288, 3)` uint8."""
    item = next(each for each in load_dataset("sample").items if each.name == "astronaut")
    return item.read_hr(1)[:288, :288]


@pytest.fixture(scope="module")
def judged(weights):
    weights("efficientnet-lite0")
    return load_metric("photograph")


@given(st.integers(1, 1200), st.integers(1, 1200))
def test_patches_lie_inside_apart_and_evenly(height, width):
    found = places((height, width))
    assert len(found) == min(5, height // PATCH) * min(5, width // PATCH)
    for side, starts in ((height, {t for t, _ in found}), (width, {left for _, left in found})):
        ordered = sorted(starts)
        ends = [start + PATCH for start in ordered]
        assert all(start >= 0 for start in ordered)
        assert all(end <= side for end in ends)
        assert all(b >= a for a, b in zip(ends, ordered[1:], strict=False))
        if ordered:
            assert abs(ordered[0] - (side - ends[-1])) <= 1  # as far from one edge as the other


def test_patches_are_cut_where_they_lie():
    image = noise(210, 300)
    cut = patches(image)
    assert cut.shape == (6, 3, PATCH, PATCH)
    for (top, left), patch in zip(places((210, 300)), cut, strict=True):
        assert torch.equal(patch, image[:, top : top + PATCH, left : left + PATCH])


@pytest.mark.weights
def test_features_are_means_and_spreads_of_the_encoder(judged):
    cut = patches(noise(96, 290))
    made = features(cut)
    tokens = load_encoder(ENCODER).features(cut).numpy().astype(np.float64)
    channels = tokens.shape[1]
    assert made.shape == (3, 2 * channels)
    assert made[:, :channels] == pytest.approx(tokens.mean(axis=(2, 3)), abs=1e-9)
    assert made[:, channels:] == pytest.approx(np.log(tokens.std(axis=(2, 3)) + 1e-3), abs=1e-9)
    alone = np.concatenate([features(each[None]) for each in cut])
    assert made == pytest.approx(alone, abs=1e-5)


@pytest.mark.weights
def test_the_judge_was_trained_on_these_features(judged):
    held = json.loads(JUDGE_FILE.read_text())
    assert held["features"] == definition()
    assert held["encoder_sha256"] == load_encoder(ENCODER).sha256
    assert features(probe())[0] == pytest.approx(held["probe"], abs=1e-4)
    assert len(held["weights"]) == len(held["mean"]) == len(held["spread"]) == len(held["probe"])
    assert held["training"]["auc_on_images_left_out"] > 0.85


def test_a_judge_of_other_features_is_refused(tmp_path):
    held = json.loads(JUDGE_FILE.read_text())
    path = tmp_path / "judge.json"
    path.write_text(json.dumps(held | {"features": definition() | {"patch": 64}}))
    with pytest.raises(LiifBenchError, match="trained on other features than these: train it anew"):
        load_judge(path)
    path.write_text("{}")
    with pytest.raises(LiifBenchError, match="holds no judge of photographs"):
        load_judge(path)


def test_probabilities_are_those_of_the_logistic_function():
    judge = load_judge()
    raw = np.random.default_rng(1).normal(judge.mean, judge.spread, (5, len(judge.mean)))
    odds = ((raw - judge.mean) / judge.spread * judge.weights).sum(axis=1) + judge.bias
    found = judge.probabilities(judge.standardised(raw))
    assert found == pytest.approx(expit(odds))


def test_images_of_the_suites_are_not_those_of_its_training():
    trained = load_judge().trained_on
    assert trained
    for name in ("sample", "scenes"):
        assert not trained & {item.name for item in load_dataset(name).items}


@pytest.mark.data
def test_every_second_image_is_left_to_judge(reference_data):
    items = load_dataset("imagenet-sample", reference_data).items
    trained = load_judge().trained_on
    assert trained <= {item.name for item in items[1::2]}
    assert len(trained) > 50
    for name in ("set5", "set14"):
        assert not trained & {item.name for item in load_dataset(name, reference_data).items}


def test_what_it_was_trained_on_is_not_judged():
    metric = load_metric("photograph")
    hr = noise(96, 96)
    case = case_of(hr, item=min(load_judge().trained_on))
    with pytest.raises(NotApplicableError, match="was trained on this image"):
        metric.score(case, Output(hr))
    assert metric.details(case, Output(hr)) == []


def test_images_without_a_patch_are_not_judged():
    hr = noise(95, 400)
    with pytest.raises(NotApplicableError, match="less than the 96 pixels of a patch"):
        load_metric("photograph").score(case_of(hr), Output(hr))


@pytest.mark.weights
def test_the_value_is_the_mean_of_the_kept_probabilities(judged):
    hr = noise(200, 300)
    output = Output(hr)
    rows = judged.details(case_of(hr), output)
    assert [(row["top"], row["left"]) for row in rows] == places((200, 300))
    assert judged.score(case_of(hr), output) == pytest.approx(
        np.mean([row["probability"] for row in rows])
    )
    judge = load_judge()
    for row, raw in zip(rows, features(patches(hr)), strict=True):
        assert row["features"] == pytest.approx(judge.standardised(raw), abs=1e-3)
        assert 0 <= row["probability"] <= 1


@pytest.mark.weights
def test_a_photograph_is_told_from_its_enlargements(judged, photo):
    """Also where the photograph was compressed and the enlargement was not."""
    hr = to_tensor(photo)
    image = Image.fromarray(photo)
    by = {scale: image.resize((288 // scale,) * 2, Image.Resampling.BICUBIC) for scale in (2, 4, 8)}
    enlarged = [
        to_tensor(np.array(low.resize((288, 288), Image.Resampling.BICUBIC))) for low in by.values()
    ]
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    compressed = to_tensor(np.array(Image.open(file)))
    real, stored, *made = (
        judged.score(case_of(hr), Output(each)) for each in (hr, compressed, *enlarged)
    )
    assert min(real, stored) > 3 * max(made)


@pytest.mark.weights
def test_a_case_keeps_its_patches(judged, tmp_path, photo):
    Image.fromarray(photo).save(tmp_path / "photo.png")
    (item,) = load_dataset(f"folder:{tmp_path}").items
    models = tuple(load_upsampler(name) for name in ("hr", "bicubic"))
    bench = Bench("r", "s", 1, PROTOCOL, models, (judged,), {}, 0)
    rows = measure_case(bench, "photos", item, 4.0)
    table = rows.details[PATCHES]
    assert table["upsampler"] == ["hr"] * 9 + ["bicubic"] * 9
    real, made = (record.value for record in rows.records)
    assert real == pytest.approx(np.mean(table["probability"][:9]))
    assert made < real
