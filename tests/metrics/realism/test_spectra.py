import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from liif_bench.errors import LiifBenchError
from liif_bench.metrics.realism.spectra import (
    HALF_STEP,
    ROUNDING,
    lattice_excess,
    lattice_prominence,
    lattices,
    natural_error,
    radial_spectrum,
    spectrum_error,
    wave_gain,
)

GREY = 0.5


def white(sigma=0.1, size=(256, 256), seed=0):
    return GREY + sigma * np.random.default_rng(seed).standard_normal(size)


def power_law(exponent, size=(256, 256), seed=0, spread=0.1):
    """Noise whose power falls as f^-exponent: white noise, each of its waves scaled."""
    waves = np.fft.fft2(np.random.default_rng(seed).standard_normal(size))
    frequency = np.hypot(np.fft.fftfreq(size[0])[:, None], np.fft.fftfreq(size[1])[None])
    frequency[0, 0] = np.inf
    plane = np.fft.ifft2(waves * frequency ** (-exponent / 2)).real
    return GREY + spread * plane / plane.std()


def wave(amplitude, frequency, size=(256, 256)):
    """A cosine; frequency in cycles per pixel, down and right."""
    rows, columns = np.indices(size)
    return amplitude * np.cos(2 * np.pi * (frequency[0] * rows + frequency[1] * columns))


def decibels(ratio):
    return 10 * np.log10(ratio)


# Radial spectrum


@pytest.mark.parametrize("size", [(256, 256), (192, 320)])
def test_white_noise_has_its_variance_in_every_band(size):
    spectra = [radial_spectrum(white(0.1, size, seed)).powers for seed in range(6)]
    assert np.mean(spectra, axis=0) == pytest.approx(0.01, rel=0.25)  # few waves in the lowest
    assert np.mean(spectra, axis=0)[-8:] == pytest.approx(0.01, rel=0.06)


@pytest.mark.parametrize("exponent", [0, 1, 2, 3])
def test_noise_of_a_power_law_has_its_exponent(exponent):
    slopes = [radial_spectrum(power_law(exponent, seed=seed)).slope for seed in range(8)]
    assert np.mean(slopes) == pytest.approx(-exponent, abs=0.08)


def test_a_wave_is_in_the_band_of_its_frequency():
    """And has a^2 / 4 there at +f and at -f, spread over the band's waves."""
    spectrum = radial_spectrum(GREY + wave(0.2, (0.0, 35 / 256)))
    edges = np.geomspace(4, 128, len(spectrum.powers) + 1)  # cycles per side
    band = np.searchsorted(edges, 35) - 1
    assert spectrum.powers.argmax() == band
    radius = 256 * np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    waves = ((radius >= edges[band]) & (radius < edges[band + 1])).sum()
    energy = 2 * (0.2 / 2) ** 2 * 256**2  # Parseval
    assert spectrum.powers[band] * waves == pytest.approx(energy, rel=1e-3)


def test_bands_reach_from_four_cycles_to_half_a_cycle_per_pixel():
    frequencies = radial_spectrum(white(size=(128, 256))).frequencies
    assert len(frequencies) == 16  # four octaves
    assert 4 / 128 <= frequencies[0] < 4 / 128 * 2**0.25
    assert 0.5 / 2**0.25 < frequencies[-1] <= 0.5


def test_brightness_and_shading_do_not_count():
    plane = power_law(2)
    shaded = plane + np.linspace(-0.2, 0.2, 256)
    known = radial_spectrum(plane)
    assert spectrum_error(radial_spectrum(plane + 0.1), known) == pytest.approx(0, abs=1e-6)
    assert spectrum_error(radial_spectrum(shaded), known) < 0.3


def test_one_colour_has_the_spectrum_of_rounding():
    flat = radial_spectrum(np.full((64, 64), GREY))
    assert flat.slope == pytest.approx(0, abs=1e-6)
    assert natural_error(flat) == pytest.approx(2, abs=1e-6)
    noise = radial_spectrum(white(np.sqrt(99 * ROUNDING), (256, 256)))
    flat = radial_spectrum(np.full((256, 256), GREY))
    assert spectrum_error(noise, flat) == pytest.approx(20, abs=0.6)  # 100 q over q


def test_the_error_is_the_gain_in_decibels():
    """Contrast halved is power over four, far above the rounding."""
    plane = white(0.1)
    half = radial_spectrum(GREY + (plane - GREY) / 2)
    assert spectrum_error(half, radial_spectrum(plane)) == pytest.approx(decibels(4), abs=0.01)


@pytest.mark.parametrize("rounded", [False, True])
def test_blur_steepens_the_spectrum_more_the_stronger_it_is(rounded):
    plane = power_law(2.5, spread=0.15)
    blurs = [gaussian_filter(plane, sigma, mode="wrap") for sigma in (0, 0.5, 1, 2, 4, 8)]
    if rounded:
        blurs = [np.round(255 * blurred) / 255 for blurred in blurs]
    spectra = [radial_spectrum(blurred) for blurred in blurs]
    errors = [spectrum_error(spectrum, spectra[0]) for spectrum in spectra]
    natural = [natural_error(spectrum) for spectrum in spectra]
    assert errors == sorted(errors)
    assert natural == sorted(natural)
    assert errors[0] == 0
    assert natural[0] == pytest.approx(0.5, abs=0.25)
    assert natural[-1] > 2


def test_what_is_less_than_rounding_is_not_compared():
    plane = power_law(2, spread=0.15)
    faint = plane + white(0.1 / 255) - GREY
    assert spectrum_error(radial_spectrum(faint), radial_spectrum(plane)) < 0.05


def test_an_image_without_two_octaves_is_refused():
    assert len(radial_spectrum(white(size=(32, 40))).powers) == 8
    with pytest.raises(LiifBenchError, match="31x40 pixels are too small for a spectrum"):
        radial_spectrum(white(size=(40, 31)))


# Lattices


@pytest.mark.parametrize("levels", [1, 2, 5, 10])
@pytest.mark.parametrize("sigma", [0.0, 0.02])
def test_a_checkerboard_of_known_amplitude_has_known_prominence(levels, sigma):
    """Its one harmonic of three has a^2 times the gain of a tile, above noise and half a step."""
    amplitude = levels / 255
    around = sigma**2 + HALF_STEP**2 * wave_gain(64)
    expected = decibels((3 + amplitude**2 * wave_gain(64) / around) / 3)
    found = lattice_prominence(white(sigma) + wave(amplitude, (0.5, 0.5)), 2)
    assert found == pytest.approx(expected, abs=0.5 if sigma else 1e-6)


def test_the_gain_is_that_of_hann():
    assert wave_gain(64) == pytest.approx((2 / 3 * 64) ** 2)


@pytest.mark.parametrize("period", [2, 4, 6, 7.5, 30])
def test_a_lattice_is_found_at_its_own_period(period):
    plane = power_law(2, (300, 300))
    marked = plane + wave(8 / 255, (0, 1 / period), (300, 300))
    assert lattice_prominence(plane, period) < 1.5
    assert lattice_prominence(marked, period) > lattice_prominence(plane, period) + 4
    away = 3 if period == 2 else 2
    elsewhere = lattice_prominence(plane, away)
    assert lattice_prominence(marked, away) == pytest.approx(elsewhere, abs=0.1)


@pytest.mark.parametrize("sigma", [0.5, 1, 2, 4, 8])
def test_blur_is_not_taken_for_a_lattice(sigma):
    plane = power_law(2)
    known, blurred = lattices(plane, 8), lattices(gaussian_filter(plane, sigma), 8)
    assert lattice_excess(blurred, known) < 0.1


def test_neither_is_a_spectrum_that_ends_at_the_lattice():
    """As where LR is half as wide and nothing finer was added: all beyond 1/4 is gone."""
    plane = power_law(1, spread=0.2)
    waves = np.fft.fft2(plane)
    frequency = np.abs(np.fft.fftfreq(256))
    kept = (frequency[:, None] <= 0.25) & (frequency[None] <= 0.25)
    cut = np.fft.ifft2(waves * kept).real
    assert lattice_excess(lattices(cut, 2), lattices(plane, 2)) < 2.5


def test_more_of_it_is_more():
    plane = power_law(2)
    known = lattices(plane, 4)
    excesses = [
        lattice_excess(lattices(plane + wave(amplitude, (0.25, 0.25)), 4), known)
        for amplitude in (0, 0.002, 0.005, 0.01, 0.05)
    ]
    assert excesses[0] == 0
    assert excesses == sorted(excesses)
    assert excesses[-1] > 10


def test_a_lattice_that_hr_has_is_no_excess():
    plane = power_law(2) + wave(0.02, (0.5, 0.5))
    assert lattice_excess(lattices(gaussian_filter(plane, 1), 2), lattices(plane, 2)) == 0


def test_the_pitch_of_lr_counts_where_it_can_be_seen():
    plane = white(size=(128, 128))
    assert list(lattices(plane, 1.5)) == [2, 4]
    assert list(lattices(plane, 2)) == [2, 4]
    assert list(lattices(plane, 3.7)) == [2, 3.7, 4]
    assert list(lattices(plane, 16)) == [2, 4, 16]
    assert list(lattices(plane, 16.1)) == [2, 4]


def test_an_image_smaller_than_a_tile_is_refused():
    assert lattices(white(size=(64, 64)), 2)
    with pytest.raises(LiifBenchError, match="64x63 pixels are too small to find a lattice"):
        lattices(white(size=(63, 64)), 2)
