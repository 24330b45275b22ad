import shutil

import numpy as np
import pytest
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError


def save(path, level, size=(24, 36)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(path)


@pytest.fixture
def set5(tmp_path):
    """One HR folder, LR at x2 and x3; every file has a grey level of its own."""
    root = tmp_path / "five"
    for number, name in enumerate(["bird", "baby"]):
        save(root / f"HR/{name}.png", 10 + number)
        for scale in (2, 3):
            path = root / f"LR_bicubic/X{scale}/{name}x{scale}.png"
            save(path, 10 * scale + number, (24 // scale, 36 // scale))
    return root


@pytest.fixture
def set14(tmp_path):
    """HR cropped anew for each scale."""
    root = tmp_path / "fourteen"
    for scale in (2, 4):
        for number in (1, 2):
            save(root / f"HR_X{scale}/img_{number}.png", 100 + 10 * scale + number)
            path = root / f"LR_bicubic/X{scale}/img_{number}x{scale}.png"
            save(path, 10 * scale + number, (24 // scale, 36 // scale))
    return root


def load(root):
    return load_dataset(f"paired:{root}").items


def refusal(root):
    with pytest.raises(LiifBenchError) as error:
        load(root)
    assert "\n" not in str(error.value)
    return str(error.value)


def level(image):
    return int(image[0, 0, 0])


def test_one_hr_for_all_scales(set5):
    baby, bird = load(set5)
    assert (baby.name, bird.name) == ("baby", "bird")
    assert [level(bird.read_hr(scale)) for scale in (2.0, 3.0, 4.0)] == [10, 10, 10]
    assert level(bird.read_lr(2.0)) == 20
    assert level(bird.read_lr(3.0)) == 30
    assert level(baby.read_lr(3.0)) == 31
    assert baby.read_lr(2.0).shape == (12, 18, 3)
    assert baby.read_lr(4.0) is None
    assert baby.pixels == 24 * 36


def test_an_hr_for_each_scale(set14):
    first, second = load(set14)
    assert (first.name, second.name) == ("img_1", "img_2")
    assert level(first.read_hr(2.0)) == 121
    assert level(first.read_hr(4.0)) == 141
    assert level(second.read_lr(4.0)) == 42
    assert second.read_lr(3.0) is None
    assert second.read_hr(3.0).shape == (24, 36, 3)  # some HR, for LR made by the protocol


def test_a_scale_s_own_hr_goes_before_the_common_one(set5):
    for name in ("bird", "baby"):
        save(set5 / f"HR_X3/{name}.png", 200)
    baby, _ = load(set5)
    assert level(baby.read_hr(3.0)) == 200
    assert level(baby.read_hr(2.0)) == 11


def test_real_scales(set5):
    for name in ("bird", "baby"):
        save(set5 / f"LR_bicubic/X1.5/{name}x1.5.png", 15, (16, 24))
    assert level(load(set5)[0].read_lr(1.5)) == 15


def test_without_lr_files_the_protocol_makes_all(set5):
    shutil.rmtree(set5 / "LR_bicubic")
    assert all(item.lr_paths == {} for item in load(set5))


def test_other_folders_are_not_scales(set5):
    save(set5 / "LR_bicubic/Xtra/babyxtra.png", 0)
    save(set5 / "LR_unknown/X4/babyx4.png", 0)
    assert set(load(set5)[0].lr_paths) == {2.0, 3.0}


def test_the_hr_of_the_smallest_scale_by_number_serves_where_there_is_no_other(tmp_path):
    for scale in (10, 8, 3):
        save(tmp_path / f"HR_X{scale}/a.png", scale)
    (item,) = load(tmp_path)
    assert level(item.read_hr(4.0)) == 3
    assert level(item.read_hr(10.0)) == 10
    assert list(item.hr_paths) == [3.0, 8.0, 10.0]


def test_scales_come_in_the_order_of_their_numbers(set5):
    for name in ("bird", "baby"):
        save(set5 / f"LR_bicubic/X10/{name}x10.png", 0)
    assert list(load(set5)[0].lr_paths) == [2.0, 3.0, 10.0]


def test_an_lr_folder_may_be_written_with_decimals(set5):
    (set5 / "LR_bicubic/X3").rename(set5 / "LR_bicubic/X3.0")
    for path in (set5 / "LR_bicubic/X3.0").iterdir():
        path.rename(path.with_stem(path.stem + ".0"))
    assert level(load(set5)[0].read_lr(3.0)) == 31


def test_two_folders_of_one_scale(set5):
    shutil.copytree(set5 / "LR_bicubic/X3", set5 / "LR_bicubic/X3.0")
    text = refusal(set5)
    assert str(set5 / "LR_bicubic/X3.0") in text
    assert "one scale" in text


def test_an_lr_file_without_hr_is_named(set5):
    stray = set5 / "LR_bicubic/X2/zebrax2.png"
    save(stray, 0)
    assert refusal(set5) == f"'{stray}' has no HR: add '{set5 / 'HR/zebra.png'}'"


def test_an_lr_file_that_is_not_named_after_its_scale(set5):
    stray = set5 / "LR_bicubic/X2/birdx3.png"
    (set5 / "LR_bicubic/X2/birdx2.png").rename(stray)
    assert f"'{stray}' is not named as LR at x2 is" in refusal(set5)
    assert "end in 'x2'" in refusal(set5)


@pytest.mark.parametrize("folder", ["HR", "LR_bicubic/X2"])
def test_one_file_of_another_type_is_refused_and_named(folder, set5):
    for name in ("ant", "cat"):
        save(set5 / f"HR/{name}.png", 0)
        for scale in (2, 3):
            save(set5 / f"LR_bicubic/X{scale}/{name}x{scale}.png", 0)
    (png,) = (set5 / folder).glob("bird*")
    odd = png.with_suffix(".jpg")
    png.rename(odd)
    text = refusal(set5)
    assert f"'{odd}' lies among .png files" in text
    assert "folder:" in text


def test_types_may_differ_between_folders_and_in_case(set5):
    for path in (set5 / "HR").iterdir():
        path.rename(path.with_suffix(".PNG" if path.stem == "baby" else ".png"))
    for path in (set5 / "LR_bicubic/X2").iterdir():
        path.rename(path.with_suffix(".bmp"))
    assert [item.name for item in load(set5)] == ["baby", "bird"]


def test_what_lies_beside_the_named_folders_is_not_looked_at(set5):
    save(set5 / "bin/HR/baby.png", 0)
    save(set5 / "results/bird.jpg", 0)
    save(set5 / "HR/.bird.jpg", 0)
    assert [item.name for item in load(set5)] == ["baby", "bird"]


# DIV2K


@pytest.fixture
def div2k(tmp_path):
    root = tmp_path / "DIV2K"
    for number in (801, 802):
        save(root / f"DIV2K_valid_HR/{number:04}.png", number - 700)
        save(root / f"DIV2K_train_HR/{number - 800:04}.png", 0)
        for scale in (2, 4):
            path = root / f"DIV2K_valid_LR_bicubic/X{scale}/{number:04}x{scale}.png"
            save(path, 10 * scale + number - 800, (24 // scale, 36 // scale))
    return root


def test_div2k_validation(div2k):
    first, second = load(div2k)
    assert (first.name, second.name) == ("0801", "0802")
    assert level(first.read_hr(2.0)) == 101
    assert level(second.read_lr(4.0)) == 42
    assert first.hr_paths == {}
    assert first.read_lr(3.0) is None


def test_div2k_without_lr_files(div2k):
    shutil.rmtree(div2k / "DIV2K_valid_LR_bicubic")
    assert [item.lr_paths for item in load(div2k)] == [{}, {}]


def test_div2k_with_an_lr_file_missing(div2k):
    path = div2k / "DIV2K_valid_LR_bicubic/X4/0802x4.png"
    path.unlink()
    assert refusal(div2k).endswith(f"has no LR at x4: add '{path}'")


# SelfExSR


@pytest.fixture(params=["a folder for each scale", "all in one folder"])
def self_ex_sr(request, tmp_path):
    """Two images at x2 and x4, with the results of a method beside them."""
    root = tmp_path / "Urban100"
    for scale in (2, 4):
        folder = root if "one" in request.param else root / f"image_SRF_{scale}"
        for number in (1, 2):
            stem = f"img_{number:03}_SRF_{scale}"
            save(folder / f"{stem}_HR.png", 100 + 10 * scale + number)
            save(folder / f"{stem}_LR.png", 10 * scale + number, (24 // scale, 36 // scale))
            for method in ("bicubic", "SelfExSR"):
                save(folder / f"{stem}_{method}.png", 0)
    return root


def find(root, name):
    (path,) = root.rglob(name)
    return path


def test_self_ex_sr_has_hr_for_each_scale(self_ex_sr):
    first, second = load(self_ex_sr)
    assert (first.name, second.name) == ("img_001", "img_002")
    assert level(first.read_hr(2.0)) == 121
    assert level(second.read_hr(4.0)) == 142
    assert level(first.read_hr(3.0)) == 121
    assert level(second.read_lr(2.0)) == 22
    assert level(second.read_lr(4.0)) == 42
    assert second.read_lr(3.0) is None


@pytest.mark.parametrize(("gone", "left"), [("HR", "LR"), ("LR", "HR")])
def test_self_ex_sr_with_half_a_pair(gone, left, self_ex_sr):
    path = find(self_ex_sr, f"img_002_SRF_4_{gone}.png")
    path.unlink()
    text = refusal(self_ex_sr)
    assert text.endswith(f"has no {gone} at x4: add '{path}'")
    assert "img_002" in text


def test_self_ex_sr_with_an_image_that_only_one_scale_has(self_ex_sr):
    for kind in ("HR", "LR"):
        find(self_ex_sr, f"img_002_SRF_2_{kind}.png").unlink()
    assert "img_002_SRF_2_HR.png" in refusal(self_ex_sr)


def test_self_ex_sr_with_no_lr_at_all(self_ex_sr):
    for path in list(self_ex_sr.rglob("*_SRF_4_LR.png")):
        path.unlink()
    assert "img_001_SRF_4_LR.png" in refusal(self_ex_sr)


def test_self_ex_sr_with_a_file_that_has_no_scale_in_its_name(self_ex_sr):
    stray = find(self_ex_sr, "img_001_SRF_2_HR.png").with_name("img_003.png")
    save(stray, 0)
    assert f"'{stray}' is not named NAME_SRF_2_HR" in refusal(self_ex_sr)


def test_self_ex_sr_with_nothing_but_results(tmp_path):
    save(tmp_path / "image_SRF_2/img_001_SRF_2_bicubic.png", 0)
    assert f"'{tmp_path / 'image_SRF_2'}' holds no NAME_SRF_2_HR" in refusal(tmp_path)


# HR alone


def test_a_plain_folder_of_hr_images(tmp_path):
    for name in ("b", "a"):
        save(tmp_path / f"{name}.png", 7)
    save(tmp_path / "LR_bicubic/X2/ax2.png", 0)
    save(tmp_path / "deeper/c.png", 0)
    first, second = load(tmp_path)
    assert (first.name, second.name) == ("a", "b")
    assert (first.lr_paths, first.hr_paths) == ({}, {})
    assert level(second.read_hr(3.0)) == 7


def test_a_plain_folder_of_mixed_types(tmp_path):
    for name in ("a.png", "b.png", "c.jpg"):
        save(tmp_path / name, 0)
    assert f"'{tmp_path / 'c.jpg'}' lies among .png files" in refusal(tmp_path)


def test_an_empty_folder(tmp_path):
    assert f"'{tmp_path}' holds no benchmark set" in refusal(tmp_path)


# Paths


def test_a_relative_path_below_the_data_root(set5, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    items = load_dataset("paired:five", tmp_path).items
    assert items[0].hr_path == set5 / "HR/baby.png"


def test_home_is_expanded(set5, monkeypatch):
    monkeypatch.setenv("HOME", str(set5.parent))
    assert [item.name for item in load("~/five")] == ["baby", "bird"]


def test_a_missing_lr_file_is_named(set5):
    path = set5 / "LR_bicubic/X3/birdx3.png"
    path.unlink()
    text = refusal(set5)
    assert text == f"'{set5 / 'HR/bird.png'}' has no LR at x3: add '{path}'"


def test_a_missing_hr_of_a_scale_is_named(set14):
    path = set14 / "HR_X4/img_2.png"
    path.unlink()
    assert str(path) in refusal(set14)


def test_an_hr_folder_of_a_scale_must_hold_every_image(set5):
    save(set5 / "HR_X3/bird.png", 200)
    text = refusal(set5)
    assert text == f"'{set5 / 'HR/baby.png'}' has no HR at x3: add '{set5 / 'HR_X3/baby.png'}'"


def test_an_image_that_only_a_later_scale_has_is_not_dropped(set14):
    (set14 / "HR_X2/img_1.png").unlink()
    (set14 / "LR_bicubic/X2/img_1x2.png").unlink()
    assert "img_1" in refusal(set14)


def test_two_files_of_one_name(set5):
    save(set5 / "HR/bird.bmp", 0)
    text = refusal(set5)
    assert "bird.bmp" in text
    assert "bird.png" in text


@pytest.mark.parametrize("root", ["none", "~no-such-user-here"])
def test_a_missing_set(root, tmp_path):
    assert root in refusal(root if root.startswith("~") else tmp_path / root)


def test_no_hr_folder(set5):
    shutil.rmtree(set5 / "HR")
    text = refusal(set5)
    assert f"'{set5}' holds no benchmark set" in text
    for name in ("HR/", "LR_bicubic/X2/", "DIV2K_valid_HR/", "image_SRF_2/", "_SRF_2_LR.png"):
        assert name in text


def test_an_empty_lr_folder(set5):
    (set5 / "LR_bicubic/X4").mkdir()
    assert f"'{set5 / 'LR_bicubic/X4'}' is empty" in refusal(set5)


@pytest.mark.data
def test_set5(reference_data):
    items = load(reference_data / "Set5")
    assert [item.name for item in items] == ["baby", "bird", "butterfly", "head", "woman"]
    for item in items:
        assert item.hr_path == reference_data / f"Set5/HR/{item.name}.png"
        assert {scale: path.name for scale, path in item.lr_paths.items()} == {
            scale: f"{item.name}x{scale}.png" for scale in (2, 3, 4, 8)
        }


@pytest.mark.data
def test_set14(reference_data):
    items = load(reference_data / "Set14")
    assert [item.name for item in items] == [f"img_{number:03}" for number in range(1, 15)]
    for item in items:
        for scale in (2, 4):
            assert item.hr_paths[scale] == reference_data / f"Set14/HR_X{scale}/{item.name}.png"
            assert item.lr_paths[scale].name == f"{item.name}x{scale}.png"
