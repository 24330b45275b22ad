import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from liif_bench.datasets import DATASETS, load_dataset
from liif_bench.datasets.benchmarks import locate, lookup, read_benchmark, read_benchmarks
from liif_bench.errors import DataUnavailableError, LiifBenchError

SETS = read_benchmarks()


def save(path, size=(12, 12)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((*size, 3), np.uint8)).save(path)


def fill(folder, count, hr="HR", lr="LR_bicubic", scales=(2,)):
    for number in range(count):
        save(folder / hr / f"{number:03}.png")
        for scale in scales:
            save(folder / lr / f"X{scale}" / f"{number:03}x{scale}.png", (12 // scale,) * 2)
    return folder


def refusal(name, root, kind=LiifBenchError):
    with pytest.raises(kind) as error:
        load_dataset(name, root)
    assert "\n" not in str(error.value)
    return str(error.value)


# The description


def test_every_described_set_can_be_named():
    for name, benchmark in SETS.items():
        assert benchmark.name == name
        entry = DATASETS.entries()[name]
        assert entry.usage == name  # no argument
        assert f"{benchmark.title}, {benchmark.images} images" in entry.summary
        for scale in benchmark.scales:
            assert f"x{scale:g}" in entry.summary
        factory, _ = DATASETS.factory(name)
        assert callable(factory)


def test_the_sizes_of_the_published_sets():
    images = {name: benchmark.images for name, benchmark in SETS.items()}
    assert images == {"set5": 5, "set14": 14, "b100": 100, "urban100": 100, "div2k-valid": 100}
    assert {benchmark.scales for benchmark in SETS.values()} == {(2.0, 3.0, 4.0)}


def test_archives_have_hashes_of_the_length_of_their_algorithm():
    lengths = {"md5": 32, "sha256": 64}
    for benchmark in SETS.values():
        for archive in benchmark.archives:
            algorithm, digits = archive.hash.split(":")
            assert re.fullmatch(r"[0-9a-f]+", digits)
            assert len(digits) == lengths[algorithm]
            assert archive.url.startswith("https://")
            assert re.fullmatch(r"[\w.-]+\.(tar|zip)", archive.filename)


def test_the_four_benchmark_sets_share_one_archive():
    archives = {SETS[name].archives for name in ("set5", "set14", "b100", "urban100")}
    assert len(archives) == 1


@pytest.mark.parametrize("benchmark", SETS.values(), ids=SETS)
def test_examples_are_members_and_lie_where_the_set_is_looked_for(benchmark, tmp_path):
    for example in benchmark.example.split(", "):
        match = re.fullmatch(benchmark.members, example)
        assert match
        save(tmp_path / example)
        assert locate(benchmark, tmp_path) / match["path"] == tmp_path / example


@pytest.mark.parametrize(
    "name",
    [
        "benchmark/Set14/HR/baby.png",
        "benchmark/Set5/HR/.baby.png",
        "benchmark/Set5/HR/../baby.png",
        "benchmark/Set5/HR/sub/baby.png",
        "benchmark/Set5/LR_bicubic/X8/babyx8.png",
        "benchmark/Set5/bin/HR/baby.pt",
        "x/benchmark/Set5/HR/baby.png",
    ],
)
def test_what_is_not_a_member_of_set5(name):
    assert not re.fullmatch(SETS["set5"].members, name)


def test_an_unknown_set():
    with pytest.raises(LiifBenchError, match="did you mean set5 or set14"):
        lookup("set15")


# Where sets are looked for


@pytest.mark.parametrize("place", ["Set5", "benchmark/Set5"])
def test_set5_is_found(place, tmp_path):
    fill(tmp_path / place, 5)
    dataset = load_dataset("set5", tmp_path)
    assert dataset.name == "set5"
    assert [item.name for item in dataset.items] == [f"{number:03}" for number in range(5)]
    assert dataset.items[0].lr_paths[2.0] == tmp_path / place / "LR_bicubic/X2/000x2.png"


@pytest.mark.parametrize("place", [".", "DIV2K", "div2k", "DIV2K_valid"])
def test_div2k_is_found_by_its_hr_folder(place, tmp_path):
    (tmp_path / "DIV2K/DIV2K_train_HR").mkdir(parents=True)
    names = {"hr": "DIV2K_valid_HR", "lr": "DIV2K_valid_LR_bicubic"}
    fill(tmp_path / place, 100, **names, scales=(4,))
    items = load_dataset("div2k-valid", tmp_path).items
    assert len(items) == 100
    assert items[99].lr_paths[4.0].name == "099x4.png"


def test_a_named_set_may_have_any_layout(tmp_path):
    for number in range(5):
        for kind, side in (("HR", 12), ("LR", 4)):
            save(tmp_path / f"Set5/image_SRF_3/img_{number}_SRF_3_{kind}.png", (side, side))
    assert set(load_dataset("set5", tmp_path).items[0].lr_paths) == {3.0}


def test_the_data_root_comes_from_the_environment(tmp_path, monkeypatch):
    fill(tmp_path / "Set5", 5)
    monkeypatch.setenv("LIIF_BENCH_DATA", str(tmp_path))
    assert len(load_dataset("set5").items) == 5


def test_the_first_folder_is_the_one_that_counts(tmp_path):
    fill(tmp_path / "Set5", 5)
    fill(tmp_path / "benchmark/Set5", 5)
    assert locate(SETS["set5"], tmp_path) == tmp_path / "Set5"


# Sets that are not there, or not whole


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_is_not_there(name, tmp_path):
    text = refusal(name, tmp_path, DataUnavailableError)
    assert f"data root '{tmp_path}'" in text
    assert f"'liif-bench data fetch {name}'" in text
    for folder in SETS[name].folders:
        assert folder in text or folder == "."
    assert SETS[name].contains in text


def test_broken_data_is_another_error_than_absent_data(tmp_path):
    fill(tmp_path / "Set5", 5)
    (tmp_path / "Set5/LR_bicubic/X2/003x2.png").unlink()
    with pytest.raises(LiifBenchError, match=r"003x2\.png") as error:
        load_dataset("set5", tmp_path)
    assert not isinstance(error.value, DataUnavailableError)


@pytest.mark.parametrize("count", [1, 4, 6])
def test_a_set_with_another_number_of_images_is_refused(count, tmp_path):
    folder = fill(tmp_path / "Set5", count)
    text = refusal("set5", tmp_path)
    assert f"holds {count} HR images, but Set5 has 5" in text
    assert f"'paired:{folder}'" in text
    assert len(load_dataset(f"paired:{folder}").items) == count


def test_no_argument(tmp_path):
    assert "takes no argument" in refusal("set5:x", tmp_path)


@pytest.mark.data
@pytest.mark.parametrize(("name", "scales"), [("set5", {2, 3, 4, 8}), ("set14", {2, 4})])
def test_the_reference_images(name, scales, reference_data):
    items = read_benchmark(SETS[name], reference_data)
    assert all(set(item.lr_paths) == scales for item in items)


def test_listing_reads_no_description():
    code = (
        "import sys; from liif_bench.datasets import DATASETS; DATASETS.entries();"
        "assert 'torch' not in sys.modules;"
        "assert 'liif_bench.datasets.benchmarks' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
