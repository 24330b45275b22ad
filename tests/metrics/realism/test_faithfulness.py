import math

import numpy as np
import pytest
import torch
from skimage import data

from liif_bench.degrade import GENERATORS, make_pair
from liif_bench.errors import NotApplicableError
from liif_bench.images import to_tensor
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Case, Output
from liif_bench.metrics.realism.faithfulness import (
    axis,
    energy_beyond,
    enlarged,
    excess,
    shares,
)
from liif_bench.protocol import load_protocol

PROTOCOL = load_protocol("liif-div2k")
SHARES = ("improvement", "omission", "hallucination")
SCALES = [2.0, 2.5, 4.0, 8.0]
GENERATED = sorted(GENERATORS)


def case_of(scale=4.0, protocol=PROTOCOL, top=60, side=120, hr=None):
    """A part of a photograph, LR made as the protocol says."""
    pixels = data.astronaut()[top : top + side, 160 : 160 + side] if hr is None else hr
    lr, cropped = make_pair(pixels, scale, protocol.lr)
    return Case(protocol, scale, lr, to_tensor(cropped), protocol.lr.generator)


def score(name, case, sr):
    return load_metric(name).score(case, Output(sr))


def noise(case, amplitude, seed=3):
    shape = (3, *case.size)
    return amplitude * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def under(generator, *, given=False):
    return PROTOCOL.changed({"lr.generator": generator, "lr.given": given})


def matrices(case):
    """The degradation along both sides, dense."""
    sides = zip(case.size, case.lr.shape[1:], strict=True)
    return [axis(*pair, case.protocol.lr.generator).matrix.toarray() for pair in sides]


# lr-psnr


@pytest.mark.parametrize("generator", GENERATED)
@pytest.mark.parametrize("scale", SCALES)
def test_hr_degraded_is_lr_itself(generator, scale):
    case = case_of(scale, under(generator))
    assert score("lr-psnr", case, case.hr) == math.inf


def test_lr_psnr_is_that_of_pillow_run_by_hand():
    from PIL import Image

    case = case_of(4.0)
    sr = (case.hr + noise(case, 0.1)).clamp(0, 1)
    levels = np.round(sr.permute(1, 2, 0).numpy() * 255).astype(np.uint8)
    low = Image.fromarray(levels).resize((30, 120), Image.Resampling.BICUBIC)
    low = np.asarray(low.resize((30, 30), Image.Resampling.BICUBIC), dtype=np.float64) / 255
    error = np.mean((low - case.lr.permute(1, 2, 0).double().numpy()) ** 2)
    expected = 10 * math.log10(1 / error)
    assert score("lr-psnr", case, sr) == pytest.approx(expected, abs=1e-4)


def test_a_shift_of_all_values_is_seen_at_its_size():
    """All of it survives degradation: 51 of 255 levels are 20 log10(5) dB."""
    case = case_of(hr=np.full((48, 48, 3), 100, np.uint8))
    assert score("lr-psnr", case, case.hr + 51 / 255) == pytest.approx(20 * math.log10(5), abs=1e-5)


def test_lr_psnr_falls_with_noise_and_with_a_shift_of_place():
    case = case_of()
    some, more = (
        score("lr-psnr", case, (case.hr + noise(case, a)).clamp(0, 1)) for a in (0.05, 0.2)
    )
    assert math.inf > some > more
    moved = [score("lr-psnr", case, case.hr.roll(n, 2)) for n in (1, 4)]
    assert moved[0] > moved[1]


def test_the_variant_says_which_generator_stands_in_for_that_of_files():
    metric = load_metric("lr-psnr")
    made = metric.variant(under("matlab-bicubic-uint8"))
    given = metric.variant(under("pil-bicubic-uint8", given=True))
    assert made.endswith("matlab-bicubic-uint8")
    assert given.endswith("pil-bicubic-uint8, for LR files too")


# lr-excess


@pytest.mark.parametrize("generator", GENERATED)
@pytest.mark.parametrize("scale", [1.0, *SCALES, 30.0])
def test_the_matrices_degrade_as_the_generator_does(generator, scale):
    """But for its rounding to 8 bits in each of two passes; nothing here has to be clamped."""
    faint = 64 + data.astronaut()[60:120, 160:220] // 2
    case = case_of(scale, under(generator), hr=faint)
    down, across = matrices(case)
    low = np.einsum("ah,chw,bw->cab", down, case.hr.double().numpy(), across)
    assert np.abs(low - case.lr.numpy()).max() < 1.2 / 255


@pytest.mark.parametrize("generator", GENERATED)
@pytest.mark.parametrize("scale", SCALES)
def test_the_energy_beyond_lr_is_that_of_a_least_squares_residual(generator, scale):
    """Against the definition: what no combination of the rows of the whole degradation explains."""
    case = case_of(scale, under(generator), side=24)
    down, across = matrices(case)
    plane = case.hr[0].double().numpy()
    rows = np.kron(down, across)  # of a picture as one vector
    fit = np.linalg.lstsq(rows.T, plane.ravel(), rcond=None)[0]
    rest = plane.ravel() - rows.T @ fit
    np.testing.assert_allclose(rows @ rest, 0, atol=1e-9)  # LR says nothing of it
    axes = [
        axis(*pair, case.protocol.lr.generator)
        for pair in zip(case.size, case.lr.shape[1:], strict=True)
    ]
    assert energy_beyond(plane, *axes) == pytest.approx((rest**2).sum(), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_adds_nothing_beyond_lr(scale):
    case = case_of(scale)
    assert score("lr-excess", case, enlarged(case)) == 0


@pytest.mark.parametrize("scale", SCALES)
def test_a_sum_that_lr_explains_adds_no_excess(scale):
    case = case_of(scale)
    down, across = matrices(case)
    rng = np.random.default_rng(0)
    pattern = rng.standard_normal((3, *case.lr.shape[1:]))
    explained = torch.from_numpy(np.einsum("ah,cab,bw->chw", down, pattern, across))
    sr = enlarged(case).double() + noise(case, 0.05).double()
    before, after = (excess(case, image, enlarged(case)) for image in (sr, sr + explained))
    assert after == pytest.approx(before, rel=1e-9)
    alone = excess(case, enlarged(case).double() + explained, enlarged(case))
    assert alone == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("scale", SCALES)
def test_white_noise_adds_its_variance_in_the_dimensions_that_lr_lacks(scale):
    """Of n HR pixels LR determines m: noise of variance v has v (1 - m / n) beyond it."""
    case = case_of(scale, side=240)
    sr = enlarged(case).double() + noise(case, 0.02).double()
    pixels, determined = (math.prod(size) for size in (case.size, case.lr.shape[1:]))
    spread = float(case.lr.double().var(dim=(1, 2), correction=0).mean())
    expected = 0.02**2 * (1 - determined / pixels) / spread
    assert excess(case, sr, enlarged(case)) == pytest.approx(expected, rel=0.02)


def test_excess_grows_with_noise_and_with_the_detail_of_hr():
    case = case_of()
    base = enlarged(case)
    some, more = (
        score("lr-excess", case, (base + noise(case, a)).clamp(0, 1)) for a in (0.02, 0.1)
    )
    assert 0 < some < more
    half, whole = (excess(case, base + share * (case.hr - base), base) for share in (0.5, 1.0))
    assert whole == pytest.approx(4 * half, rel=1e-5)


def test_excess_is_free_of_units():
    """Half the contrast of LR and SR alike leaves it where it was."""
    case = case_of()
    base, sr = (image.double() for image in (enlarged(case), case.hr))
    faint = Case(PROTOCOL, case.scale, case.lr.double() / 2 + 0.2, case.hr, case.lr_source)
    assert excess(faint, sr / 2 + 0.2, base / 2 + 0.2) == pytest.approx(
        excess(case, sr, base), rel=1e-6
    )


def test_excess_has_no_meaning_where_lr_is_of_one_colour():
    case = case_of(hr=np.full((40, 40, 3), 90, np.uint8))
    with pytest.raises(NotApplicableError, match="one colour"):
        score("lr-excess", case, case.hr)


# improvement, omission, hallucination


def plain_shares(sr, hr, reference, gamma=0.05, quartile=0.75):
    """OpenSR-test's definition in numpy, pixel by pixel: L1 distances, "percent"."""
    sr, hr, reference = (np.asarray(image, dtype=np.float64) for image in (sr, hr, reference))
    rows, columns = sr.shape[1:]
    distances = []
    for y in range(rows):
        for x in range(columns):
            s, h, r = (image[:, y, x] for image in (sr, hr, reference))
            distances.append([np.mean(abs(a - b)) for a, b in ((r, h), (s, h), (s, r))])
    threshold = sorted(d[0] for d in distances)[int(quartile * len(distances)) - 1]
    counts = {"improvement": 0, "omission": 0, "hallucination": 0}
    for ref, im, om in distances:
        if max(ref, im, om) <= threshold:
            continue
        if ref == 0:
            counts["hallucination"] += 1
            continue
        d_im, d_om = im / ref, om / ref
        bend = 1 - math.exp(-gamma * (d_im + d_om - 1))
        far = {
            "improvement": d_im + d_om * bend,
            "omission": d_om + d_im * bend,
            "hallucination": math.exp(-gamma * d_im * d_om),
        }
        counts[min(far, key=far.get)] += 1
    return {kind: count / sum(counts.values()) for kind, count in counts.items()}


def all_shares(case, sr):
    output = Output(sr)
    return {kind: load_metric(kind).score(case, output) for kind in SHARES}


@pytest.mark.parametrize("scale", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("amplitude", [0.005, 0.02, 0.1])
def test_the_shares_are_the_definition(scale, amplitude):
    case = case_of(scale, side=60)
    between = 0.6 * case.hr + 0.4 * enlarged(case)
    sr = (between + noise(case, amplitude)).clamp(0, 1)
    found = all_shares(case, sr)
    assert found == pytest.approx(plain_shares(sr, case.hr, enlarged(case)), abs=1e-3)
    assert sum(found.values()) == pytest.approx(1, abs=1e-12)
    assert sum(share > 0 for share in found.values()) >= 2  # it is no trivial case


@pytest.mark.parametrize("scale", SCALES)
def test_hr_is_all_improvement(scale):
    case = case_of(scale)
    assert all_shares(case, case.hr) == {"improvement": 1, "omission": 0, "hallucination": 0}


@pytest.mark.parametrize("scale", SCALES)
def test_bicubic_is_all_omission(scale):
    case = case_of(scale)
    assert all_shares(case, enlarged(case)) == {
        "improvement": 0,
        "omission": 1,
        "hallucination": 0,
    }


@pytest.mark.parametrize(("part", "kind"), [(0.45, "omission"), (0.55, "improvement")])
def test_on_the_way_from_bicubic_to_hr_the_nearer_of_them_wins(part, kind):
    case = case_of()
    base = enlarged(case)
    assert all_shares(case, base + part * (case.hr - base))[kind] > 0.99


def test_the_wrong_direction_is_a_hallucination():
    case = case_of()
    base = enlarged(case)
    found = shares(base - 2 * (case.hr - base), case.hr, base)
    assert found.hallucination == 1


def test_noise_raises_hallucination():
    case = case_of()
    levels = [
        all_shares(case, (case.hr + noise(case, amplitude)).clamp(0, 1))["hallucination"]
        for amplitude in (0.0, 0.02, 0.05, 0.2)
    ]
    assert levels[0] == 0
    assert levels == sorted(levels)
    assert levels[-1] > 0.5


def test_change_where_bicubic_meets_hr_is_a_hallucination():
    flat = torch.full((3, 16, 16), 0.5)
    sr = flat.clone()
    sr[:, 4:6, 4:6] = 0.8
    assert shares(sr, flat, flat).hallucination == 1


def test_there_are_no_shares_where_nothing_differs():
    flat = torch.full((3, 16, 16), 0.5)
    with pytest.raises(NotApplicableError, match="nothing distinguishes"):
        shares(flat, flat, flat)


def test_bicubic_is_enlarged_once_for_all_outputs():
    case = case_of()
    assert enlarged(case) is enlarged(case)


def test_the_reference_is_the_upsampler_bicubic():
    from liif_bench.upsamplers import load_upsampler
    from liif_bench.upsamplers.base import Options

    case = case_of(2.5)
    baseline = load_upsampler("bicubic", Options()).encode(case.lr).render(case.size)
    assert torch.equal(enlarged(case), baseline)


@pytest.mark.parametrize(
    ("name", "higher"),
    [("lr-psnr", True), ("lr-excess", False), *zip(SHARES, (True, False, False), strict=True)],
)
def test_which_direction_is_better(name, higher):
    assert load_metric(name).higher_is_better is higher


@pytest.mark.weights
def test_liif_explains_lr_far_better_than_bicubic(liif):
    case = case_of(side=96)
    ours = liif.encode(case.lr).render(case.size)
    assert score("lr-psnr", case, ours) > score("lr-psnr", case, enlarged(case)) + 5
    found = all_shares(case, ours)
    assert found["improvement"] > 2 * found["hallucination"]
    assert 0 < found["omission"] < 1
