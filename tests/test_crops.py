"""Example crops: what is kept, where, and what is left when a run is killed."""

import io
import json

import numpy as np
import pytest
import torch
from made_runs import usual, write_run
from PIL import Image

import liif_bench
from liif_bench.crops import HR, LR, SIDE, Crop, CropFolder, crop_stem, crops_by_case
from liif_bench.datasets.base import Item
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import make_case
from liif_bench.examples import cut, enlarged, most_detailed
from liif_bench.paths import file_stem
from liif_bench.protocol import load_protocol
from liif_bench.reports.figures import empty_figure, write_figures

FAST = {"models": ["nearest", "bicubic"], "metrics": ["psnr"], "progress": False}


@pytest.fixture
def photos(photo_folder):
    return f"folder:{photo_folder(count=3, size=(160, 200))}"


def pixels(path):
    return np.asarray(Image.open(path))


class TestARun:
    def test_keeps_crops_of_the_first_images_at_every_scale(self, photos, tmp_path):
        liif_bench.run(scales=[2, 4], data=[photos], out=tmp_path / "r", crops=2, **FAST)
        kept = crops_by_case(CropFolder(tmp_path / "r").crops)
        assert set(kept) == {(photos, f"photo{n}.png", s) for n in (0, 1) for s in (2.0, 4.0)}
        for crops in kept.values():
            assert list(crops) == [HR, LR, "nearest", "bicubic"]
            for crop in crops.values():
                assert pixels(tmp_path / "r/crops" / crop.file).shape == (SIDE, SIDE, 3)

    def test_crops_are_windows_of_what_was_scored(self, photos, tmp_path):
        liif_bench.run(scales=[4], data=[photos], out=tmp_path / "r", crops=1, **FAST)
        kept = next(iter(crops_by_case(CropFolder(tmp_path / "r").crops).values()))
        item = Item("photo0.png", tmp_path / "photos" / "photo0.png")
        case = make_case(load_protocol("liif-div2k"), item, 4.0)
        window = (kept[HR].top, kept[HR].left, kept[HR].height, kept[HR].width)
        hr = (case.hr.permute(1, 2, 0) * 255).round().byte().numpy()
        assert np.array_equal(pixels(tmp_path / "r/crops" / kept[HR].file), cut(hr, window))
        sr = liif_bench.load_upsampler("bicubic").encode(case.lr).render(case.size)
        sr = (sr.permute(1, 2, 0) * 255).round().byte().numpy()
        assert np.array_equal(pixels(tmp_path / "r/crops" / kept["bicubic"].file), cut(sr, window))

    def test_crops_move_no_number(self, photos, tmp_path):
        with_, without = (
            liif_bench.run(scales=[3], data=[photos], out=tmp_path / str(n), crops=n, **FAST)
            for n in (3, 0)
        )
        assert with_.records["value"].tolist() == without.records["value"].tolist()
        assert not (tmp_path / "0" / "crops").exists()

    def test_crops_of_finished_cases_stay_when_a_run_goes_on(self, photos, tmp_path):
        out = tmp_path / "r"
        liif_bench.run(scales=[2], data=[photos], out=out, crops=1, **FAST)
        before = {path: path.stat().st_mtime_ns for path in (out / "crops").glob("*.png")}
        journal = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
        (out / "journal.jsonl").write_bytes(journal[0])  # as after a kill in the second case
        liif_bench.run(scales=[2], data=[photos], out=out, crops=2, **FAST)
        assert {path: path.stat().st_mtime_ns for path in before} == before
        assert len(crops_by_case(CropFolder(out).crops)) == 2

    def test_a_case_that_is_measured_again_keeps_only_its_new_crops(self, tmp_path):
        folder = CropFolder(tmp_path)
        for models in (("a", "b"), ("b",)):
            crops = [Crop("d", "i", 2.0, m, f"{m}.png", 0, 0, 1, 1, 1, 1) for m in models]
            folder.add([(crop, f"{crop.model}{len(models)}".encode()) for crop in crops])
        assert [crop.model for crop in CropFolder(tmp_path).crops] == ["b"]
        assert sorted(path.name for path in folder.path.iterdir()) == ["b.png", "crops.json"]
        assert (folder.path / "b.png").read_bytes() == b"b1"

    def test_where_nothing_looks_at_whole_sr_the_window_alone_is_rendered(self, tmp_path, weights):
        weights("efficientnet-lite0")
        out = tmp_path / "r"
        liif_bench.run(
            scales=[4], data=["imagenet-sample"], limit=1, out=out, crops=1,
            models=["bicubic"], metrics=["zoom-one-top1"], progress=False,
        )  # fmt: skip
        kept = next(iter(crops_by_case(CropFolder(out).crops).values()))
        assert set(kept) == {HR, LR, "bicubic"}

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("file", 3, "crops.0.file"),
            ("file", "../x.png", "outside its folder"),
            ("file", "x" * 300, "outside its folder"),
            ("scale", "2", "crops.0.scale"),
            ("top", -1, "impossible window"),
            ("height", 0, "impossible window"),
        ],
    )
    def test_an_index_that_says_something_impossible_is_refused(
        self, tmp_path, field, value, words
    ):
        run = write_run(tmp_path / "run", usual(images=1, scales=(2,)))
        path = run / "crops" / "crops.json"
        content = json.loads(path.read_text())
        content["crops"][0][field] = value
        path.write_text(json.dumps(content))
        with pytest.raises(LiifBenchError, match=words) as error:
            CropFolder(run)
        assert str(path) in str(error.value)

    def test_a_damaged_index_is_refused_in_one_line(self, photos, tmp_path):
        liif_bench.run(scales=[2], data=[photos], out=tmp_path / "r", crops=1, **FAST)
        index = tmp_path / "r/crops/crops.json"
        index.write_text(index.read_text()[:-20])
        with pytest.raises(LiifBenchError, match=r"crops\.json' is damaged"):
            CropFolder(tmp_path / "r")

    def test_an_index_cannot_name_files_elsewhere(self, photos, tmp_path):
        liif_bench.run(scales=[2], data=[photos], out=tmp_path / "r", crops=1, **FAST)
        index = tmp_path / "r/crops/crops.json"
        content = json.loads(index.read_text())
        content["crops"][0]["file"] = "../manifest.json"
        index.write_text(json.dumps(content))
        with pytest.raises(LiifBenchError, match="outside its folder"):
            CropFolder(tmp_path / "r")


class TestTheWindow:
    def test_lies_where_the_detail_is(self):
        image = np.full((300, 400, 3), 90, np.uint8)
        image[150:250, 250:350] = np.random.default_rng(0).integers(0, 256, (100, 100, 3))
        top, left, height, width = most_detailed(image)
        assert (height, width) == (SIDE, SIDE)
        assert top <= 150
        assert top + height >= 250
        assert left <= 250
        assert left + width >= 350

    @pytest.mark.parametrize("size", [(40, 500), (500, 40), (129, 131), (128, 128), (1, 1)])
    def test_lies_inside_and_has_the_largest_sum_of_all_on_the_grid(self, size):
        image = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
        top, left, height, width = most_detailed(image)
        assert (height, width) == (min(SIDE, size[0]), min(SIDE, size[1]))
        grey = image.astype(int).sum(axis=2)
        strength = np.zeros(size, int)
        strength[1:] += abs(np.diff(grey, axis=0))
        strength[:, 1:] += abs(np.diff(grey, axis=1))
        sums = {
            (t, x): strength[t : t + height, x : x + width].sum()
            for t in range(0, size[0] - height + 1, 16)
            for x in range(0, size[1] - width + 1, 16)
        }
        assert sums[top, left] == max(sums.values())

    def test_lr_has_pixels_as_large_as_the_scale(self, tmp_path):
        noise = np.random.default_rng(2).integers(0, 256, (128, 192, 3), dtype=np.uint8)
        Image.fromarray(noise).save(tmp_path / "n.png")
        case = make_case(load_protocol("liif-div2k"), Item("n", tmp_path / "n.png"), 4.0)
        part = enlarged(case, (0, 64, 128, 128))
        lr = (case.lr * 255).round().byte().permute(1, 2, 0)
        expected = torch.repeat_interleave(torch.repeat_interleave(lr, 4, 0), 4, 1)
        assert np.array_equal(part, expected[:, 64:].numpy())


class TestNames:
    def test_parts_are_joined_and_cleaned(self):
        name = crop_stem("folder:my photos", "a/b.png", 2.5, "liif-edsr:cell=x1")
        assert name == "folder-my-photos_a-b.png_x2.5_liif-edsr-cell-x1"
        assert name.startswith(crop_stem("folder:my photos", "a/b.png", 2.5) + "_")

    def test_figures_are_called_by_the_same_rule(self, tmp_path):
        [path] = write_figures([(("a b", "c:d"), empty_figure())], tmp_path)
        assert path.name == f"{file_stem(('a b', 'c:d'))}.png" == "a-b_c-d.png"

    def test_long_names_are_cut_and_stay_apart(self):
        one, other = (file_stem(["ü" * 300 + end]) for end in "ab")
        assert one != other
        assert max(len(one.encode()), len(other.encode())) <= 180

    def test_names_that_become_one_are_told_apart(self, tmp_path):
        folder = CropFolder(tmp_path)
        key = ("d", "i", 2.0)
        assert folder.free_file(key, "a:b", {"d_i_x2_a-b.png"}) == "d_i_x2_a-b-2.png"
        assert folder.free_file(key, "A-b", {"d_i_x2_a-b.png"}) == "d_i_x2_A-b-2.png"

    def test_two_images_that_become_one_name_keep_both(self, tmp_path):
        folder = tmp_path / "odd"
        folder.mkdir()
        for name, level in (("a b.png", 10), ("a+b.png", 200)):
            noise = np.full((32, 32, 3), level, np.uint8)
            Image.fromarray(noise).save(folder / name)
        liif_bench.run(scales=[2], data=[f"folder:{folder}"], out=tmp_path / "r", **FAST)
        crops = [crop for crop in CropFolder(tmp_path / "r").crops if crop.model == HR]
        levels = [pixels(tmp_path / "r/crops" / crop.file)[0, 0, 0] for crop in crops]
        assert sorted(levels) == [10, 200]


def test_the_disk_that_crops_take_is_bounded():
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    from liif_bench.examples import png

    content = png(noise)  # what compresses worst
    assert len(content) < 50_000
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), noise)
