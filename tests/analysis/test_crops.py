"""What a run's crops of one image show."""

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from frames import made_up
from made_runs import level_of, usual, write_run
from PIL import Image

import liif_bench
from liif_bench.analysis.crops import Number, error_map, kept_of, spectrum_of
from liif_bench.crops import HR, LR, CropFolder
from liif_bench.errors import LiifBenchError
from liif_bench.images import to_tensor
from liif_bench.metrics.realism.luma import luma
from liif_bench.metrics.realism.spectra import radial_spectrum
from liif_bench.records import load_run

SIDE = 128


def noise(size=(SIDE, SIDE), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)


def grey_of(plane):
    """Levels of one plane as a grey image."""
    return np.repeat(np.round(plane)[..., None], 3, axis=2).astype(np.uint8)


def power_by_hand(pixels):
    """Power of luma by frequency, with numpy alone: Hann windows, mean under them taken off."""
    plane = (0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]) / 255
    angle = 2 * np.pi * np.arange(SIDE) / SIDE
    window = np.outer(1 - np.cos(angle), 1 - np.cos(angle)) / 4
    centred = window * (plane - np.average(plane, weights=window))
    return np.abs(np.fft.fft2(centred)) ** 2 / np.sum(window**2)


class TestErrors:
    def test_hr_has_none(self):
        assert not error_map(noise(), noise()).any()

    def test_are_means_of_three_channels_in_levels(self):
        hr = np.full((4, 5, 3), 100, np.uint8)
        sr = hr + np.array([3, 0, 255 - 6 + 1], np.uint8)  # the last wraps around to -6
        assert np.array_equal(error_map(sr, hr), np.full((4, 5), 3.0))
        assert np.array_equal(error_map(hr, sr), error_map(sr, hr))

    def test_reach_from_0_to_255(self):
        black, white = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 255, np.uint8)
        assert (error_map(black, white) == 255).all()

    def test_their_mean_square_of_a_grey_image_is_that_of_its_psnr(self):
        hr, sr = (grey_of(noise(seed=n)[..., 0]) for n in (1, 2))
        psnr = -10 * np.log10(np.mean((hr / 255 - sr / 255) ** 2))
        assert 10 * np.log10(255**2 / np.mean(error_map(sr, hr) ** 2)) == pytest.approx(psnr)


class TestSpectra:
    def test_are_those_of_the_metrics_luma(self):
        ours, theirs = spectrum_of(noise()), radial_spectrum(luma(to_tensor(noise())))
        assert ours.powers == pytest.approx(theirs.powers, rel=1e-6)  # float32 on its way there

    def test_are_the_means_of_fft_over_rings(self):
        pixels = noise(seed=3)
        radius = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
        edges = np.geomspace(4 / SIDE, 0.5, 17)
        edges[0], edges[-1] = edges[0] - 1e-9, edges[-1] + 1e-9
        power = power_by_hand(pixels)
        rings = pairwise(edges)
        expected = [power[(radius >= low) & (radius < high)].mean() for low, high in rings]
        assert spectrum_of(pixels).powers == pytest.approx(expected, rel=1e-9)

    def test_of_white_noise_is_flat_at_its_variance(self):
        levels = 128 + 20 * np.random.default_rng(1).standard_normal((8, SIDE, SIDE))
        powers = np.mean([spectrum_of(grey_of(each)).powers for each in levels], axis=0)
        variance = (20 / 255) ** 2
        assert powers[-8:] == pytest.approx(variance, rel=0.1)  # 1 % to 3 % of chance in each
        assert powers == pytest.approx(variance, rel=0.5)  # few waves in the lowest

    @pytest.mark.parametrize("cycles", [6, 13, 32, 50])
    def test_of_a_wave_peaks_at_its_frequency(self, cycles):
        wave = 128 + 100 * np.cos(2 * np.pi * cycles * np.arange(SIDE) / SIDE)
        spectrum = spectrum_of(grey_of(np.tile(wave, (SIDE, 1))))
        edges = np.geomspace(4, 64, 17)
        band = np.searchsorted(edges, cycles, side="right") - 1
        assert spectrum.powers.argmax() == band
        assert edges[band] / SIDE <= spectrum.frequencies[band] <= edges[band + 1] / SIDE

    def test_of_a_blank_crop_is_nothing(self):
        blank = spectrum_of(np.full((SIDE, SIDE, 3), 77, np.uint8))
        assert blank.powers == pytest.approx(0, abs=1e-20)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A real run of two noisy images by three models, crops of both."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(2):
        coarse = Image.fromarray(noise((40, 50), seed=number))
        coarse.resize((200, 160), Image.Resampling.BICUBIC).save(folder / f"photo{number}.png")
    return liif_bench.run(
        data=[f"folder:{folder}"], models=["nearest", "bicubic", "lanczos", "hr"],
        metrics=["psnr", "ssim"], scales=[4, 2], out=folder / "run", progress=False,
    )  # fmt: skip


class TestARunsCrops:
    def test_are_its_files_by_scale_with_bicubic_first(self, run):
        kept = kept_of(run, run.records)
        assert (kept.item, kept.models) == ("photo0.png", ("bicubic", "nearest", "lanczos"))
        assert [view.scale for view in kept.views] == [2, 4]
        files = {(crop.scale, crop.model): crop.file for crop in CropFolder(run.path).crops[:10]}
        for view in kept.views:
            assert list(view.pixels) == [HR, LR, *kept.models]
            for name, pixels in view.pixels.items():
                with Image.open(run.path / "crops" / files[(view.scale, name)]) as image:
                    assert np.array_equal(pixels, np.asarray(image))
            assert view.lr_size == (160 / view.scale, 200 / view.scale)

    def test_stand_beside_the_numbers_of_the_records(self, run):
        kept = kept_of(run, run.records, "photo1.png")
        assert kept.metrics == ("psnr",)
        rows = run.records[(run.records["item"] == "photo1.png")]
        for view in kept.views:
            for model in kept.models:
                (value,) = rows.loc[
                    (rows["scale"] == view.scale)
                    & (rows["upsampler"] == model)
                    & (rows["metric"] == "psnr"),
                    "value",
                ]
                assert view.numbers[(model, "psnr")] == Number(value)

    def test_are_of_the_scales_and_models_of_the_records(self, run):
        few = run.records[
            (run.records["scale"] == 4) & run.records["upsampler"].isin(["nearest", "hr"])
        ]
        kept = kept_of(run, few)
        assert kept.models == ("nearest",)
        (view,) = kept.views
        assert (view.scale, list(view.pixels)) == (4, [HR, LR, "nearest"])

    def test_errors_of_hr_among_the_models_are_zero(self, run):
        (exact,) = run.records.query("upsampler == 'hr' and metric == 'psnr'")["value"].unique()
        assert exact == np.inf
        for view in kept_of(run, run.records).views:
            assert not error_map(view.pixels[HR], view.pixels[HR]).any()
            assert error_map(view.pixels["nearest"], view.pixels[HR]).mean() > 1


class TestWhatIsMissing:
    def test_an_image_without_crops_is_refused_with_those_that_have_some(self, run):
        with pytest.raises(LiifBenchError, match=r"no crops of 'x': choose from photo0\.png, pho"):
            kept_of(run, run.records, "x")

    def test_a_run_without_crops_is_refused_with_what_to_do(self, tmp_path):
        made = load_run(write_run(tmp_path / "r", usual(), crops=False))
        with pytest.raises(LiifBenchError, match=r"kept no crops .* liif-bench run --crops N"):
            kept_of(made, made.records)

    def test_a_model_without_a_crop_says_why(self, tmp_path):
        frame = usual(images=1, scales=(2,))
        folder = write_run(tmp_path / "r", frame)
        more = made_up(
            [
                ("image0", 2, "broken", "psnr", "it broke"),
                ("image0", 2, "late", "psnr", 30.0),
                ("image0", 2, "bicubic", "lpips", "no weights"),
            ]
        )
        frame = frame[(frame["upsampler"] != "bicubic") | (frame["metric"] != "lpips")]
        rows = [*frame.to_dict("records"), *more.to_dict("records")]
        records = type(frame)(rows).astype(frame.dtypes.to_dict())
        (view,) = kept_of(load_run(folder), records).views
        assert view.missing == {"broken": "it broke", "late": "no crop kept"}
        assert view.numbers[("bicubic", "lpips")] == Number(None, "no weights")
        assert view.numbers[("late", "lpips")] == Number(None, "not measured")
        assert view.numbers[("late", "psnr")] == Number(30.0)
        assert view.pixels["liif-edsr"][0, 0, 0] == level_of(3, 2)

    def test_a_damaged_file_is_refused_in_one_line(self, tmp_path):
        made = load_run(write_run(tmp_path / "r", usual()))
        file = made.path / "crops" / "sample_image0_x4_bicubic.png"
        content = file.read_bytes()
        for damaged, said in ((content[:60], "cannot be decoded"), (b"GIF89a", "cannot be dec")):
            file.write_bytes(damaged)
            with pytest.raises(LiifBenchError, match=said) as error:
                kept_of(made, made.records)
            assert "\n" not in str(error.value)

    def test_a_file_of_another_size_is_refused_before_it_is_decoded(self, tmp_path):
        made = load_run(write_run(tmp_path / "r", usual()))
        file = made.path / "crops" / "sample_image0_x4_bicubic.png"
        Image.new("RGB", (65, 64)).save(file)
        with pytest.raises(LiifBenchError, match="has 65x64 pixels, the index of crops says 64x64"):
            kept_of(made, made.records)


def test_reading_crops_does_without_torch_and_scipy():
    code = (
        "import sys, liif_bench.analysis.crops;"
        "assert not {'torch', 'scipy', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
