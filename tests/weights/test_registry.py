import re
import subprocess
import sys
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from liif_bench.errors import LiifBenchError
from liif_bench.weights.registry import WeightsFile, lookup, registry

ENTRIES = list(registry().values())


@pytest.mark.parametrize("weights", ENTRIES, ids=lambda weights: weights.id)
def test_every_entry_is_complete(weights: WeightsFile) -> None:
    for digest in (weights.sha256, weights.distribution.sha256):
        assert re.fullmatch(r"[0-9a-f]{64}", digest)
    assert weights.size > 0
    assert weights.distribution.size > 0
    assert weights.distribution.filename.endswith((".whl", ".tar.gz"))
    release = f"{weights.distribution.name}-{weights.distribution.version}".replace("-", "_")
    assert weights.distribution.filename.replace("-", "_").startswith(release)
    assert weights.reader in ("torch", "numpy-pickle", "ncnn")
    assert weights.licence
    assert weights.description
    assert weights.paper.startswith("arXiv:")
    assert urlsplit(weights.source).scheme == "https"


@pytest.mark.parametrize("key", [lambda w: w.id, lambda w: w.file, lambda w: w.sha256])
def test_nothing_is_registered_twice(key: Callable[[WeightsFile], str]) -> None:
    assert len({key(weights) for weights in ENTRIES}) == len(ENTRIES)


def test_cached_names_stay_in_the_cache_folder() -> None:
    assert all(re.fullmatch(r"[\w-][\w.-]*", weights.file) for weights in ENTRIES)


def test_the_design_rows_are_there() -> None:
    single = {"liif-edsr", "lpips-alex", "lpips-vgg", "dists"}
    lite = {f"efficientnet-lite{i}" for i in range(3)}
    ncnn = {
        f"{stem}.{suffix}"
        for stem in ("realesrgan-x4plus", "srmdnf-x2", "srmdnf-x3", "srmdnf-x4")
        for suffix in ("param", "bin")
    }
    assert set(registry()) == single | lite | ncnn


def test_a_callers_change_does_not_reach_the_registry() -> None:
    registry().clear()
    assert registry()


def test_an_unknown_id_names_its_neighbours() -> None:
    with pytest.raises(LiifBenchError, match=r"unknown weights 'lpips-alexnet'.*lpips-alex"):
        lookup("lpips-alexnet")


def test_listing_needs_neither_torch_nor_a_network_library() -> None:
    code = (
        "import sys; from liif_bench.weights import fetch, index_settings, registry;"
        "registry.registry();"
        "print([m for m in ('torch', 'numpy', 'unearth', 'rich', 'pip') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
