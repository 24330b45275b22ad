import os
import shutil
import socket
import sys
from importlib import metadata

import numpy as np
import pytest
import torch
from PIL import Image

from liif_bench.doctor import diagnose, lacking
from liif_bench.registry import Entry
from liif_bench.suite import load_suite
from liif_bench.upsamplers import UPSAMPLERS
from liif_bench.weights.registry import lookup


@pytest.fixture(scope="module")
def official(weights):
    """The file of LIIF's weights, fetched before the network is taken away."""
    return weights("liif-edsr")


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """An empty cache, an empty data root, and no network."""

    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIIF_BENCH_DATA", raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def plug_in(tmp_path, monkeypatch):
    """A function that installs a package with one metric."""
    site = tmp_path / "site"
    info = site / "bench_sick-2.0.dist-info"
    info.mkdir(parents=True)
    monkeypatch.syspath_prepend(str(site))

    def write(source):
        (site / "bench_sick.py").write_text(source)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bench-sick\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text("[liif_bench.metrics]\nmine = bench_sick:Mine\n")

    yield write
    sys.modules.pop("bench_sick", None)


def part(diagnosis, name, kind="model"):
    (found,) = (each for each in diagnosis.parts if (each.kind, each.name) == (kind, name))
    return found


class TestParts:
    def test_on_a_new_machine_the_default_run_is_ready_but_for_weights(self, tmp_path):
        found = diagnose()
        assert found.problems == ()
        assert part(found, "bicubic").state == "ready"
        liif = part(found, "liif-edsr")
        size = lookup("liif-edsr").distribution.size / 1e6
        assert (liif.state, liif.usable) == ("to fetch", True)
        assert liif.remark == f"first use fetches {size:.0f} MB"
        assert liif.remedy == "liif-bench weights fetch liif-edsr"
        assert part(found, "lpips", "metric").remedy == "liif-bench weights fetch lpips-alex"
        assert part(found, "sample", "dataset").remark == "6 images"
        b100 = part(found, "b100", "dataset")
        assert (b100.state, b100.remedy) == ("missing", "liif-bench data fetch b100")
        assert not (tmp_path / "cache").exists()  # nothing was written

    @pytest.mark.weights
    def test_weights_that_are_there_are_checked(self, official, tmp_path):
        (tmp_path / "cache" / "weights").mkdir(parents=True)
        shutil.copy(official, tmp_path / "cache" / "weights")
        assert part(diagnose(), "liif-edsr").state == "ready"

    def test_damaged_weights_are_a_problem(self, tmp_path):
        (tmp_path / "cache" / "weights").mkdir(parents=True)
        (tmp_path / "cache" / "weights" / lookup("liif-edsr").file).write_bytes(b"damaged")
        found = diagnose()
        liif = part(found, "liif-edsr")
        assert (liif.state, liif.usable) == ("broken", False)
        assert liif.remedy == "liif-bench weights fetch liif-edsr"
        assert found.problems == (
            "model 'liif-edsr': weights liif-edsr in the cache are not as registered:"
            " liif-bench weights fetch liif-edsr",
        )

    def test_a_data_set_that_is_not_whole_says_so(self, tmp_path):
        (tmp_path / "data" / "Set5").mkdir(parents=True)
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "data" / "Set5" / "a.png")
        set5 = part(diagnose(tmp_path / "data"), "set5", "dataset")
        assert set5.state == "broken"
        assert "holds 1 HR images, but Set5 has 5" in set5.remark

    @pytest.mark.data
    def test_a_data_set_that_is_there_is_counted(self, reference_data):
        found = diagnose(reference_data)
        assert part(found, "set14", "dataset").remark == "14 images"
        assert found.data_root.path == str(reference_data.absolute())
        assert found.data_root.exists

    def test_a_sample_of_one_s_own_that_is_not_there_says_how_to_make_one(self, tmp_path):
        sample = part(diagnose(), "imagenet-sample", "dataset")
        assert (sample.state, sample.remedy) == ("missing", "")
        assert "n01440764_tench.JPEG" in sample.remark
        (tmp_path / "data" / "imagenet_sample").mkdir(parents=True)
        (tmp_path / "data" / "imagenet_sample" / "n01440764_tench.JPEG").write_bytes(b"x")
        sample = part(diagnose(tmp_path / "data"), "imagenet-sample", "dataset")
        assert (sample.state, sample.remark) == ("ready", "1 images")

    def test_a_set_of_the_hub_is_not_fetched(self):
        hard = part(diagnose(), "imagenet-hard", "dataset")
        assert (hard.state, hard.remark) == ("missing", "not there")
        assert hard.remedy == "liif-bench data fetch imagenet-hard"
        assert part(diagnose(), "imagenet", "dataset").state == "ready"
        assert part(diagnose(), "labels", "dataset").state == "ready"

    def test_a_missing_module_names_its_extra(self, monkeypatch):
        far = Entry("far", "far_away:thing", "x", requires=("json", "far_away"), extra="far")
        monkeypatch.setitem(UPSAMPLERS.builtin, "far", far)
        got = part(diagnose(), "far")
        assert (got.state, got.remark) == ("missing", "needs far_away")
        assert got.remedy == "pip install 'liif-bench[far]'"

    def test_a_missing_module_that_no_extra_brings_is_installed_by_its_name(self, monkeypatch):
        far = Entry("far", "far_away:thing", "x", requires=("far_away",))
        monkeypatch.setitem(UPSAMPLERS.builtin, "far", far)
        assert part(diagnose(), "far").remedy == "pip install far_away"

    def test_a_plug_in_is_imported_to_see_whether_it_can_be(self, plug_in):
        plug_in("class Mine: pass")
        assert part(diagnose(), "mine", "metric").remark == "plug-in of bench-sick 2.0"

    def test_a_plug_in_that_cannot_be_imported_is_listed_with_the_reason(self, plug_in):
        plug_in("import no_such_module_anywhere")
        found = diagnose()
        mine = part(found, "mine", "metric")
        assert mine.state == "broken"
        assert "ModuleNotFoundError: No module named 'no_such_module_anywhere'" in mine.remark
        assert found.problems == ()  # the default run does not use it

    def test_optional_models_of_a_suite_may_be_missing(self, monkeypatch):
        far = Entry("far", "far_away:thing", "x", requires=("far_away",), extra="far")
        monkeypatch.setitem(UPSAMPLERS.builtin, "far", far)
        parts = diagnose().parts
        suite = load_suite("sample").model_copy(update={"models": ("bicubic", "far")})
        assert lacking(suite, parts) == [
            "model 'far': needs far_away: pip install 'liif-bench[far]'"
        ]
        assert lacking(suite.model_copy(update={"optional": ("far",)}), parts) == []


class TestFacts:
    def test_the_machine(self, monkeypatch):
        monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
        machine = diagnose().machine
        assert machine.threads == torch.get_num_threads()
        assert machine.threading["OMP_WAIT_POLICY"] == "PASSIVE"
        assert 1 <= machine.cores <= os.cpu_count()
        assert machine.device == ("cuda" if torch.cuda.is_available() else "cpu")
        assert machine.precisions[:2] == ("float32", "bfloat16")
        assert 0 < machine.memory_free <= machine.memory

    def test_the_cache_is_weighed(self, tmp_path):
        assert (diagnose().cache.exists, diagnose().cache.size) == (False, 0)
        (tmp_path / "cache" / "data").mkdir(parents=True)
        (tmp_path / "cache" / "a").write_bytes(b"x" * 1000)
        (tmp_path / "cache" / "data" / "b").write_bytes(b"x" * 234)
        found = diagnose().cache
        assert (found.path, found.exists, found.size) == (str(tmp_path / "cache"), True, 1234)
        assert found.writable
        assert found.disk_free > 0

    def test_a_cache_that_cannot_be_made_is_a_problem(self, tmp_path, monkeypatch):
        (tmp_path / "file").write_text("x")
        monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "file" / "cache"))
        (problem,) = diagnose().problems
        assert "cannot be written to: set LIIF_BENCH_CACHE" in problem

    def test_packages(self):
        packages = diagnose().packages
        assert packages["torch"] == torch.__version__
        assert packages["numpy"] == np.__version__

    def test_what_is_required_and_not_there(self, monkeypatch):
        requires = ["numpy>=999", "no-such-package>=3", "also-not-there; extra == 'far'"]
        monkeypatch.setattr(metadata, "requires", lambda name: requires)
        found = diagnose()
        assert found.problems == (
            "no-such-package is not installed: pip install 'no-such-package>=3'",
        )
        assert found.remarks == (
            f"numpy is {np.__version__}, liif-bench asks for >=999: pip install 'numpy>=999'",
        )
