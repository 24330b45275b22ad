"""Scoring rated images: the numbers of a run, LR as the protocol makes it, floors that hold."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from liif_bench.agreement import (
    default_metrics,
    first_contents,
    graded_images,
    keep_agreement,
    measure_agreement,
    rated_images,
)
from liif_bench.analysis.agreement import CONTENT, METHOD, POOLED, parts, read_agreement
from liif_bench.datasets import load_dataset
from liif_bench.distort import KINDS, STRENGTHS, distort
from liif_bench.images import read_rgb, to_tensor
from liif_bench.metrics.measure import Measure
from liif_bench.protocol import load_protocol
from liif_bench.ratings.base import Rating

PROTOCOL = load_protocol("liif-div2k")


@pytest.fixture(scope="module")
def graded():
    """All of the sample photographs, a small crop of each."""
    images = graded_images(load_dataset("sample"), crop=128)
    return measure_agreement(images, ["psnr", "ssim", "mtf50"], PROTOCOL, device="cpu")


@pytest.fixture
def rated(tmp_path):
    """A function that makes ratings of noisy versions of two images, and returns them."""

    def make(**changes):
        rng = np.random.default_rng(0)
        ratings = []
        for content in "ab":
            hr = rng.integers(40, 216, (48, 64, 3), dtype=np.uint8)
            Image.fromarray(hr).save(tmp_path / f"{content}.png")
            for strength in (1, 4, 8, 16):
                path = tmp_path / f"{content}_{strength}.png"
                Image.fromarray(
                    (hr + rng.integers(0, strength + 1, hr.shape)).astype(np.uint8)
                ).save(path)
                ref = tmp_path / f"{content}.png"
                about = {"dataset": "d", "content_id": content, "sr_path": path, "ref_path": ref,
                         "method": "noise", "score": -strength, "scale": 2.0}  # fmt: skip
                ratings.append(Rating(**{**about, **changes}))
        return ratings

    return make


def agreement_of(table, metric, level):
    return next(parts(table)).agreement(metric, level)


class TestGraded:
    def test_every_photograph_is_there_in_every_kind_at_every_strength(self, graded):
        rows = graded[graded["metric"] == "psnr"]
        names = [item.name for item in load_dataset("sample").items]
        assert [*rows["content_id"].unique()] == names
        assert len(rows) == len(names) * len(KINDS) * len(STRENGTHS) == 180
        assert rows["item"].is_unique
        assert rows["value"].notna().all()

    def test_a_value_is_that_of_the_damaged_middle_of_the_photograph(self, graded):
        item = load_dataset("sample").items[0]
        hr = item.read_hr(4)
        top, left = (hr.shape[0] - 128) // 2, (hr.shape[1] - 128) // 2
        middle = np.ascontiguousarray(hr[top : top + 128, left : left + 128])
        damaged = distort(to_tensor(middle), "blur", 2).permute(1, 2, 0).numpy()
        inner = slice(10, -10)  # scale + 6 pixels are cut off
        expected = peak_signal_noise_ratio(
            middle[inner, inner] / 255, damaged[inner, inner].astype(float), data_range=1
        )
        row = graded[(graded["item"] == f"{item.name} blur 2") & (graded["metric"] == "psnr")]
        assert row["value"].item() == pytest.approx(expected, abs=1e-4)

    @pytest.mark.parametrize("metric", ["psnr", "ssim"])
    def test_psnr_and_ssim_see_the_order_of_every_kind(self, graded, metric):
        part = next(parts(graded))
        # Measured: 1.00 of every kind, but 0.97 of quantisation in SSIM.
        for kind in KINDS:
            assert part.by_method(metric, kind).mean >= 0.95
        assert part.agreement(metric, METHOD).spearman.low >= 0.97
        assert part.agreement(metric, CONTENT).spearman.mean >= 0.65
        assert part.agreement(metric, POOLED).spearman.mean >= 0.55

    def test_a_metric_of_scenes_has_no_meaning_and_is_named(self, graded):
        assert next(parts(graded)).meaningless == ("mtf50",)

    @pytest.mark.weights
    def test_lpips_sees_the_order_of_every_kind(self, weights):
        weights("lpips-alex")
        images = graded_images(load_dataset("sample").limited(3), crop=96)
        table = measure_agreement(images, ["lpips"], PROTOCOL, device="cpu")
        part = next(parts(table))
        assert part.agreement("lpips", METHOD).spearman.mean >= 0.95
        assert min(part.by_method("lpips", kind).mean for kind in KINDS) >= 0.9

    def test_a_seed_moves_what_is_drawn_alone(self):
        data = load_dataset("sample").limited(1)
        first, second = (
            measure_agreement(
                graded_images(data, crop=64, seed=s), ["psnr"], PROTOCOL, device="cpu"
            )
            for s in (0, 1)
        )
        moved = first["value"] != second["value"]
        assert {*first["method"][moved]} == {"noise", "wrong-texture"}


class TestRated:
    def test_a_value_is_that_of_the_files(self, rated):
        ratings = rated()
        table = measure_agreement(rated_images(ratings), ["psnr"], PROTOCOL, device="cpu")
        inner = slice(8, -8)  # scale + 6
        for rating in ratings:
            expected = peak_signal_noise_ratio(
                read_rgb(rating.ref_path)[inner, inner], read_rgb(rating.sr_path)[inner, inner]
            )
            value = table[table["item"] == rating.sr_path.name]["value"].item()
            assert value == pytest.approx(expected, abs=1e-4)
        assert agreement_of(table, "psnr", POOLED).spearman.mean > 0.95
        assert agreement_of(table, "psnr", CONTENT).spearman.mean == pytest.approx(1)

    @pytest.fixture
    def seen(self, monkeypatch):
        """The cases that a metric is shown, after a run with it."""
        cases = []

        def look(case, output, device):
            cases.append(case)
            return 1.0

        monkeypatch.setattr(
            "liif_bench.agreement.load_metric",
            lambda name, device: Measure(device, name, "v", look),
        )
        return cases

    def test_lr_is_read_where_it_is_given_and_made_by_the_protocol_where_not(
        self, rated, seen, tmp_path
    ):
        given = tmp_path / "lr.png"
        Image.new("RGB", (32, 24), (10, 200, 30)).save(given)
        measure_agreement(rated_images(rated(lr_path=given)), ["looks"], PROTOCOL, device="cpu")
        assert {case.lr_source for case in seen} == {"given"}
        assert torch.equal(seen[0].lr, to_tensor(read_rgb(given)))
        seen.clear()
        measure_agreement(rated_images(rated()), ["looks"], PROTOCOL, device="cpu")
        assert {case.lr_source for case in seen} == {PROTOCOL.lr.generator}
        assert seen[0].lr.shape == (3, 24, 32)
        seen.clear()
        measure_agreement(rated_images(rated(scale=None)), ["looks"], PROTOCOL, device="cpu")
        assert (seen[0].scale, seen[0].lr.shape) == (4, (3, 12, 16))

    def test_images_of_one_content_share_their_case(self, rated, seen):
        shuffled = rated()[::-2] + rated()[::2]
        measure_agreement(rated_images(shuffled), ["looks"], PROTOCOL, device="cpu")
        assert len(seen) == 8
        assert len({id(case) for case in seen}) == 2

    def test_an_image_that_cannot_be_scored_is_an_error_and_not_a_hole(self, rated, tmp_path):
        ratings = rated()
        Image.new("RGB", (30, 30)).save(ratings[0].sr_path)
        ratings[1].sr_path.write_bytes(b"no image")
        table = measure_agreement(rated_images(ratings), ["psnr", "ssim"], PROTOCOL, device="cpu")
        assert len(table) == 16
        failed = table[table["value"].isna()]
        assert len(failed) == 4
        assert "has 30x30 pixels, its reference" in failed["error"].iloc[0]
        assert "is not an image" in failed["error"].iloc[2]

    def test_borders_that_lr_does_not_answer_to_are_cut_off(self, rated, tmp_path):
        ratings = [
            Rating("d", "c", tmp_path / "s.png", tmp_path / "h.png", "m", 1.0, scale=3.0),
        ]
        hr = np.random.default_rng(1).integers(0, 256, (50, 61, 3), dtype=np.uint8)
        Image.fromarray(hr).save(tmp_path / "h.png")
        for shape in ((50, 61), (48, 60)):  # as large as HR, or three times LR
            Image.fromarray(hr[: shape[0], : shape[1]]).save(tmp_path / "s.png")
            table = measure_agreement(rated_images(ratings), ["psnr"], PROTOCOL, device="cpu")
            assert table["value"].item() == np.inf

    def test_a_limit_is_one_of_contents(self, rated):
        images = rated_images(rated())
        assert {image.about["content_id"] for image in first_contents(images, 1)} == {"a"}
        assert len(first_contents(images, 1)) == 4
        assert first_contents(images, None) == images

    def test_the_table_is_kept_whole_and_read_again(self, rated, tmp_path):
        table = measure_agreement(rated_images(rated()), ["psnr"], PROTOCOL, device="cpu")
        path = keep_agreement(table, tmp_path / "deep" / "down")
        assert [each.name for each in path.parent.iterdir()] == ["agreement.parquet"]
        again = read_agreement(path.parent)
        assert agreement_of(again, "psnr", POOLED) == agreement_of(table, "psnr", POOLED)
        assert {*again["protocol_hash"]} == {PROTOCOL.hash}


def test_by_default_all_metrics_are_taken_that_look_at_pictures_alone():
    names = default_metrics()
    assert {"psnr", "ssim", "lpips"} <= {*names}
    assert not any(name.startswith(("zoom-", "feature-", "tta-")) for name in names)
