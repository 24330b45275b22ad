import math

import numpy as np
import pytest
import scipy.spatial.distance
import torch
from PIL import Image, ImageFilter

from liif_bench.analysis.features import FeatureResults, Way, feature_results
from liif_bench.bench import Bench
from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.downstream.encoders import load_encoder
from liif_bench.downstream.features import (
    cosine,
    gaussian_kl,
    jitter,
    mmd,
    moved_by,
    mse,
)
from liif_bench.downstream.routes import ROUTES, bilateral, bilinear, low, tiled, whole
from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.evaluate import measure_case
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output, rows_of
from liif_bench.protocol import load_protocol
from liif_bench.records import SCHEMA_VERSION, load_run, write_details, write_manifest
from liif_bench.upsamplers import load_upsampler

PROTOCOL = load_protocol("liif-div2k")
ENCODER = "efficientnet-lite0@3"
NAMES = ("feature-mse", "feature-cosine", "feature-gaussian-kl", "feature-mmd", "feature-jitter")
SIZE = (192, 256)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def encoder(weights):
    weights("efficientnet-lite0")
    return load_encoder(ENCODER)


@pytest.fixture(scope="module")
def photos():
    """Three photographs, `(3, 192, 256)` each."""
    items = load_dataset("sample").items[:3]
    images = [Image.fromarray(item.read_hr(1.0)).resize(SIZE[::-1]) for item in items]
    return dict(zip((item.name for item in items), images, strict=True))


def tensor(image):
    return to_tensor(np.array(image))


# The numbers, against numpy and scipy


def numpy_kl(hr, sr, ridge=0.01):
    """KL of two Gaussians with determinants and an inverse, `(N, C)` tokens, nats per channel."""
    floor = ridge * np.trace(np.cov(hr.T, bias=True)) / hr.shape[1] * np.eye(hr.shape[1])
    one, other = (np.cov(each.T, bias=True) + floor for each in (hr, sr))
    away = sr.mean(0) - hr.mean(0)
    inverse = np.linalg.inv(other)
    logs = np.linalg.slogdet(other)[1] - np.linalg.slogdet(one)[1]
    total = np.trace(inverse @ one) + away @ inverse @ away - hr.shape[1] + logs
    return total / 2 / hr.shape[1]


def numpy_mmd(hr, sr):
    """Squared MMD with all pairs, the kernel's width from the distances within HR."""
    median = np.median(scipy.spatial.distance.pdist(hr, "sqeuclidean"))

    def kernel(x, y):
        return np.exp(-scipy.spatial.distance.cdist(x, y, "sqeuclidean") / median).mean()

    return kernel(hr, hr) + kernel(sr, sr) - 2 * kernel(hr, sr)


def sets(shape=(12, 9, 11)):
    hr = noise(*shape) * torch.linspace(0.1, 3, shape[0])[:, None, None] + 2
    return 0.7 * hr + 0.3 * noise(*shape, seed=1) + 0.2, hr


@pytest.mark.parametrize("shape", [(12, 9, 11), (40, 4, 5)], ids=["many", "fewer than channels"])
def test_distributions_are_those_of_numpy(shape):
    sr, hr = sets(shape)
    one, other = (each.flatten(1).T.double().numpy() for each in (hr, sr))
    assert gaussian_kl(sr, hr) == pytest.approx(numpy_kl(one, other), rel=1e-9)
    assert mmd(sr, hr) == pytest.approx(numpy_mmd(one, other), rel=1e-9)
    assert gaussian_kl(sr, hr) != pytest.approx(gaussian_kl(hr, sr), rel=0.01)


def test_distributions_do_not_see_places():
    sr, hr = sets()
    turned = sr.flip(2).transpose(1, 2)
    assert gaussian_kl(turned, hr) == pytest.approx(gaussian_kl(sr, hr), rel=1e-9)
    assert mmd(turned, hr) == pytest.approx(mmd(sr, hr), rel=1e-9)
    assert mse(turned.transpose(1, 2), hr) != pytest.approx(mse(sr, hr), rel=0.01)


def test_of_many_tokens_some_are_drawn_alike():
    sr, hr = sets((6, 30, 30))
    assert mmd(sr, hr, most=200) == mmd(sr, hr, most=200)
    assert mmd(hr, hr, most=200) == 0
    assert mmd(sr, hr, most=200) == pytest.approx(mmd(sr, hr, most=900), rel=0.3)


def test_differences_by_token_are_those_of_scipy():
    sr, hr = sets()
    one, other = (each.flatten(1).T.double().numpy() for each in (hr, sr))
    assert mse(sr, hr) == pytest.approx(((one - other) ** 2).mean())
    angles = [1 - scipy.spatial.distance.cosine(a, b) for a, b in zip(one, other, strict=True)]
    assert cosine(sr, hr) == pytest.approx(np.mean(angles))


def test_equal_features():
    hr = noise(8, 6, 7)
    hr[:, 2, 3] = 0  # a silent token, as of ReLU
    assert mse(hr, hr) == mmd(hr, hr) == 0
    assert cosine(hr, hr) == 1
    assert gaussian_kl(hr, hr) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("measure", [gaussian_kl, mmd])
def test_of_one_colour_there_is_no_distribution(measure):
    with pytest.raises(NotApplicableError, match="tokens of HR are equal"):
        measure(noise(4, 5, 5), torch.ones(4, 5, 5))


# Jitter


def test_moving_by_whole_pixels_is_a_roll():
    image = torch.rand(3, 20, 30, generator=torch.Generator().manual_seed(0))
    moved = moved_by(image, 2.0, -3.0)
    torch.testing.assert_close(moved[:, 2:, :27], image[:, :18, 3:], rtol=0, atol=1e-4)
    torch.testing.assert_close(moved[:, 0, :27], image[:, 0, 3:], rtol=0, atol=1e-4)  # the edge


@pytest.mark.weights
def test_jitter_rewards_smoothness(encoder, photos):
    """Which is why it is a diagnostic."""
    for photo in photos.values():
        values = []
        for radius in (0, 2, 5):
            image = tensor(photo.filter(ImageFilter.GaussianBlur(radius)))
            values.append(jitter(encoder, image, whole(encoder, image)))
            assert values[-1] == jitter(encoder, image, whole(encoder, image))
        assert values == sorted(values, reverse=True)
        assert values[0] > values[-1] > 0


@pytest.mark.weights
def test_jitter_needs_an_inside_and_something_to_see(encoder):
    small = torch.rand(3, 16, 64)
    with pytest.raises(NotApplicableError, match="no inside"):
        jitter(encoder, small, whole(encoder, small))
    with pytest.raises(NotApplicableError, match="all tokens are equal"):
        jitter(encoder, torch.rand(3, 64, 64), torch.ones(40, 8, 8))


# The metrics


@pytest.mark.parametrize("name", NAMES)
def test_name_direction_needs_and_variant(name):
    metric = load_metric(f"{name}:vgg16@relu4_3")
    assert metric.name == f"{name}:vgg16@relu4_3"
    assert metric.higher_is_better is (name == "feature-cosine")
    assert metric.needs(PROTOCOL) == ("lpips-vgg",)
    assert metric.identify(PROTOCOL) == {}
    assert rows_of(metric) == ("features", "vgg16@relu4_3")
    assert ("diagnostic" in metric.variant(PROTOCOL)) is (name == "feature-jitter")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("feature-mse", "needs an argument: write metric as feature-mse:ENCODER"),
        ("feature-mse:efficientnet-lite0@9", "unknown encoder 'efficientnet-lite0@9'"),
    ],
)
def test_wrong_names_are_one_line(name, message):
    with pytest.raises(LiifBenchError, match=message):
        load_metric(name)


def run_of(folder, photos, sources, encoders=(ENCODER,), scales=(4.0,)):
    """A run over photographs whose answers are made by `sources`, and its features."""
    bench = Bench(
        run="r",
        suite="s",
        suite_version=1,
        protocol=PROTOCOL,
        upsamplers=tuple(map(load_upsampler, sources)),
        metrics=tuple(load_metric(f"{name}:{each}") for each in encoders for name in NAMES[:2]),
        broken={},
        seed=0,
    )
    folder.mkdir(exist_ok=True)
    cases = []
    for name, photo in photos.items():
        photo.save(folder / f"{name}.png")
        item = Item(name, folder / f"{name}.png")
        cases += [measure_case(bench, "made", item, scale) for scale in scales]
    write_manifest(folder, {"schema_version": SCHEMA_VERSION, "finished": "2026"})
    write_details(folder, cases)
    return load_run(folder), [row for case in cases for row in case.records]


@pytest.fixture(scope="module")
def run(photos, weights, tmp_path_factory):
    for weights_id in ("efficientnet-lite0", "lpips-vgg"):
        weights(weights_id)
    return run_of(
        tmp_path_factory.mktemp("run"), photos, ("hr", "bicubic"), (ENCODER, "vgg16@relu3_3")
    )


@pytest.mark.weights
def test_every_encoder_has_its_rows(run):
    found, records = run
    rows = found.details("features")
    assert not [row.error for row in records if row.error]
    groups = rows.groupby(["encoder", "item", "upsampler"], sort=False)["route"].agg(list)
    assert len(groups) == 2 * 3 * 2
    assert all(tuple(routes) == ROUTES for routes in groups)
    image = rows[rows["route"] == "image"].set_index(["encoder", "item", "upsampler"])
    for row in records:
        name, _, encoder = row.metric.partition(":")
        kept = image.loc[(encoder, row.item, row.upsampler)]
        assert row.value == kept[name.removeprefix("feature-")]


@pytest.mark.weights
def test_hr_against_itself_is_infinite(run):
    for results in feature_results(run[0]):
        assert math.isinf(results.fidelity(4.0, Way("hr", "image")).mean)
        assert results.fidelity(4.0, Way("hr", "tiles")).mean > 1
        assert results.cosine(4.0, Way("hr", "image")) == 1


@pytest.mark.weights
def test_the_sets_fidelity_is_that_of_the_features_themselves(run, photos, encoder):
    """And that of shuffled images is at most about 1: half of it, where all are alike."""
    results = feature_results(run[0])[0]
    assert results.encoder == ENCODER
    truths, answers = [], {route: [] for route in ROUTES}
    for photo in photos.values():
        hr = tensor(photo)
        small = photo.resize((SIZE[1] // 4, SIZE[0] // 4), Image.Resampling.BICUBIC)
        sr = tensor(small.resize(SIZE[::-1], Image.Resampling.BICUBIC))
        grid, lr = low(encoder, tensor(small)), (SIZE[0] // 4, SIZE[1] // 4)
        truths.append(whole(encoder, hr).double().numpy())
        answers["image"].append(whole(encoder, sr))
        answers["tiles"].append(tiled(encoder, sr))
        answers["bilinear"].append(bilinear(grid, lr, SIZE, 8))
        answers["bilateral"].append(bilateral(grid, sr, lr, 8))
    truth = np.concatenate([each.reshape(40, -1) for each in truths], axis=1)
    variance = truth.var(axis=1).mean()
    for route, made in answers.items():
        each = np.concatenate([grid.double().numpy().reshape(40, -1) for grid in made], axis=1)
        expected = variance / ((each - truth) ** 2).mean()
        found = results.fidelity(4.0, Way("bicubic", route))
        assert found.mean == pytest.approx(expected, rel=1e-3), route
        assert found.low <= found.mean <= found.high
        assert found.images == 3

    tokens = [each.reshape(40, -1) for each in truths]
    differences = [
        ((one[:, :, None] - other[:, None, :]) ** 2).mean()
        for place, one in enumerate(tokens)
        for other in tokens[:place] + tokens[place + 1 :]
    ]
    shuffled = variance / np.mean(differences)
    assert results.shuffled(4.0) == pytest.approx(shuffled, rel=1e-6)
    assert 0.3 < shuffled <= 1
    turned = np.concatenate([truths[place].reshape(40, -1) for place in (1, 2, 0)], axis=1)
    assert variance / ((turned - truth) ** 2).mean() < 1.1  # the same places of another image


@pytest.mark.weights
def test_fidelity_falls_with_blur(encoder, photos):
    """Of every photograph alone, and of the three as a set."""
    errors = []
    for photo in photos.values():
        hr = whole(encoder, tensor(photo))
        blurred = [
            tensor(photo.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 3, 5)
        ]
        errors.append([mse(whole(encoder, image), hr) for image in blurred])
    for each in errors:
        assert each[0] == 0
        assert each == sorted(set(each))


@pytest.mark.weights
def test_sr_equal_to_hr_is_not_encoded_again(encoder, photos, monkeypatch):
    hr = tensor(next(iter(photos.values())))
    case = Case(PROTOCOL, 4.0, hr[:, ::4, ::4], hr, "given")
    seen = []
    original = type(encoder).features
    monkeypatch.setattr(
        type(encoder), "features", lambda self, x: seen.append(len(x)) or original(self, x)
    )
    for name in NAMES[:4]:
        assert load_metric(f"{name}:{ENCODER}").score(case, Output(hr.clone())) == pytest.approx(
            float(name == "feature-cosine"), abs=1e-9
        )
    assert len(seen) == 1


@pytest.mark.weights
def test_an_image_smaller_than_a_token_is_an_error(encoder):
    small = torch.rand(3, 6, 40)
    case = Case(PROTOCOL, 2.0, small[:, ::2, ::2], small, "given")
    with pytest.raises(LiifBenchError, match="40x6 pixels are too small for an encoder of stride"):
        load_metric(f"feature-mse:{ENCODER}").score(case, Output(small))


@pytest.mark.weights
def test_results_are_of_one_encoder(run):
    assert [(each.dataset, each.encoder) for each in feature_results(run[0])] == [
        ("made", ENCODER),
        ("made", "vgg16@relu3_3"),
    ]
    assert all(isinstance(each, FeatureResults) for each in feature_results(run[0]))
