"""What the tests of the engines share: a package of models that go wrong, and small runs."""

import importlib
import shutil
import sys
from pathlib import Path

import pytest

import liif_bench

HERE = Path(__file__).parent
MODELS = ("noop", "killed", "hanging", "slow", "nan", "leaking", "hungry", "unloadable")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """A folder with the package `faulty`, as pip would install it."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(HERE / "faulty.py", folder)
    info = folder / "faulty-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1.0\n")
    lines = ["[liif_bench.upsamplers]", *(f"{name} = faulty:{name}" for name in MODELS)]
    lines += ["[liif_bench.metrics]", "raising = faulty:Raising", "telling = faulty:Telling"]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def faulty(site, monkeypatch):
    """The package, installed for this process and those that it starts."""
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("faulty", None)


@pytest.fixture
def small_run(photo_folder, tmp_path):
    """A function that runs three small photographs, or continues the run of that name."""
    photos = f"folder:{photo_folder()}"

    def go(name="run", **wishes):
        given = {
            "scales": [2, 3], "models": ["bicubic", "nearest"], "metrics": ["psnr", "ssim"],
            "data": [photos], "device": "cpu", "progress": False,
        }  # fmt: skip
        return liif_bench.run(out=tmp_path / name, **(given | wishes))

    return go


@pytest.fixture
def journal_of():
    """A function that returns the keys that stand in a run's journal, one per line."""
    import json

    def read(run):
        lines = (run.path / "journal.jsonl").read_text().splitlines()
        return [(entry["item"], entry["scale"]) for entry in map(json.loads, lines)]

    return read
