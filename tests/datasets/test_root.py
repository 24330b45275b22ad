from pathlib import Path

import pytest

from liif_bench.datasets.root import default_data_root, find_folder
from liif_bench.errors import LiifBenchError
from liif_bench.paths import cache_root


def test_the_data_root_is_the_variable_s(tmp_path, monkeypatch):
    monkeypatch.setenv("LIIF_BENCH_DATA", str(tmp_path / "sets"))
    assert default_data_root() == tmp_path / "sets"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LIIF_BENCH_DATA", "~/sets")
    assert default_data_root() == tmp_path / "sets"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIIF_BENCH_DATA", "sets")
    assert default_data_root() == tmp_path / "sets"


@pytest.mark.parametrize("unset", ["empty", "absent"])
def test_without_the_variable_it_lies_in_the_cache(unset, tmp_path, monkeypatch):
    if unset == "empty":
        monkeypatch.setenv("LIIF_BENCH_DATA", "")
    else:
        monkeypatch.delenv("LIIF_BENCH_DATA", raising=False)
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "cache"))
    assert cache_root() == tmp_path / "cache"
    assert default_data_root() == tmp_path / "cache" / "data"


def test_an_absolute_path_is_not_looked_for_below_the_root(tmp_path):
    with pytest.raises(LiifBenchError) as error:
        find_folder(str(tmp_path / "none"), tmp_path)
    assert str(error.value) == f"folder '{tmp_path / 'none'}' does not exist"


def test_a_file_below_the_root_is_no_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "set").touch()
    with pytest.raises(LiifBenchError, match="is a file; name the folder"):
        find_folder("set", tmp_path)


def test_the_current_folder_goes_first(tmp_path, monkeypatch):
    for folder in ("here/set", "root/set"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert find_folder("set", tmp_path / "root") == Path("set")
    (tmp_path / "here/set").rmdir()
    assert find_folder("set", tmp_path / "root") == tmp_path / "root/set"
