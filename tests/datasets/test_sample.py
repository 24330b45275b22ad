import hashlib
import importlib.metadata
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from timm.data.imagenet_info import ImageNetInfo

from liif_bench.datasets import load_dataset, sample
from liif_bench.errors import LiifBenchError
from liif_bench.images import read_size

ITEMS = load_dataset("sample").items


def by_name(name):
    return next(item for item in ITEMS if item.name == name)


def test_the_six_photographs():
    assert [item.name for item in ITEMS] == [
        "chelsea",
        "coffee",
        "astronaut",
        "rocket",
        "hubble_deep_field",
        "retina",
    ]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_the_installed_wheel_holds_the_listed_file(item):
    assert hashlib.sha256(item.hr_path.read_bytes()).hexdigest() == item.sha256
    shipped = {file.locate().resolve() for file in importlib.metadata.files("scikit-image")}
    assert item.hr_path.resolve() in shipped


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_labels_are_imagenet_synsets(item):
    assert set(item.labels) <= set(ImageNetInfo().label_names())
    assert len(set(item.labels)) == len(item.labels)


def test_labels_say_what_is_to_be_seen():
    info = ImageNetInfo()
    words = {"chelsea": "cat", "coffee": "coffee mug", "rocket": "missile"}
    for item in ITEMS:
        described = ", ".join(info.label_name_to_description(label) for label in item.labels)
        if item.name in words:
            assert words[item.name] in described
        else:
            assert not item.labels


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: item.name)
def test_the_crop_lies_inside_the_image(item):
    height, width = read_size(item.hr_path)
    top, left, rows, columns = item.crop or (0, 0, height, width)
    assert min(top, left) >= 0
    assert min(rows, columns) > 0
    assert top + rows <= height
    assert left + columns <= width
    assert item.pixels == rows * columns


def test_the_crop_is_the_part_that_is_read():
    retina = by_name("retina")
    top, left, rows, columns = retina.crop
    whole = np.array(Image.open(retina.hr_path).convert("RGB"))
    assert abs(top - (whole.shape[0] - rows) / 2) <= 1  # the centre, as the listing says
    assert abs(left - (whole.shape[1] - columns) / 2) <= 1
    expected = whole[top : top + rows, left : left + columns]
    np.testing.assert_array_equal(retina.read_hr(4.0), expected)


def test_a_whole_image_is_read_whole():
    chelsea = by_name("chelsea")
    np.testing.assert_array_equal(chelsea.read_hr(2.0), np.array(Image.open(chelsea.hr_path)))


def test_a_changed_file_is_refused_with_both_hashes(tmp_path, monkeypatch):
    chelsea = by_name("chelsea")
    (tmp_path / "data").mkdir()
    changed = tmp_path / "data/chelsea.png"
    changed.write_bytes(chelsea.hr_path.read_bytes() + b"\0")
    monkeypatch.setattr(sample, "skimage_data_folder", lambda: changed.parent)
    (item,) = (item for item in sample.sample(tmp_path) if item.name == "chelsea")
    with pytest.raises(LiifBenchError) as error:
        item.read_hr(2.0)
    text = str(error.value)
    assert "\n" not in text
    assert str(changed) in text
    assert chelsea.sha256 in text
    assert hashlib.sha256(changed.read_bytes()).hexdigest() in text


def test_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    monkeypatch.setattr(sample, "find_spec", lambda name: None)
    with pytest.raises(LiifBenchError, match="pip install scikit-image"):
        load_dataset("sample")


def test_listing_does_not_import_scikit_image():
    code = (
        "import sys; from liif_bench.datasets.sample import skimage_data_folder;"
        "assert (skimage_data_folder() / 'chelsea.png').is_file();"
        "assert 'skimage' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_no_argument():
    with pytest.raises(LiifBenchError, match="takes no argument"):
        load_dataset("sample:3")
