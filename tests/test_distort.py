"""Damage of known order: a closed form of every kind, and each strength worse than the last."""

import io
from itertools import pairwise

import numpy as np
import pytest
import torch
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.distort import KINDS, STRENGTHS, distort
from liif_bench.errors import LiifBenchError
from liif_bench.images import to_tensor, to_uint8

SIGMAS = (0.7, 1.2, 2.0, 3.2, 5.0)
CUTS = (0.36, 0.25, 0.17, 0.11, 0.07)


def photographs(side=96):
    for item in load_dataset("sample").items:
        image = item.read_hr(2)
        top, left = ((length - side) // 2 for length in image.shape[:2])
        yield to_tensor(np.ascontiguousarray(image[top : top + side, left : left + side]))


def wave(number, side=64, amplitude=0.2):
    """A wave that a mirror at the borders continues, along the columns: a mode of the DCT."""
    row = 0.5 + amplitude * torch.cos(torch.pi * number * (torch.arange(side) + 0.5) / side)
    return row.expand(3, side, side).contiguous()


def amplitude_of(image, number):
    """Of the same wave in an image, by projection."""
    basis = wave(number, image.shape[2], 1.0)[0, 0] - 0.5
    return float(((image[0, 20] - 0.5) * basis).sum() / (basis**2).sum())


def mse(first, second):
    return float(((first - second) ** 2).mean())


@pytest.mark.parametrize("kind", KINDS)
def test_every_strength_is_clearly_worse_than_the_one_before_on_every_photograph(kind):
    for photo in photographs():
        errors = [mse(distort(photo, kind, strength), photo) for strength in STRENGTHS]
        assert errors[0] > 0
        assert all(after > 1.15 * before for before, after in pairwise(errors))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_image_and_the_image_that_is_given_stays(kind):
    photo = next(photographs())[:, :63, :50]  # odd and oblong
    before = photo.clone()
    first, second = (distort(photo, kind, 3, seed=5) for _ in range(2))
    assert torch.equal(first, second)
    assert torch.equal(photo, before)
    assert (first.shape, first.dtype) == (photo.shape, torch.float32)
    assert first.min() >= 0
    assert first.max() <= 1
    drawn = kind in ("noise", "wrong-texture")
    assert torch.equal(first, distort(photo, kind, 3, seed=6)) is not drawn


@pytest.mark.parametrize("strength", STRENGTHS)
@pytest.mark.parametrize("number", [3, 17])
def test_blur_damps_a_wave_as_the_spectrum_of_its_gaussian_says(strength, number):
    frequency = number / 128  # cycles per pixel
    passed = np.exp(-2 * (np.pi * SIGMAS[strength - 1] * frequency) ** 2)
    got = amplitude_of(distort(wave(number), "blur", strength), number)
    # A kernel sampled at pixels and cut off at four sigmas is not quite a Gaussian.
    assert got == pytest.approx(0.2 * passed, abs=1e-3)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_ringing_passes_what_is_coarser_than_its_cut_and_nothing_finer(strength):
    edge = int(CUTS[strength - 1] * 128)
    assert amplitude_of(distort(wave(edge), "ringing", strength), edge) == pytest.approx(0.2)
    assert distort(wave(edge + 1), "ringing", strength).std() < 1e-6


def test_ringing_overshoots_an_edge_by_the_share_of_gibbs():
    step = torch.full((3, 512, 512), 0.25)
    step[:, :, 256:] = 0.75
    # 8.95 % of the step on either side for many waves, seen between pixels and at them.
    for strength in STRENGTHS:
        over = float(distort(step, "ringing", strength).max()) - 0.75
        assert over == pytest.approx(0.0895 * 0.5, rel=0.25)


@pytest.mark.parametrize(("strength", "sigma"), [(1, 0.02), (2, 0.04), (3, 0.07)])
def test_noise_is_white_gaussian_and_of_the_stated_sigma(strength, sigma):
    grey = torch.full((3, 128, 128), 0.5)
    noise = (distort(grey, "noise", strength) - grey).numpy()
    assert noise.std() == pytest.approx(sigma, rel=0.02)
    assert abs(noise.mean()) < 4 * sigma / np.sqrt(noise.size)
    assert abs((noise[:, :, 1:] * noise[:, :, :-1]).mean()) < 4 * sigma**2 / np.sqrt(noise.size)
    assert abs((noise[0] * noise[1]).mean()) < 4 * sigma**2 / 128


@pytest.mark.parametrize(("strength", "quality"), [(1, 70), (5, 6)])
def test_jpeg_is_what_a_jpeg_file_of_that_quality_holds(strength, quality):
    photo = next(photographs())
    file = io.BytesIO()
    Image.fromarray(to_uint8(photo)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    read = np.asarray(Image.open(file))
    assert np.array_equal(to_uint8(distort(photo, "jpeg", strength)), read)


@pytest.mark.parametrize(("strength", "levels"), [(1, 24), (2, 14), (3, 9), (4, 6), (5, 4)])
def test_quantisation_leaves_so_many_levels_and_goes_to_the_nearest(strength, levels):
    ramp = torch.linspace(0, 1, 3 * 40 * 40).view(3, 40, 40)
    got = distort(ramp, "quantisation", strength)
    assert torch.unique(got).numpy() == pytest.approx(np.linspace(0, 1, levels), abs=1e-7)
    assert (got - ramp).abs().max() <= 0.5 / (levels - 1) + 1e-6


class TestWrongTexture:
    @pytest.fixture
    def image(self):
        """Fine and coarse detail, low contrast, opposite borders alike: no jump, no clipping."""
        rng = np.random.default_rng(3)
        pixels = 0.5 + 0.05 * rng.standard_normal((3, 64, 80))
        pixels[:, :, :40] += 0.1
        pixels[:, -1], pixels[:, :, -1] = pixels[:, 0], pixels[:, :, 0]
        return torch.from_numpy(pixels.clip(0.2, 0.8)).float()

    @pytest.mark.parametrize("strength", STRENGTHS)
    def test_the_power_spectrum_is_the_images_own(self, image, strength):
        before, after = (
            np.abs(np.fft.fft2(each.numpy(), axes=(1, 2)))
            for each in (image, distort(image, "wrong-texture", strength))
        )
        assert after == pytest.approx(before, abs=1e-6 * float(before.max()))

    def test_at_full_strength_fine_detail_has_nothing_in_common_with_the_images(self, image):
        rows, columns = np.fft.fftfreq(64)[:, None], np.fft.fftfreq(80)
        for fine, least, most in ((np.hypot(rows, columns) > 0.15, -0.1, 0.1),
                                  (np.hypot(rows, columns) < 0.015, 0.9, 1.0)):  # fmt: skip
            first, second = (
                np.fft.fft2(each[0].numpy()) * fine
                for each in (image, distort(image, "wrong-texture", 5))
            )
            first[0, 0] = second[0, 0] = 0
            common = (first * second.conj()).real.sum() / (np.abs(first) ** 2).sum()
            assert least < common <= most + 1e-6

    def test_channels_stay_together(self, image):
        grey = image[:1].expand(3, -1, -1)
        got = distort(grey, "wrong-texture", 4)
        assert torch.allclose(got[0], got[2], atol=1e-6)

    def test_a_ramp_which_has_no_detail_stays_a_ramp(self):
        ramp = torch.linspace(0.2, 0.8, 64).expand(3, 64, 64).contiguous()
        # Without taking the jump between its borders out, this is 0.09.
        assert (distort(ramp, "wrong-texture", 5) - ramp).abs().max() < 0.02


@pytest.mark.parametrize(
    ("kind", "strength", "message"),
    [
        ("fog", 1, "unknown degradation 'fog'; there are blur, noise, jpeg"),
        ("blur", 0, "unknown strength 0; there are 1 to 5"),
        ("blur", 6, "unknown strength 6; there are 1 to 5"),
    ],
)
def test_what_there_is_not_is_refused(kind, strength, message):
    with pytest.raises(LiifBenchError, match=message):
        distort(torch.zeros(3, 8, 8), kind, strength)
