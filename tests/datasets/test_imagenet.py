import shutil
from collections import Counter

import numpy as np
import pandas
import pytest
from commands import call
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from liif_bench.datasets import load_dataset
from liif_bench.datasets.base import Item
from liif_bench.datasets.classes import imagenet_classes
from liif_bench.datasets.imagenet import interleaved
from liif_bench.errors import DataUnavailableError, LiifBenchError
from liif_bench.records import load_run

TENCH, GOLDFISH, SHARK = "n01440764", "n01443537", "n01484850"


def touch(path, content=b"x"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def items_of(root):
    return load_dataset(f"imagenet:{root}").items


def refusal(root, kind=LiifBenchError):
    with pytest.raises(kind) as error:
        items_of(root)
    assert "\n" not in str(error.value)
    return str(error.value)


class TestLayouts:
    def test_a_folder_for_each_class(self, tmp_path):
        val = touch(tmp_path / TENCH / "ILSVRC2012_val_00000293.JPEG")
        train = touch(tmp_path / SHARK / f"{SHARK}_10026.JPEG")
        items = {item.name: item for item in items_of(tmp_path)}
        assert items == {
            f"{TENCH}_ILSVRC2012_val_00000293.JPEG": Item(
                f"{TENCH}_ILSVRC2012_val_00000293.JPEG", val, labels=(TENCH,)
            ),
            f"{SHARK}_10026.JPEG": Item(f"{SHARK}_10026.JPEG", train, labels=(SHARK,)),
        }

    def test_all_in_one_folder(self, tmp_path):
        path = touch(tmp_path / f"{SHARK}_great_white.JPEG")
        (item,) = items_of(tmp_path)
        assert (item.name, item.hr_path, item.labels) == (path.name, path, (SHARK,))

    def test_an_image_has_one_name_in_either_layout(self, tmp_path):
        for wnid in (TENCH, GOLDFISH, SHARK):
            for name in ("a.png", "b_c.jpg"):
                touch(tmp_path / "flat" / f"{wnid}_{name}")
                touch(tmp_path / "folders" / wnid / name)
                touch(tmp_path / "train" / wnid / f"{wnid}_{name}")
        flat, folders, train = (
            load_dataset(f"imagenet:{name}", tmp_path) for name in ("flat", "folders", "train")
        )
        assert [item.name for item in flat.items] == [item.name for item in folders.items]
        assert flat.fingerprint() == folders.fingerprint() == train.fingerprint()

    def test_a_class_without_images_what_is_hidden_and_other_files_count_for_nothing(
        self, tmp_path
    ):
        touch(tmp_path / TENCH / "a.JPEG")
        touch(tmp_path / TENCH / "._a.JPEG")
        touch(tmp_path / TENCH / "notes.txt")
        touch(tmp_path / "LOC_synset_mapping.txt")
        touch(tmp_path / ".cache/b.JPEG")
        (tmp_path / GOLDFISH).mkdir()
        assert [item.name for item in items_of(tmp_path)] == [f"{TENCH}_a.JPEG"]

    def test_links_are_followed(self, tmp_path):
        touch(tmp_path / "elsewhere/a.JPEG")
        (tmp_path / "set").mkdir()
        (tmp_path / "set" / TENCH).symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere/gone.JPEG").symlink_to(tmp_path / "nowhere.JPEG")
        assert [item.name for item in items_of(tmp_path / "set")] == [f"{TENCH}_a.JPEG"]


class TestRefusals:
    def test_mixed_layouts(self, tmp_path):
        touch(tmp_path / TENCH / "a.JPEG")
        touch(tmp_path / f"{SHARK}_b.JPEG")
        text = refusal(tmp_path)
        assert "mixes layouts" in text
        assert TENCH in text
        assert f"{SHARK}_b.JPEG" in text

    @pytest.mark.parametrize("name", ["val", "n00000001", "N01440764", "n01440764 (copy)"])
    def test_a_folder_of_no_class(self, tmp_path, name):
        touch(tmp_path / TENCH / "a.JPEG")
        touch(tmp_path / name / "a.JPEG")
        text = refusal(tmp_path)
        assert f"'{tmp_path / name}' is not named by the WordNet id" in text
        assert "folder:" in text

    @pytest.mark.parametrize(
        "name", ["ILSVRC2012_val_00000293.JPEG", "n00000001_a.JPEG", "n01440764.JPEG", "a.png"]
    )
    def test_a_file_of_no_class(self, tmp_path, name):
        touch(tmp_path / f"{TENCH}_a.JPEG")
        touch(tmp_path / name)
        text = refusal(tmp_path)
        assert f"'{tmp_path / name}' has no WordNet id" in text
        assert "labels:" in text

    def test_a_folder_in_the_folder_of_a_class(self, tmp_path):
        touch(tmp_path / TENCH / "images/a.JPEG")
        assert f"'{tmp_path / TENCH / 'images'}' is a folder in" in refusal(tmp_path)

    def test_two_images_of_one_name(self, tmp_path):
        touch(tmp_path / TENCH / "a.JPEG")
        touch(tmp_path / TENCH / f"{TENCH}_a.JPEG")
        assert f"2 images called '{TENCH}_a.JPEG'" in refusal(tmp_path)

    def test_no_image(self, tmp_path):
        assert "holds no image (.bmp" in refusal(tmp_path)
        (tmp_path / TENCH).mkdir()
        assert "holds no image (.bmp" in refusal(tmp_path)

    def test_no_folder(self, tmp_path):
        assert "does not exist" in refusal(tmp_path / "gone")
        assert "is a file" in refusal(touch(tmp_path / "a.JPEG"))

    def test_a_folder_that_cannot_be_read(self, tmp_path):
        (tmp_path / TENCH).symlink_to(tmp_path / TENCH)
        text = refusal(tmp_path)
        assert text.startswith(f"folder '{tmp_path}' cannot be read: Too many levels of symbolic")


class TestOrder:
    @given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 99)), unique=True))
    def test_rounds_of_all_classes_that_have_an_image_left(self, pairs):
        items = [
            Item(f"{number:02d}", None, labels=(imagenet_classes()[label],))
            for label, number in pairs
        ]
        ordered = interleaved(items)
        assert interleaved(reversed(items)) == ordered  # however they are given
        assert Counter(ordered_key(i) for i in ordered) == Counter(ordered_key(i) for i in items)
        seen = Counter()
        rounds = []
        for item in ordered:
            rounds.append(seen[item.labels])
            seen[item.labels] += 1
        assert rounds == sorted(rounds)
        for label in seen:
            names = [item.name for item in ordered if item.labels == label]
            assert names == sorted(names)

    @pytest.mark.parametrize("count", [1, 2, 5, 8, 100, 1000])
    @pytest.mark.parametrize("limit", [2, 10, 50])
    def test_the_first_few_are_spread_over_the_classes(self, count, limit):
        """Any stretch of a quarter of the classes has about a quarter of the first images."""
        wnids = imagenet_classes()[:count]
        items = [Item(f"{n}", None, labels=(wnid,)) for wnid in wnids for n in range(3)]
        first = [wnids.index(item.labels[0]) for item in interleaved(items)[:limit]]
        assert len(set(first)) == min(limit, count)
        if limit <= count:
            for start in range(0, count - count // 4, max(1, count // 16)):
                there = sum(start <= rank < start + count // 4 for rank in first)
                assert abs(there - limit / 4) < 3

    def test_limit_takes_an_image_of_each_class(self, tmp_path):
        for wnid in imagenet_classes()[:20]:
            for number in range(5):
                touch(tmp_path / wnid / f"{number}.JPEG")
        limited = load_dataset(f"imagenet:{tmp_path}").limited(20)
        assert {item.labels for item in limited.items} == {(w,) for w in imagenet_classes()[:20]}
        assert all(item.name.endswith("_0.JPEG") for item in limited.items)

    def test_an_item_without_labels_is_a_class_of_its_own(self):
        items = [Item("a", None), Item("b", None), Item("c", None, labels=(TENCH, SHARK))]
        assert [item.name for item in interleaved(items)] == ["a", "c", "b"]


def ordered_key(item):
    return (item.labels, item.name)


class TestSample:
    def test_it_lies_below_the_data_root(self, tmp_path):
        path = touch(tmp_path / "imagenet_sample" / f"{TENCH}_a.JPEG")
        (item,) = load_dataset("imagenet-sample", tmp_path).items
        assert (item.hr_path, item.labels) == (path, (TENCH,))

    def test_where_it_is_missing_one_line_says_how_to_make_one(self, tmp_path):
        with pytest.raises(DataUnavailableError) as error:
            load_dataset("imagenet-sample", tmp_path)
        text = str(error.value)
        assert "\n" not in text
        for part in (f"{tmp_path / 'imagenet_sample'}", f"{TENCH}_tench.JPEG", "imagenet:PATH"):
            assert part in text
        assert error.value.remedy == ""

    @pytest.mark.data
    def test_the_reference_images(self, reference_data):
        items = load_dataset("imagenet-sample", reference_data).items
        assert len(items) == len({item.labels for item in items}) == 125
        assert all(item.name.startswith(f"{item.labels[0]}_") for item in items)


@pytest.mark.data
@pytest.mark.weights
def test_both_layouts_get_equal_records(reference_data, weights, tmp_path):
    """And a CSV file of the same images does, but for the names."""
    weights("efficientnet-lite0")
    images = [item.hr_path for item in load_dataset("imagenet-sample", reference_data).items[:3]]
    csv = ["path,label"]
    for path in images:
        wnid, _, name = path.name.partition("_")
        for copy in (tmp_path / "flat" / path.name, tmp_path / "folders" / wnid / name):
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        csv.append(f"flat/{path.name},{imagenet_classes().index(wnid)}")
    (tmp_path / "sample.csv").write_text("\n".join(csv))
    specs = ("imagenet:flat", "imagenet:folders", "labels:sample.csv")
    asked = [argument for spec in specs for argument in ("--data", spec)]
    done = call(
        *("run", *asked, "--data-root", tmp_path, "--out", tmp_path / "run"),
        *("--metrics", "zoom-top1", "--models", "bicubic", "--scales", 4),
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    records = load_run(tmp_path / "run").records
    flat, folders, listed = (
        records[records.dataset == spec].drop(columns=["dataset", "seconds"]).reset_index(drop=True)
        for spec in specs
    )
    assert list(flat["item"]) == [path.name for path in images]
    pandas.testing.assert_frame_equal(flat, folders, check_exact=True)
    assert flat.error.isna().all()
    assert flat.value.between(0, 1).all()
    assert flat.value.sum() > 0  # some labels are right answers
    listed["item"] = listed["item"].str.removeprefix("flat/")
    pandas.testing.assert_frame_equal(flat, listed, check_exact=True)


def test_the_pixels_are_the_files(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    (tmp_path / TENCH).mkdir()
    Image.fromarray(pixels).save(tmp_path / TENCH / "a.png")
    (item,) = items_of(tmp_path)
    np.testing.assert_array_equal(item.read_hr(2.0), pixels)
    assert item.pixels == 35
