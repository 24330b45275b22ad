import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Dataset, Item, check_pairs, misfits
from liif_bench.degrade import fit_pair
from liif_bench.errors import LiifBenchError
from liif_bench.hashing import file_sha256


@pytest.fixture
def item(tmp_path):
    image = np.random.default_rng(5).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    path = tmp_path / "a.png"
    Image.fromarray(image).save(path)
    return Item("a", path)


def fingerprint(*items, name="set"):
    return Dataset(name, items).fingerprint()


# Items


def test_the_crop_is_top_left_height_width(item):
    whole = item.read_hr(2.0)
    cropped = replace(item, crop=(3, 5, 11, 7))
    np.testing.assert_array_equal(cropped.read_hr(2.0), whole[3:14, 5:12])
    assert cropped.pixels == 77
    assert item.pixels == 600


def test_files_lists_everything(item, tmp_path):
    full = replace(item, hr_paths={2.0: tmp_path / "h2"}, lr_paths={2.0: tmp_path / "l2"})
    assert full.files == (item.hr_path, tmp_path / "h2", tmp_path / "l2")


def test_a_wrong_hash_names_both(item):
    wrong = replace(item, sha256="0" * 64)
    with pytest.raises(LiifBenchError) as error:
        wrong.read_hr(2.0)
    text = str(error.value)
    actual = hashlib.sha256(item.hr_path.read_bytes()).hexdigest()
    assert str(item.hr_path) in text
    assert actual in text
    assert "0" * 64 in text
    assert "\n" not in text
    np.testing.assert_array_equal(replace(item, sha256=actual).read_hr(2.0), item.read_hr(2.0))


def test_a_missing_file_with_a_hash(item, tmp_path):
    gone = replace(item, hr_path=tmp_path / "gone.png", sha256="0" * 64)
    with pytest.raises(LiifBenchError, match=r"gone\.png"):
        gone.read_hr(2.0)


# Fingerprints


def test_a_fingerprint_is_stable(item, photo_folder):
    root = photo_folder()
    first, again = (load_dataset(f"folder:{root}").fingerprint() for _ in range(2))
    assert first == again
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdef")


def test_a_moved_folder_keeps_its_fingerprint(photo_folder):
    here, there = photo_folder(name="here"), photo_folder(name="there")
    assert load_dataset(f"folder:{here}").fingerprint() == (
        load_dataset(f"folder:{there}").fingerprint()
    )


def test_content_changes_it(item):
    before = fingerprint(item)
    content = bytearray(item.hr_path.read_bytes())
    content[-1] ^= 1
    item.hr_path.write_bytes(content)
    assert fingerprint(item) != before


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"crop": (0, 0, 20, 30)},
        {"labels": ("n02123045",)},
    ],
    ids=str,
)
def test_what_is_measured_changes_it(change, item):
    assert fingerprint(replace(item, **change)) != fingerprint(item)


def test_the_order_of_items_and_their_number_change_it(item):
    other = replace(item, name="b")
    prints = {
        fingerprint(*items) for items in ((item,), (item, other), (other, item), (item, item))
    }
    assert len(prints) == 4


def test_given_files_change_it(item, tmp_path):
    lr = tmp_path / "lr.png"
    Image.new("RGB", (3, 2)).save(lr)
    variants = [
        item,
        replace(item, lr_paths={2.0: lr}),
        replace(item, lr_paths={4.0: lr}),
        replace(item, hr_paths={2.0: lr}),
    ]
    assert len({fingerprint(variant) for variant in variants}) == 4


def test_an_unreadable_file_counts_as_such(item, tmp_path):
    gone = replace(item, hr_path=tmp_path / "gone.png")
    folder = replace(item, hr_path=tmp_path)
    assert fingerprint(gone) == fingerprint(folder)
    assert fingerprint(gone) != fingerprint(item)


def test_a_file_that_is_no_image_has_a_fingerprint(photo_folder):
    root = photo_folder(count=1)
    (root / "fake.png").write_text("no image")
    dataset = load_dataset(f"folder:{root}")
    before = dataset.fingerprint()
    (root / "fake.png").write_text("another")
    assert dataset.fingerprint() != before


# Pairs


@pytest.fixture
def pair(tmp_path):
    """A function that makes an item of HR and LR, given as (H, W), at a scale."""

    def make(high, low, scale, name="a"):
        paths = tmp_path / f"{name}.png", tmp_path / f"{name}x{scale}.png"
        for path, (height, width) in zip(paths, (high, low), strict=True):
            Image.new("RGB", (width, height)).save(path)
        return Item(name, paths[0], {scale: paths[1]})

    return make


def test_a_pair_that_does_not_fit_is_named_with_both_sizes(pair):
    fits, wrong = pair((20, 30), (10, 15), 2.0), pair((20, 30), (10, 14), 2.0, "b")
    with pytest.raises(LiifBenchError) as error:
        check_pairs((fits, wrong), (2.0,))
    text = str(error.value)
    assert "\n" not in text
    assert f"'{wrong.hr_path}' (30x20)" in text
    assert f"'{wrong.lr_paths[2.0]}' (14x10)" in text
    assert "x2" in text
    assert fits.hr_path.name not in text


def test_only_the_scales_that_are_asked_for_are_checked(pair):
    item = pair((20, 30), (10, 14), 2.0)
    check_pairs((item,), (3.0, 4.0))
    check_pairs((item,), ())


def test_every_misfit_is_told(pair):
    items = [pair((20, 30), (9, 9), 2.0, name) for name in "abc"]
    assert len(list(misfits(items, (2.0,)))) == 3


def test_a_scale_s_own_hr_is_the_one_that_must_fit(pair, tmp_path):
    item = pair((40, 60), (6, 10), 3.0)
    Image.new("RGB", (30, 18)).save(tmp_path / "own.png")
    with pytest.raises(LiifBenchError):
        check_pairs((item,), (3.0,))
    check_pairs((replace(item, hr_paths={3.0: tmp_path / "own.png"}),), (3.0,))


def test_the_crop_is_what_must_fit(pair):
    item = pair((20, 30), (5, 5), 2.0)
    with pytest.raises(LiifBenchError):
        check_pairs((item,), (2.0,))
    check_pairs((replace(item, crop=(0, 0, 10, 10)),), (2.0,))


@pytest.mark.parametrize("broken", ["hr", "lr"])
def test_a_header_that_cannot_be_read_is_left_to_the_run(broken, pair):
    item = pair((20, 30), (9, 9), 2.0)
    (item.hr_path if broken == "hr" else item.lr_paths[2.0]).write_text("no image")
    check_pairs((item,), (2.0,))


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([1.0, 1.5, 2.0, 3.0, 3.7, 4.0, 8.0]),
)
def test_a_pair_fits_when_a_case_can_be_made_of_it(tmp_path_factory, high, low, scale):
    folder = tmp_path_factory.mktemp("pair")
    for name, size in (("h.png", high), ("l.png", low)):
        Image.new("RGB", size[::-1]).save(folder / name)
    item = Item("a", folder / "h.png", {scale: folder / "l.png"})
    try:
        fit_pair(np.zeros((*low, 3), np.uint8), np.zeros((*high, 3), np.uint8), scale)
    except LiifBenchError:
        assert len(list(misfits((item,), (scale,)))) == 1
    else:
        check_pairs((item,), (scale,))


# Hashes of files


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1])
def test_sha256_of_files_around_the_block_size(size, tmp_path):
    content = np.random.default_rng(size).bytes(size)
    (tmp_path / "x").write_bytes(content)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", ["missing", "."])
def test_sha256_of_what_cannot_be_read(name, tmp_path):
    with pytest.raises(LiifBenchError) as error:
        file_sha256(tmp_path / name)
    assert str(tmp_path / name) in str(error.value)
    assert "\n" not in str(error.value)
