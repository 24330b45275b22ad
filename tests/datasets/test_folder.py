import numpy as np
import pytest
from PIL import Image

from liif_bench.crops import Crop, CropFolder
from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(root):
    return [item.name for item in load_dataset(f"folder:{root}").items]


def test_items_of_a_folder(photo_folder):
    root = photo_folder(count=2, size=(48, 64))
    dataset = load_dataset(f"folder:{root}")
    assert dataset.name == f"folder:{root}"
    assert [item.name for item in dataset.items] == ["photo0.png", "photo1.png"]
    for item in dataset.items:
        assert item.hr_path == root / item.name
        assert item.pixels == 48 * 64
        assert item.labels == ()
        assert item.read_lr(2.0) is None
        expected = np.array(Image.open(item.hr_path))
        np.testing.assert_array_equal(item.read_hr(2.0), expected)


def test_order_does_not_depend_on_the_file_system(tmp_path):
    for name in ("b.png", "a10.png", "a2.png", "B.png", "sub/a.png", "a.png"):
        touch(tmp_path / name)
    expected = ["B.png", "a.png", "a10.png", "a2.png", "b.png", "sub/a.png"]
    assert names(tmp_path) == expected


def test_subfolders_keep_equal_names_apart(tmp_path):
    for name in ("day/x.png", "night/x.png", "night/deep/x.png"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["day/x.png", "night/deep/x.png", "night/x.png"]


def test_extensions_in_any_case(tmp_path):
    kinds = ["png", "jpg", "JPEG", "WebP", "BMP", "tif", "TIFF", "JPG"]
    for number, kind in enumerate(kinds):
        touch(tmp_path / f"{number}.{kind}")
    assert names(tmp_path) == [f"{number}.{kind}" for number, kind in enumerate(kinds)]


def test_hidden_files_and_what_is_no_image_are_left_out(tmp_path):
    for name in ("a.png", ".a.png", "._a.png", ".cache/b.png", "notes.txt", "c.gif", "png"):
        touch(tmp_path / name)
    (tmp_path / "folder.png").mkdir()
    assert names(tmp_path) == ["a.png"]


def test_a_hidden_folder_may_be_named(tmp_path):
    touch(tmp_path / ".photos/a.png")
    assert names(tmp_path / ".photos") == ["a.png"]


def test_a_link_to_a_file_counts_and_a_dangling_one_does_not(tmp_path):
    target = touch(tmp_path / "elsewhere/a.png")
    root = tmp_path / "photos"
    root.mkdir()
    (root / "link.png").symlink_to(target)
    (root / "dangling.png").symlink_to(tmp_path / "gone.png")
    assert names(root) == ["link.png"]


def test_home_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file = touch(tmp_path / "photos/a.png")
    (item,) = load_dataset("folder:~/photos").items
    assert item.hr_path == file
    assert item.name == "a.png"


def test_a_path_with_colons_and_spaces(tmp_path):
    touch(tmp_path / "my photos: 2024" / "a b.png")
    assert names(tmp_path / "my photos: 2024") == ["a b.png"]


def test_a_relative_path_is_looked_for_here_and_then_below_the_data_root(tmp_path, monkeypatch):
    here, root = tmp_path / "here", tmp_path / "root"
    here.mkdir()
    monkeypatch.chdir(here)
    below = touch(root / "photos/below.png")
    (item,) = load_dataset("folder:photos", root).items
    assert item.hr_path == below
    touch(here / "photos/mine.png")
    (item,) = load_dataset("folder:photos", root).items
    assert item.hr_path.resolve() == here / "photos/mine.png"


def test_a_relative_path_that_is_in_neither_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = refusal("folder:photos", tmp_path / "root")
    assert (
        f"'photos' does not exist, neither here nor below the data root '{tmp_path}/root'" in text
    )


def test_a_folder_that_cannot_be_opened(tmp_path):
    text = refusal(f"folder:{tmp_path}/{'a' * 300}")
    assert "cannot be opened" in text


def refusal(spec, data_root=None):
    with pytest.raises(LiifBenchError) as error:
        load_dataset(spec, data_root)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_folder(tmp_path):
    assert refusal(f"folder:{tmp_path}/none") == f"folder '{tmp_path}/none' does not exist"


def test_an_empty_folder(tmp_path):
    assert refusal(f"folder:{tmp_path}") == f"folder '{tmp_path}' is empty"
    (tmp_path / "sub").mkdir()
    assert refusal(f"folder:{tmp_path}") == f"folder '{tmp_path}' is empty"


def test_a_folder_without_images(tmp_path):
    touch(tmp_path / "readme.txt")
    text = refusal(f"folder:{tmp_path}")
    assert f"'{tmp_path}' holds no image" in text
    assert ".png" in text


def test_a_file_instead_of_a_folder(tmp_path):
    path = touch(tmp_path / "a.png")
    assert f"'{path}' is a file" in refusal(f"folder:{path}")


def test_the_home_of_nobody():
    assert "'~no-such-user-here/x'" in refusal("folder:~no-such-user-here/x")


@pytest.mark.parametrize("spec", ["folder", "folder:"])
def test_a_path_is_required(spec):
    assert "folder:PATH" in refusal(spec)


def test_unknown_data_set():
    assert "did you mean folder" in refusal("foldr:x")


def test_example_crops_of_a_run_in_the_folder_are_no_images(photo_folder):
    """Or a run that is written beside the images would change what it measures."""
    folder = photo_folder()
    before = [item.name for item in load_dataset(f"folder:{folder}").items]
    crop = Crop("d", "photo0", 4.0, "bicubic", "crop.png", 0, 0, 8, 8, 48, 64)
    CropFolder(folder / "run").path.parent.mkdir()
    CropFolder(folder / "run").add([(crop, (folder / "photo0.png").read_bytes())])
    assert [item.name for item in load_dataset(f"folder:{folder}").items] == before
