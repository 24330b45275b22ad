import math

import numpy as np
import pytest
import scipy.linalg
import scipy.stats
import torch
from patches import made_up_patches, run_of_patches
from torch import nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from liif_bench.analysis.distribution import (
    AUC,
    CMMD,
    DISTANCES,
    FID,
    KID,
    Compared,
    Patches,
    auc,
    cmmd,
    fid,
    kid,
    patch_results,
)
from liif_bench.errors import LiifBenchError

SIDE = 2


class Pixels(nn.Module):
    """Features that are the pixels themselves, so that torchmetrics is given any features."""

    num_features = 3 * SIDE * SIDE

    def forward(self, images):
        return images.flatten(1).double()


def as_images(values):
    return torch.tensor(values).reshape(len(values), 3, SIDE, SIDE)


def draw(count, seed, centre=0.0, spread=1.0):
    values = np.random.default_rng(seed).normal(centre, spread, (count, Pixels.num_features))
    return values * np.linspace(0.5, 1.5, Pixels.num_features)


def singles(real, made):
    """Two sets of images of one patch each, none of them in both."""
    n, m = len(real), len(made)
    return Compared(
        Patches(np.arange(n), np.zeros(n), real),
        Patches(np.arange(n, n + m), np.zeros(m), made),
        n + m,
    )


def paired(real, made, each=3, probabilities=None):
    """Two sets of patches of the same images."""
    image = np.arange(len(real)) // each
    one, other = probabilities or (np.zeros(len(real)), np.zeros(len(made)))
    return Compared(Patches(image, one, real), Patches(image, other, made), int(image[-1]) + 1)


def test_kid_is_that_of_torchmetrics():
    real, made = draw(60, 1), draw(60, 2, 0.3, 1.2)
    theirs = KernelInceptionDistance(Pixels(), subsets=1, subset_size=60, normalize=True)
    theirs.set_dtype(torch.float64)
    theirs.update(as_images(real), real=True)
    theirs.update(as_images(made), real=False)
    assert kid(singles(real, made)).mean == pytest.approx(float(theirs.compute()[0]), rel=1e-6)


def frechet_of_torchmetrics(real, made):
    theirs = FrechetInceptionDistance(Pixels(), normalize=True, input_img_size=(3, SIDE, SIDE))
    theirs.set_dtype(torch.float64)
    theirs.update(as_images(real), real=True)
    theirs.update(as_images(made), real=False)
    return theirs.compute()


def test_fid_is_that_of_torchmetrics():
    real, made = draw(90, 3), draw(70, 4, 0.3, 1.2)
    expected = float(frechet_of_torchmetrics(real, made))
    assert fid(singles(real, made)).mean == pytest.approx(expected, rel=1e-6)


def test_fid_of_fewer_patches_than_features_is_that_of_torchmetrics_too():
    real, made = draw(9, 3), draw(8, 4, 0.3, 1.2)
    expected = float(frechet_of_torchmetrics(real, made))
    assert fid(singles(real, made)).mean == pytest.approx(expected, rel=1e-4)


def test_fid_is_the_closed_form_where_spreads_commute():
    """Of diagonal covariances: the sum of (m - n)^2 + (s - t)^2."""
    real = draw(40, 5)
    centred = scipy.linalg.orth(real - real.mean(axis=0))[:, :4]
    made = centred * [1.0, 2.0, 3.0, 4.0] + [1.0, 0.0, 0.0, 2.0]
    first = Patches(np.arange(40), np.zeros(40), centred)
    second = Patches(np.arange(40), np.zeros(40), made)
    expected = 5 + sum((s - 1) ** 2 for s in (1, 2, 3, 4)) / 39
    assert fid(Compared(first, second, 40)).mean == pytest.approx(expected)


def test_cmmd_is_its_formula_over_all_pairs():
    real, made = draw(12, 6), draw(9, 7, 0.5)

    def mean(one, other, same):
        values = [
            math.exp(-((x - y) ** 2).sum() / 200)
            for i, x in enumerate(one)
            for j, y in enumerate(other)
            if not (same and i == j)
        ]
        return sum(values) / len(values)

    expected = mean(real, real, True) + mean(made, made, True) - 2 * mean(real, made, False)
    assert cmmd(singles(real, made)).mean == pytest.approx(1000 * expected)


def test_auc_is_mann_whitneys():
    rng = np.random.default_rng(8)
    one, other = rng.integers(0, 9, 40) / 8, rng.integers(0, 7, 30) / 8
    compared = Compared(
        Patches(np.arange(40), one, np.zeros((40, 1))),
        Patches(np.arange(40, 70), other, np.zeros((30, 1))),
        70,
    )
    expected = scipy.stats.mannwhitneyu(one, other).statistic / (40 * 30)
    found = auc(compared)
    assert found.mean == pytest.approx(expected)
    assert found.low < expected < found.high


def test_pairs_of_one_image_do_not_count():
    """Not for AUC, where SR and HR have their content in common, and not within a set."""
    probabilities = (np.array([0.9, 0.2]), np.array([0.1, 0.8]))
    compared = paired(np.zeros((2, 1)), np.zeros((2, 1)), 1, probabilities)
    assert auc(compared).mean == 1.0  # 0.9 > 0.8 and 0.2 > 0.1; 0.2 < 0.8 is of one image
    assert auc(paired(np.zeros((2, 1)), np.zeros((2, 1)), 1, probabilities[::-1])).mean == 0.0


def test_kid_over_images_is_its_mean_over_pairs_of_images():
    rng = np.random.default_rng(9)
    real, made = rng.normal(size=(9, 5)), rng.normal(0.4, 1, (9, 5))
    total, pairs = 0.0, 0
    for i in range(9):
        for j in range(9):
            if i // 3 != j // 3:
                k = [
                    (one @ other / 5 + 1) ** 3
                    for one, other in (
                        (real[i], real[j]), (made[i], made[j]), (real[i], made[j]),
                    )
                ]  # fmt: skip
                total += k[0] + k[1] - 2 * k[2]
                pairs += 1
    assert kid(paired(real, made)).mean == pytest.approx(total / pairs)


def test_kid_of_equal_distributions_is_zero_on_average():
    """Of images whose patches are alike, as those of one image are: bias would show as more."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        both = np.repeat(rng.normal(size=(20, 4)), 3, axis=0) + rng.normal(size=(60, 4)) / 9
        image = np.arange(60) // 3
        first = image < 10
        sets = (Patches(image[m], np.zeros(m.sum()), both[m]) for m in (first, ~first))
        found.append(kid(Compared(*sets, 20)).mean)
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(len(found))


def test_nothing_lies_between_equal_sets():
    real = draw(30, 10)
    compared = paired(real, real)
    for distance in (kid, cmmd, fid):
        found = distance(compared)
        assert found.mean == pytest.approx(0, abs=1e-6)  # roots of eigenvalues that round to 0
        assert found.high == pytest.approx(0, abs=1e-6)
    probabilities = np.random.default_rng(1).uniform(size=30)
    even = auc(paired(real, real, probabilities=(probabilities, probabilities)))
    assert (even.mean, even.low, even.high) == pytest.approx((0.5, 0.5, 0.5))


def test_intervals_hold_the_estimate_and_narrow_with_images():
    widths = {}
    for count in (30, 240):
        compared = paired(draw(count, 11), draw(count, 12, 0.4, 1.3))
        for distance in (kid, cmmd, fid):
            found = distance(compared)
            assert found.low < found.mean < found.high
            assert found == distance(compared)
            widths[distance, count] = found.high - found.low
    for distance in (kid, cmmd, fid):
        assert widths[distance, 240] < widths[distance, 30] / 2


def test_many_patches_are_summed_in_parts(monkeypatch):
    compared = paired(draw(30, 13), draw(30, 14, 0.4))
    whole = kid(compared)
    monkeypatch.setattr("liif_bench.analysis.distribution._CHUNK", 7)
    assert kid(compared).mean == pytest.approx(whole.mean)


def test_refusals_say_how_many_images_are_needed():
    for distance in DISTANCES:
        assert distance.refusal(distance.least) is None
        said = distance.refusal(distance.least - 1)
        assert f"{distance.name} needs {distance.least} images, not {distance.least - 1}: " in said
    assert AUC.least < KID.least < FID.least
    assert CMMD.least == KID.least


def test_from_a_run(tmp_path):
    table = made_up_patches()
    (results,) = patch_results(run_of_patches(tmp_path / "run", table))
    assert results.images == 8
    assert results.others == ("near", "far")
    assert results.items("near", 2.0) == tuple(f"image{n}" for n in range(8))
    rows = zip(*(table[name] for name in ("upsampler", "scale", "probability")), strict=True)
    expected = np.mean([value for name, scale, value in rows if (name, scale) == ("near", 4.0)])
    found = results.probability("near", 4.0)
    assert found.mean == pytest.approx(expected)
    assert found.low < found.mean < found.high
    assert results.probability("lanczos", 4.0) is None
    for distance in DISTANCES:
        near, far = (distance.measure(results.compared(name, 2.0)) for name in ("near", "far"))
        assert near.mean < far.mean
        assert near.images == 8
    halves = results.halves(2.0)
    assert set(halves.real.image) == {0, 2, 4, 6}
    assert set(halves.made.image) == {1, 3, 5, 7}
    floor = auc(halves)
    assert floor.low < 0.5 < floor.high


def test_sets_are_of_the_images_that_both_have(tmp_path):
    table = made_up_patches()
    keep = [
        (item, name) != ("image3", "near")
        for item, name in zip(table["item"], table["upsampler"], strict=True)
    ]
    short = {
        name: [v for v, k in zip(values, keep, strict=True) if k] for name, values in table.items()
    }
    (results,) = patch_results(run_of_patches(tmp_path / "run", short))
    compared = results.compared("near", 2.0)
    assert compared.images == 7
    assert len(compared.real.image) == len(compared.made.image) == 21


def test_resamples_of_few_images_that_hold_no_pair_are_left_out():
    probabilities = (np.array([0.9, 0.8, 0.7]), np.array([0.3, 0.2, 0.1]))
    found = auc(paired(np.zeros((3, 1)), np.zeros((3, 1)), 1, probabilities))
    assert (found.mean, found.low, found.high) == (1.0, 1.0, 1.0)


def test_a_run_without_patches_is_refused(tmp_path):
    with pytest.raises(LiifBenchError, match="has no patches: run with --metrics photograph"):
        patch_results(run_of_patches(tmp_path))


def test_fid_is_biased_and_kid_is_not(monkeypatch):
    """What the bound on images is for: both sets from one distribution, more and fewer images."""
    monkeypatch.setattr("liif_bench.analysis.distribution.FID_RESAMPLES", 9)
    found = {distance: [] for distance in (KID, FID)}
    for seed in range(12):
        for distance, values in found.items():
            values.append(
                [
                    distance.measure(singles(draw(n, 2 * seed + 50), draw(n, 2 * seed + 51))).mean
                    for n in (20, 80)
                ]
            )
    few, many = np.mean(found[FID], axis=0)
    assert few > 2 * many > 0
    assert np.all(
        np.abs(np.mean(found[KID], axis=0)) < 3 * np.std(found[KID], axis=0) / math.sqrt(12)
    )
