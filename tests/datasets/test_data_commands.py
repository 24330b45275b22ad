"""The commands of ``liif-bench data``, run as users run them."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from liif_bench.cli.data import app
from liif_bench.errors import DataUnavailableError, LiifBenchError


@pytest.fixture
def root(tmp_path):
    """A data root that holds the whole of Set5 and three images of Set14."""
    for name, count in (("Set5", 5), ("Set14", 3)):
        for number in range(count):
            save(tmp_path / f"data/{name}/HR/{number}.png", 12)
            for scale in (2, 3, 4):
                low = tmp_path / f"data/{name}/LR_bicubic/X{scale}/{number}x{scale}.png"
                save(low, 12 // scale)
    return tmp_path / "data"


def save(path, side):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((side, side, 3), np.uint8)).save(path)


def run(*args, root=None):
    """The output of a command that ends well."""
    options = [] if root is None else ["--data-root", str(root)]
    result = CliRunner().invoke(app, [*args, *options], env={"COLUMNS": "300"})
    if result.exception:
        raise result.exception
    return result.output


def rows(text):
    return {line.split()[0]: line for line in text.splitlines() if line}


def test_list_shows_what_is_there_and_what_is_not(root):
    lines = rows(run("list", root=root))
    assert lines["set5"].split() == ["set5", "Set5", "5", "x2", "x3", "x4", str(root / "Set5")]
    assert "3 of 14" in lines["set14"]
    assert lines["b100"].split() == ["b100", "B100", "100", "-", "-"]
    assert lines["data"] == f"data root: {root}"


def test_list_shows_labelled_sets(root):
    lines = rows(run("list", root=root))
    assert lines["imagenet-sample"].split()[-3:] == ["-", "-", "-"]
    assert lines["imagenet-hard"].split()[-3:] == ["-", "-", "-"]
    sample, hard = root / "imagenet_sample", root / "imagenet-hard"
    for wnid in ("n01440764", "n01443537"):
        save(sample / wnid / "a.png", 8)
    save(hard / "00000.png", 8)
    (hard / "labels.csv").write_text("path,labels\n00000.png,0;1\n")
    lines = rows(run("list", root=root))
    assert lines["imagenet-sample"].split()[-3:] == ["2", "-", str(sample)]
    assert lines["imagenet-hard"].split()[-3:] == ["1", "-", str(hard)]
    save(sample / "b.png", 8)
    line = rows(run("list", root=root))["imagenet-sample"]
    assert "?" in line
    assert "mixes layouts" in line


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("fetch", "imagenet-sample"),
        ("verify", "imagenet-sample"),
        ("verify", "imagenet-hard"),
    ],
)
def test_what_has_no_published_listing(command, name, root):
    with pytest.raises(LiifBenchError, match=f"'{name}' has no published listing"):
        run(command, name, root=root)


def test_list_points_at_a_set_that_cannot_be_read(root):
    (root / "Set5/HR/0.png").unlink()
    line = rows(run("list", root=root))["set5"]
    assert "? of 5" in line
    assert "data verify" in line


def test_the_data_root_comes_from_the_environment(root, monkeypatch):
    monkeypatch.setenv("LIIF_BENCH_DATA", str(root))
    assert str(root / "Set5") in run("list")


def test_verify_of_a_whole_set(root):
    assert run("verify", "set5", root=root) == "set5: whole\n"


def test_verify_of_all_passes_over_what_is_not_there(root, capsys):
    (root / "Set14").rename(root / "elsewhere")
    lines = rows(run("verify", root=root))
    assert lines["set5:"] == "set5: whole"
    assert lines["b100:"] == "b100: not there"


def test_verify_of_a_named_set_that_is_not_there(root):
    with pytest.raises(DataUnavailableError, match="b100"):
        run("verify", "b100", root=root)


def test_verify_of_a_part_of_a_set(root):
    with pytest.raises(LiifBenchError) as error:
        run("verify", root=root)
    text = str(error.value)
    assert "set14" in text
    assert "set5" not in text
    assert "\n" not in text


def test_fetch_leaves_a_whole_set_alone(root):
    assert run("fetch", "set5", root=root) == f"set5: {root / 'Set5'} (already there)\n"


def test_fetch_without_a_network(root, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    with pytest.raises(DataUnavailableError) as error:
        run("fetch", "b100", root=root)
    text = str(error.value)
    assert "https://cv.snu.ac.kr/research/EDSR/benchmark.tar" in text
    assert f"unpack it into '{root}'" in text
    assert "proxy" in text
    assert not (root / "B100").exists()


@pytest.mark.parametrize("command", ["fetch", "verify"])
def test_an_unknown_name(command, root):
    with pytest.raises(LiifBenchError, match="did you mean set14"):
        run(command, "set41", root=root)


@pytest.mark.parametrize("command", ["list", "fetch", "verify"])
def test_help(command):
    assert "data-root" in run(command, "--help")
