import itertools
import math
import time

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from scipy.special import sici
from skimage import data

from liif_bench.errors import LiifBenchError, NotApplicableError
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.luma import luma
from liif_bench.metrics.realism.style import (
    LEAST_GRAIN,
    MOST_EDGES,
    across_edges,
    gradient_kurtosis,
    grain_error,
    kurtosis_error,
    noise,
    ringing,
    smooth_parts,
)
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
AGAINST_HR = ["spectrum-error", "gradient-kurtosis", "grain", "ringing", "checkerboard"]
NAMES = [*AGAINST_HR, "natural-spectrum"]
GIBBS = float(sici(np.pi)[0] / np.pi - 0.5)


@pytest.fixture(scope="module")
def photograph():
    """A part of a photograph with edges, hair and flat parts, `(192, 192, 3)` in [0, 1]."""
    return data.astronaut()[60:252, 130:322] / 255


def case_of(plane, scale=4.0):
    hr = tensor(plane)
    return Case(PROTOCOL, scale, hr, hr, "given")


def tensor(plane):
    """Of `(H, W, 3)`, or of `(H, W)` for a grey one."""
    coloured = plane if plane.ndim == 3 else np.repeat(plane[..., None], 3, axis=2)
    return torch.from_numpy(np.clip(coloured, 0, 1).transpose(2, 0, 1).copy()).float()


def score(name, case, plane):
    return load_metric(name).score(case, Output(tensor(plane)))


def gaussian(sigma, size=(256, 256), seed=0):
    return 0.5 + sigma * np.random.default_rng(seed).standard_normal(size)


def step(size=128, low=0.3, high=0.7):
    plane = np.full((size, size), low)
    plane[:, size // 2 :] = high
    return plane


def low_passed(scale, size=128, low=0.3, high=0.7):
    """The step of `step` without what is finer than 1 / (2 scale): the sine integral."""
    away = (np.arange(size) - size / 2 + 0.5) * np.pi / scale
    row = (low + high) / 2 + (high - low) * sici(away)[0] / np.pi
    return np.broadcast_to(row, (size, size)).copy()


# What holds for all


@pytest.mark.parametrize("name", AGAINST_HR)
@pytest.mark.parametrize("scale", [2.0, 3.7, 30.0])
def test_hr_is_best(name, scale, photograph):
    assert score(name, case_of(photograph, scale), photograph) == 0


@pytest.mark.parametrize("name", NAMES)
def test_lower_is_better_and_nothing_is_fetched(name):
    metric = load_metric(name)
    assert metric.name == name
    assert not metric.higher_is_better
    assert metric.needs(PROTOCOL) == ()


def strengths(photograph, kind):
    shine = np.random.default_rng(1).standard_normal(photograph.shape)
    checks = (-1.0) ** np.indices(photograph.shape[:2]).sum(axis=0)[..., None]
    soft = gaussian_filter(photograph, (2, 2, 0))
    made = {
        "blur": [gaussian_filter(photograph, (s, s, 0)) for s in (0.4, 0.8, 1.6, 3.2, 6.4)],
        "noise": [photograph + s * shine for s in (0.01, 0.02, 0.04, 0.08, 0.16)],
        "sharpening": [photograph + s * (photograph - soft) for s in (0.1, 0.3, 0.6, 1, 2)],
        "checks": [photograph + s * checks for s in (0.002, 0.005, 0.01, 0.02, 0.05)],
    }
    return made[kind]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("spectrum-error", "blur"),
        ("spectrum-error", "noise"),
        ("natural-spectrum", "blur"),
        ("gradient-kurtosis", "blur"),
        ("gradient-kurtosis", "noise"),
        ("grain", "noise"),
        ("ringing", "sharpening"),
        ("checkerboard", "checks"),
    ],
)
def test_what_is_worse_scores_worse(name, kind, photograph):
    case = case_of(photograph)
    scores = [score(name, case, plane) for plane in [photograph, *strengths(photograph, kind)]]
    assert all(b > a for a, b in itertools.pairwise(scores))


@pytest.mark.parametrize(
    ("name", "most"), [("checkerboard", 0.1), ("ringing", 0.005), ("grain", 3)]
)
def test_blur_is_neither_lattice_nor_ringing(name, most, photograph):
    case = case_of(photograph)
    assert all(score(name, case, plane) < most for plane in strengths(photograph, "blur"))


def test_noise_is_hardly_taken_for_ringing(photograph):
    case = case_of(photograph)
    noisy, sharp = strengths(photograph, "noise")[1], strengths(photograph, "sharpening")[1]
    assert score("ringing", case, noisy) < score("ringing", case, sharp) / 5


def test_what_is_seen_of_an_image_is_looked_at_once(photograph):
    case, output = case_of(photograph), Output(tensor(photograph))
    for name in NAMES:
        load_metric(name).score(case, output)
    case.hr.zero_()
    output.sr.zero_()
    for name in AGAINST_HR:
        assert load_metric(name).score(case, output) == 0  # all remembered, nothing of zeros


def test_luma_is_full_range_bt601(photograph):
    expected = photograph @ [0.299, 0.587, 0.114]
    seen = luma(tensor(photograph))
    assert seen.dtype == np.float64
    assert seen == pytest.approx(expected, abs=1e-7)


def test_all_together_take_little_time():
    plane = data.astronaut() / 255
    case = case_of(plane)
    for output in (Output(tensor(plane)), Output(tensor(gaussian_filter(plane, (1, 1, 0))))):
        start = time.process_time()
        for name in NAMES:
            load_metric(name).score(case, output)
        taken = time.process_time() - start
    assert taken < 0.6  # the second; the first has looked at HR too


# Gradients


def test_gaussian_gradients_have_a_kurtosis_of_three():
    assert gradient_kurtosis(gaussian(0.1, (400, 400))) == pytest.approx(3, abs=0.05)


def test_laplacian_gradients_have_one_of_six():
    steps = np.random.default_rng(0).laplace(size=(2, 100_000))
    rows = np.cumsum(steps, axis=1)  # differences along are Laplacian; those across are left out
    along = np.diff(rows, axis=1).ravel()
    assert gradient_kurtosis(rows[:1]) == pytest.approx(6, abs=0.4)
    assert gradient_kurtosis(rows[:1]) == pytest.approx(
        np.mean((along[:99_999] - along[:99_999].mean()) ** 4) / along[:99_999].var() ** 2
    )


def test_contrast_does_not_change_it(photograph):
    plane = photograph.mean(axis=2)
    assert gradient_kurtosis(0.2 + plane / 3) == pytest.approx(gradient_kurtosis(plane))
    assert gradient_kurtosis(plane.T) == pytest.approx(gradient_kurtosis(plane))


def test_the_error_is_in_octaves():
    assert kurtosis_error(6.0, 3.0) == kurtosis_error(3.0, 6.0) == 1


def test_one_colour_has_no_kurtosis(photograph):
    flat = np.full_like(photograph, 0.3)
    with pytest.raises(NotApplicableError, match="HR is of one colour"):
        score("gradient-kurtosis", case_of(flat), photograph)
    with pytest.raises(LiifBenchError, match="SR is of one colour"):
        score("gradient-kurtosis", case_of(photograph), flat)


# Grain


@pytest.mark.parametrize("sigma", [0.002, 0.02, 0.1])
def test_white_noise_has_its_sigma(sigma):
    plane = gaussian(sigma)
    assert noise(plane, smooth_parts(plane)) == pytest.approx(sigma, rel=0.02)


def test_noise_is_found_beside_edges():
    """Immerkaer's estimate of the whole image takes the corners of a pattern for noise."""
    plane = gaussian(0.01)
    plane += 0.3 * ((np.indices(plane.shape) // 8).sum(axis=0) % 2)
    everywhere = np.ones(plane.shape, bool)
    assert noise(plane, smooth_parts(plane)) == pytest.approx(0.01, rel=0.05)
    assert noise(plane, everywhere) > 0.012


def test_twice_the_grain_is_an_octave():
    hr, sr = gaussian(0.02), gaussian(0.04, seed=1)
    assert score("grain", case_of(hr), sr) == pytest.approx(1, abs=0.03)
    assert score("grain", case_of(sr), hr) == pytest.approx(1, abs=0.03)


def test_grain_ends_at_rounding():
    assert grain_error(0.0, LEAST_GRAIN / 7) == 0
    assert grain_error(0.0, 8 * LEAST_GRAIN) == 3
    flat = np.full((64, 64), 0.5)
    assert score("grain", case_of(gaussian(0.02)), np.full((256, 256), 0.5)) == pytest.approx(
        math.log2(0.02 / LEAST_GRAIN), abs=0.03
    )
    assert score("grain", case_of(flat), flat) == 0


# Ringing


@pytest.mark.parametrize("scale", [2, 4, 8, 16])
@pytest.mark.parametrize("turned", [False, True])
def test_a_step_through_an_ideal_low_pass_overshoots_as_gibbs_says(scale, turned):
    hr, sr = step(), low_passed(scale)
    if turned:
        hr, sr = hr.T, sr.T
    assert pytest.approx(0.0895, abs=5e-5) == GIBBS
    found = score("ringing", case_of(hr, scale), sr)
    # The step lies between two pixels, so that the top of the first lobe does too.
    beside = np.array([scale - 0.5, scale + 0.5]) * np.pi / scale
    assert found == pytest.approx(sici(beside)[0].max() / np.pi - 0.5, abs=2e-5)
    assert found == pytest.approx(GIBBS, abs=1 / (8 * scale**2))


def test_a_slanted_step_rings_the_same():
    rows, columns = np.indices((160, 160)) - 79.5
    away = columns * np.cos(0.4) + rows * np.sin(0.4)
    hr = 0.5 + 0.2 * np.tanh(away / 0.5)
    sr = 0.5 + 0.4 * sici(away * np.pi / 8)[0] / np.pi
    assert score("ringing", case_of(hr, 8), sr) == pytest.approx(GIBBS, rel=0.05)


def test_half_the_ringing_is_half():
    hr, sharp = step(), low_passed(8)
    half = (sharp + gaussian_filter(hr, 3)) / 2
    case = case_of(hr, 8)
    assert score("ringing", case, half) < 0.75 * score("ringing", case, sharp)


def test_overshoot_on_one_side_is_half():
    """As where black and white end the range."""
    hr, sr = step(low=0.0, high=0.6), low_passed(8, low=0.0, high=0.6)
    assert score("ringing", case_of(hr, 8), sr) == pytest.approx(GIBBS / 2, abs=0.001)


def test_without_a_strong_edge_there_is_no_ringing():
    with pytest.raises(NotApplicableError, match="no edge of 0\\.2"):
        score("ringing", case_of(step(low=0.4, high=0.59)), step())
    assert score("ringing", case_of(step(low=0.4, high=0.61)), step(low=0.4, high=0.61)) == 0


def test_so_many_edges_are_looked_at():
    plane = (np.indices((256, 256)) // 4 % 2).sum(axis=0) / 2.0
    edges = across_edges(plane, 4)
    assert MOST_EDGES / 2 < len(edges.low) <= MOST_EDGES
    assert ringing(plane, edges) == 0


def test_a_photograph_is_scored_as_it_lies(photograph):
    """Mirrored images have equal scores, but for which of many edges are drawn."""
    case = case_of(photograph)
    sharp = strengths(photograph, "sharpening")[2]
    for name in NAMES:
        mirrored = score(name, case_of(photograph[:, ::-1]), sharp[:, ::-1])
        assert mirrored == pytest.approx(score(name, case, sharp), rel=0.05), name


def test_eight_bits_are_taken_as_they_are(photograph):
    rounded = to_tensor(np.round(photograph * 255).astype(np.uint8))
    assert luma(rounded) == pytest.approx(luma(tensor(photograph)), abs=1e-6)
