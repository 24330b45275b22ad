import numpy as np
import pytest
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.errors import LiifBenchError

WNID = "n01440764"


def folder_of(folder, *sizes):
    """Images of noise of these heights and widths, named by a class."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate(sizes):
        noise = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
        Image.fromarray(noise).save(folder / f"{WNID}_{number}.png")
    return folder


def test_the_middle_of_every_image_is_cut_out(tmp_path):
    folder = folder_of(tmp_path / "a", (300, 401), (224, 500), (100, 90))
    whole = load_dataset(f"imagenet:{folder}").items
    cut = load_dataset(f"crops:imagenet:{folder}").items
    assert [item.name for item in cut] == [item.name for item in whole]
    assert {item.labels for item in cut} == {(WNID,)}
    places = (slice(38, 262), slice(88, 312)), (slice(0, 224), slice(138, 362)), (..., slice(None))
    for item, full, place in zip(cut, whole, places, strict=True):
        np.testing.assert_array_equal(item.read_hr(4.0), full.read_hr(4.0)[place])
    assert [item.pixels for item in cut] == [224 * 224, 224 * 224, 9000]


def test_crops_are_other_data_than_the_images(tmp_path):
    folder = folder_of(tmp_path / "a", (300, 400))
    cut, whole = (load_dataset(f"{way}imagenet:{folder}") for way in ("crops:", ""))
    assert cut.name == f"crops:imagenet:{folder}"
    assert cut.fingerprint() != whole.fingerprint()


def test_given_lr_shows_the_whole_and_is_left_out(tmp_path):
    for place, size in (("HR", (600, 400)), ("LR_bicubic/X2", (300, 200))):
        (tmp_path / place).mkdir(parents=True)
        name = "a.png" if place == "HR" else "ax2.png"
        Image.new("RGB", size).save(tmp_path / place / name)
    (item,) = load_dataset(f"paired:{tmp_path}").items
    assert item.lr_paths
    (cut,) = load_dataset(f"crops:paired:{tmp_path}").items
    assert not cut.lr_paths
    assert cut.crop == (88, 188, 224, 224)


def test_what_cannot_be_read_is_left_to_be_an_error_record(tmp_path):
    folder = folder_of(tmp_path / "a", (300, 400))
    (folder / f"{WNID}_9.png").write_bytes(b"no image")
    good, bad = load_dataset(f"crops:imagenet:{folder}").items
    assert good.crop is not None
    assert bad.crop is None
    with pytest.raises(LiifBenchError, match="not an image"):
        bad.read_hr(4.0)


def test_a_drawn_image_is_drawn_first():
    item = load_dataset("crops:scenes").items[0]
    assert item.read_hr(4.0).shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("crops", "needs an argument"),
        ("crops:stets", "unknown dataset 'stets'"),
        ("crops:crops:sample", "part of a file"),
    ],
)
def test_refusals_are_one_line(spec, said):
    with pytest.raises(LiifBenchError, match=said) as error:
        load_dataset(spec)
    assert "\n" not in str(error.value)
