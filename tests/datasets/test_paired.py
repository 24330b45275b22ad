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


def test_home_is_expanded(set5, monkeypatch):
    monkeypatch.setenv("HOME", str(set5.parent))
    assert [item.name for item in load("~/five")] == ["baby", "bird"]


def test_a_missing_lr_file_is_named(set5):
    path = set5 / "LR_bicubic/X3/birdx3.png"
    path.unlink()
    text = refusal(set5)
    assert str(path) in text
    assert "'bird'" in text


def test_a_missing_hr_of_a_scale_is_named(set14):
    path = set14 / "HR_X4/img_2.png"
    path.unlink()
    assert str(path) in refusal(set14)


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
    assert refusal(set5) == f"folder '{set5 / 'HR'}' does not exist"


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
