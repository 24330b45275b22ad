"""ImageNet-Hard, read from small copies in its schema that the library `datasets` itself writes."""

import io
import shutil
import subprocess
import sys
import threading

import numpy as np
import pyarrow.parquet
import pytest
from commands import call
from datasets import Dataset, DatasetDict, Features, Sequence, Value
from datasets import Image as ImageFeature
from PIL import Image

from liif_bench.datasets import imagenet_hard, load_dataset
from liif_bench.datasets.classes import imagenet_classes
from liif_bench.errors import DataUnavailableError, LiifBenchError

CLASSES = imagenet_classes()
LABELS = [[3, 700], [9], [], [3]]
SCHEMA = Features(
    {
        "image": ImageFeature(),
        "label": Sequence(Value("int64")),
        "origin": Value("string"),
        "english_label": Sequence(Value("string")),
    }
)


def encoded(number, kind):
    """An image file, as bytes."""
    pixels = np.random.default_rng(number).integers(0, 256, (9, 12, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


FILES = [encoded(number, kind) for number, kind in enumerate(["JPEG", "PNG", "JPEG", "WEBP"])]


def rows(files=FILES, labels=LABELS, features=SCHEMA):
    return Dataset.from_dict(
        {
            "image": [{"bytes": file, "path": None} for file in files],
            "label": labels,
            "origin": ["imagenet"] * len(files),
            "english_label": [["a word"] * 2] * len(files),
        },
        features=features,
    )


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def parquet(tmp_path):
    """A copy as the hub has it: Parquet files in a folder `data`."""
    folder = tmp_path / "hub"
    (folder / "data").mkdir(parents=True)
    for part, chosen in enumerate([range(2), range(2, 4)]):
        name = folder / f"data/validation-0000{part}-of-00002.parquet"
        rows().select(chosen).to_parquet(name)
    (folder / "README.md").write_text("x")
    return folder


def saved(tmp_path, what=None):
    what = rows() if what is None else what
    what.save_to_disk(tmp_path / "saved")
    return tmp_path / "saved"


def items_of(path):
    return load_dataset(f"imagenet-hard:{path}").items


def refusal(path):
    with pytest.raises(LiifBenchError) as error:
        items_of(path)
    assert "\n" not in str(error.value)
    return str(error.value)


def check(items):
    assert {item.name: item.labels for item in items} == {
        "00000.jpeg": (CLASSES[3], CLASSES[700]),
        "00001.png": (CLASSES[9],),
        "00002.jpeg": (),
        "00003.webp": (CLASSES[3],),
    }
    for item in items:
        original = FILES[int(item.name[:5])]
        assert item.hr_path.read_bytes() == original  # as they came, not encoded again
        expected = np.array(Image.open(io.BytesIO(original)))
        np.testing.assert_array_equal(item.read_hr(2.0), expected)


class TestCopies:
    def test_parquet_files(self, parquet):
        check(items_of(parquet))

    def test_one_parquet_file(self, tmp_path):
        rows().to_parquet(tmp_path / "a.parquet")
        check(items_of(tmp_path / "a.parquet"))

    def test_what_save_to_disk_wrote(self, tmp_path):
        check(items_of(saved(tmp_path)))

    def test_the_split_validation_of_several(self, tmp_path):
        both = DatasetDict({"train": rows([FILES[0]], [[0]]), "validation": rows()})
        check(items_of(saved(tmp_path, both)))

    def test_the_only_split_whatever_its_name(self, tmp_path):
        check(items_of(saved(tmp_path, DatasetDict({"everything": rows()}))))

    def test_parquet_files_without_the_notes_of_the_library(self, tmp_path):
        rows().to_parquet(tmp_path / "a.parquet")
        bare = pyarrow.parquet.read_table(tmp_path / "a.parquet").replace_schema_metadata(None)
        pyarrow.parquet.write_table(bare, tmp_path / "a.parquet")
        check(items_of(tmp_path / "a.parquet"))

    def test_one_label_that_is_no_list(self, tmp_path):
        features = Features({**SCHEMA, "label": Value("int64")})
        items = items_of(saved(tmp_path, rows(labels=[5, 6, 7, 8], features=features)))
        assert {item.labels for item in items} == {(CLASSES[index],) for index in (5, 6, 7, 8)}

    def test_a_relative_path_is_looked_for_below_the_data_root(self, parquet, tmp_path):
        check(load_dataset("imagenet-hard:hub", tmp_path).items)

    def test_an_image_that_cannot_be_decoded_is_the_run_s_business(self, tmp_path):
        copy = saved(tmp_path, rows([FILES[0], b"no image"], [[1], [2]]))
        (good, bad) = sorted(items_of(copy), key=lambda item: item.name)
        assert good.read_hr(2.0).shape == (9, 12, 3)
        assert bad.name == "00001.png"
        with pytest.raises(LiifBenchError, match="not an image"):
            bad.read_hr(2.0)


class TestCache:
    def test_files_are_written_once(self, parquet, cache):
        first = items_of(parquet)
        stamps = {item.hr_path: item.hr_path.stat().st_mtime_ns for item in first}
        assert all(path.is_relative_to(cache / "imagenet-hard") for path in stamps)
        again = items_of(parquet)
        assert again == first
        assert stamps == {item.hr_path: item.hr_path.stat().st_mtime_ns for item in again}

    def test_a_copy_is_the_same_however_it_is_named(self, parquet, tmp_path, monkeypatch):
        first = items_of(parquet)
        monkeypatch.chdir(tmp_path)
        assert items_of("hub") == first

    def test_what_is_written_can_be_read_without_the_library(self, parquet):
        folder = items_of(parquet)[0].hr_path.parent
        code = (
            "import sys; from liif_bench.datasets import load_dataset;"
            f"items = load_dataset('labels:{folder / 'labels.csv'}').items;"
            "assert len(items) == 4; assert 'datasets' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)

    def test_another_content_is_another_folder(self, tmp_path):
        path = tmp_path / "a.parquet"
        rows().to_parquet(path)
        before = items_of(path)
        rows([FILES[1]], [[8]]).to_parquet(path)
        (after,) = items_of(path)
        assert after.labels == (CLASSES[8],)
        assert after.hr_path.parent != before[0].hr_path.parent

    def test_a_copy_that_breaks_off_leaves_nothing(self, tmp_path, cache):
        copy = saved(tmp_path, rows(labels=[[1], [2], [1000], [3]]))
        assert "row 2 of" in refusal(copy)
        assert [path for path in cache.rglob("*") if path.is_file() and path.name != "lock"] == []

    def test_what_a_killed_process_left_is_swept_away(self, parquet, cache):
        left = cache / "imagenet-hard/.downloads/old.part"
        left.mkdir(parents=True)
        (left / "00000.jpeg").write_bytes(b"half")
        check(items_of(parquet))
        assert not left.exists()

    def test_two_at_a_time(self, parquet):
        found = []
        threads = [
            threading.Thread(target=lambda: found.append(items_of(parquet))) for _ in range(3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 3
        assert found[0] == found[1] == found[2]
        assert len(list(found[0][0].hr_path.parent.parent.glob("[0-9a-f]*"))) == 1

    def test_a_cache_that_cannot_be_made(self, parquet, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("x")
        monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "file/cache"))
        assert "set LIIF_BENCH_CACHE to another folder" in refusal(parquet)


class TestRefusals:
    def test_a_label_out_of_range(self, tmp_path):
        copy = saved(tmp_path, rows(labels=[[1], [2, -1], [], []]))
        said = refusal(copy)
        assert f"cannot read row 1 of '{copy}': label -1 is no index" in said

    def test_an_image_that_is_only_a_path(self, tmp_path):
        """A table could name any file of this machine."""
        secret = tmp_path / "secret.png"
        secret.write_bytes(FILES[1])
        table = Dataset.from_dict(
            {"image": [{"bytes": None, "path": str(secret)}], "label": [[1]]},
            features=Features({"image": ImageFeature(), "label": SCHEMA["label"]}),
        )
        table.to_parquet(tmp_path / "a.parquet")
        assert "row 0 of" in refusal(tmp_path / "a.parquet")
        assert "embed the images" in refusal(tmp_path / "a.parquet")

    @pytest.mark.parametrize("column", ["image", "label"])
    def test_another_schema(self, tmp_path, column):
        rows().remove_columns(column).to_parquet(tmp_path / "a.parquet")
        assert f"it has no column '{column}'" in refusal(tmp_path / "a.parquet")

    def test_no_copy(self, tmp_path):
        (tmp_path / "a.txt").write_text("x")
        assert "is no copy of ImageNet-Hard" in refusal(tmp_path)
        assert "is no copy of ImageNet-Hard" in refusal(tmp_path / "a.txt")
        assert "does not exist" in refusal(tmp_path / "none")

    def test_a_damaged_file(self, tmp_path):
        (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
        assert "a.parquet'" in refusal(tmp_path / "a.parquet")

    def test_several_splits_and_none_is_validation(self, tmp_path):
        copy = saved(tmp_path, DatasetDict({"train": rows(), "test": rows()}))
        assert "it has no split 'validation', but train, test" in refusal(copy)


class TestFetched:
    def test_where_it_is_missing_nothing_is_fetched(self, tmp_path):
        with pytest.raises(DataUnavailableError) as error:
            load_dataset("imagenet-hard", tmp_path)
        assert "\n" not in str(error.value)
        assert "run 'liif-bench data fetch imagenet-hard'" in str(error.value)
        assert "imagenet-hard:PATH" in str(error.value)
        assert error.value.remedy == "liif-bench data fetch imagenet-hard"

    def test_it_is_read_from_below_the_data_root(self, parquet, tmp_path):
        shutil.copytree(items_of(parquet)[0].hr_path.parent, tmp_path / "root/imagenet-hard")
        items = load_dataset("imagenet-hard", tmp_path / "root").items
        check(items)
        assert all(item.hr_path.is_relative_to(tmp_path / "root") for item in items)

    def test_what_is_there_is_left_alone(self, parquet, tmp_path):
        folder = tmp_path / "root/imagenet-hard"
        shutil.copytree(items_of(parquet)[0].hr_path.parent, folder)
        assert imagenet_hard.fetch(tmp_path / "root") == imagenet_hard.Placed(folder, is_new=False)

    def test_another_folder_in_its_place(self, parquet, tmp_path):
        (tmp_path / "imagenet-hard").mkdir()
        with pytest.raises(LiifBenchError, match=r"holds no 'labels\.csv'.* or add --force"):
            imagenet_hard.fetch(tmp_path)

    def test_the_command_without_a_hub(self, tmp_path):
        """In a process of its own: the library reads its switch for working offline once."""
        env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
        done = call("data", "fetch", "imagenet-hard", "--data-root", tmp_path / "root", env=env)
        assert done.returncode == 2
        assert done.stdout == ""
        (line,) = done.stderr.strip().splitlines()
        assert "cannot fetch 'taesiri/imagenet-hard' from the hub (ConnectionError:" in line
        assert "imagenet-hard:PATH" in line
        assert not (tmp_path / "root").exists()

    def test_fetching_what_the_library_has_in_its_cache(self, parquet, tmp_path):
        """The same call as on the hub, on a folder of its name, which the library prefers."""
        shutil.copytree(parquet, tmp_path / imagenet_hard.REPOSITORY)
        env = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
        root = tmp_path / "root"

        def fetch(*options):
            done = call(
                *("data", "fetch", "imagenet-hard", "--data-root", root, *options),
                env=env,
                cwd=tmp_path,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout

        assert fetch() == f"imagenet-hard: {root / 'imagenet-hard'}\n"
        check(load_dataset("imagenet-hard", root).items)
        assert fetch() == f"imagenet-hard: {root / 'imagenet-hard'} (already there)\n"
        aside = root / "imagenet-hard.old-1"
        assert f"what was there before is now '{aside}'" in fetch("--force")
        check(load_dataset("imagenet-hard", root).items)
        assert {path.name for path in aside.iterdir()} == {
            path.name for path in (root / "imagenet-hard").iterdir()
        }


def test_without_the_library(tmp_path, monkeypatch):
    """A folder of that name, which is importable where it lies, is not the library."""
    (tmp_path / "datasets").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "datasets")
    monkeypatch.setattr(sys, "path_importer_cache", {})
    for spec in ("imagenet-hard", "imagenet-hard:x"):
        with pytest.raises(LiifBenchError) as error:
            load_dataset(spec, tmp_path)
        assert str(error.value) == (
            "dataset 'imagenet-hard' needs datasets, which is not installed:"
            " pip install 'liif-bench[imagenet-hard]'"
        )
