import numpy as np
import pytest
import scipy.optimize
import torch
from torchmetrics.functional.classification import multiclass_f1_score

from liif_bench.analysis.linear import macro_f1, train


def blobs(count=30, channels=4, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % classes
    places = rng.normal(0, 1, (classes, channels))
    return places[labels] + rng.normal(0, 1, (count, channels)), labels


def test_the_classifier_is_the_minimum_that_another_search_finds():
    """Over all weights, with numerical slopes, from the formula as it is written."""
    features, labels = blobs()
    away = features - features.mean(axis=0)
    points = away / np.sqrt((away**2).sum(axis=1).mean())

    def loss(flat, penalty=0.05):
        weights, offsets = flat[:12].reshape(4, 3), flat[12:]
        odds = np.exp(points @ weights + offsets)
        likely = odds[np.arange(30), labels] / odds.sum(axis=1)
        return -np.log(likely).mean() + penalty / 2 * (weights**2).sum()

    found = scipy.optimize.minimize(loss, np.zeros(15), method="BFGS", options={"gtol": 1e-6}).x
    expected = points @ found[:12].reshape(4, 3) + found[12:]
    logits = train(features, labels, 3, penalty=0.05).scores(features)
    centred = [each - each.mean(axis=1, keepdims=True) for each in (logits, expected)]
    np.testing.assert_allclose(*centred, atol=5e-3)


@pytest.mark.parametrize("channels", [3, 200], ids=["few channels", "more than images"])
def test_neither_unit_nor_origin_of_features_counts(channels):
    features, labels = blobs(channels=channels)
    others, _ = blobs(channels=channels, seed=1)
    plain = train(features, labels, 3).scores(others)
    moved = train(1000 * features + 7, labels, 3).scores(1000 * others + 7)
    np.testing.assert_allclose(moved, plain, atol=1e-6)
    assert (train(features, labels, 3).classes(features) == labels).mean() > 0.6


def test_sets_that_are_trained_together_are_trained_as_if_alone():
    sets = [blobs(channels=5, seed=seed) for seed in range(4)]
    features, labels = (np.stack(each) for each in zip(*sets, strict=True))
    together = train(features, labels, 3).scores(features[0])
    for place, alone in enumerate(sets):
        expected = train(*alone, 3).scores(features[0])
        np.testing.assert_allclose(together[place], expected, atol=5e-3)


def test_a_class_that_nobody_shows_is_not_said():
    features, labels = blobs(classes=2)
    assert set(train(features, labels, 3).classes(features)) <= {0, 1}


def test_macro_f1_is_that_of_precision_and_recall():
    rng = np.random.default_rng(2)
    truth, said = rng.integers(0, 5, (2, 60))
    each = []
    for kind in range(5):
        precision = (truth[said == kind] == kind).mean()
        recall = (said[truth == kind] == kind).mean()
        each.append(2 / (1 / precision + 1 / recall))
    assert macro_f1(truth, said, 5) == pytest.approx(np.mean(each))
    theirs = multiclass_f1_score(torch.tensor(said), torch.tensor(truth), 5, average="macro")
    assert macro_f1(truth, said, 5) == pytest.approx(float(theirs), abs=1e-6)


def test_macro_f1_at_its_ends():
    truth = np.array([0, 0, 1, 2])
    assert macro_f1(truth, truth, 3) == 1
    assert macro_f1(truth, (truth + 1) % 3, 3) == 0
    assert macro_f1(truth, np.zeros(4, dtype=np.int64), 3) == pytest.approx(2 * 2 / (2 + 4) / 3)
