"""What is released: the wheel, the sdist, their version, their types, and what CI pins."""

import importlib.util
import json
import os
import re
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from commands import call_process
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import liif_bench
from liif_bench.shipped import tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
MIB = 1 << 20

# One of each kind of file that is no module and without which some command does not work.
DATA_FILES = {
    "py.typed",
    "analysis/gate.toml",
    "datasets/benchmarks.toml",
    "datasets/imagenet_classes.txt",
    "metrics/realism/composite.toml",
    "metrics/realism/photograph.json",
    "reports/html/report.html.j2",
    "reports/html/style.css",
    "reports/html/viewer.js",
    "suites/sample.toml",
    "suites/protocols/liif-benchmark.toml",
    "suites/references/liif.toml",
    "weights/registry.toml",
}

CONSUMER = """
from pathlib import Path
from typing import assert_type

import liif_bench

run = liif_bench.run("sample", scales=[2, 4])
assert_type(run, liif_bench.Run)
assert_type(run.path, Path)
liif_bench.load_upsampler(4)  # an error, which is there only where the types are read
"""


def build(source, kind, folder):
    """Build the wheel or the sdist of a source tree, without a network, and return its path."""
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)],
        capture_output=True,
        text=True,
        cwd=source,
    )
    assert done.returncode == 0, done.stderr
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the checkout."""
    return build(ROOT, "wheel", tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The sdist of the checkout."""
    return build(ROOT, "sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist, tmp_path_factory):
    """The folder that the sdist unpacks to."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (top,) = folder.iterdir()
    return top


def content(path):
    """The files of a wheel by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def tracked():
    """The files of the checkout that git knows."""
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        pytest.skip("not a checkout of git")
    return {name for name in done.stdout.splitlines() if (ROOT / name).is_file()}


def test_the_wheel_holds_every_file_of_the_package_and_the_suites(wheel):
    inside = {name for name in content(wheel) if ".dist-info/" not in name}
    packaged = {name for name in tracked() if name.startswith("liif_bench/")}
    suites = {f"liif_bench/{name}" for name in tracked() if name.startswith("suites/")}
    assert packaged | suites <= inside
    assert {f"liif_bench/{name}" for name in DATA_FILES} <= inside


def test_the_wheel_holds_nothing_but_the_package(wheel):
    for name in content(wheel):
        assert name.startswith(("liif_bench/", "liif_bench-"))
        assert "__pycache__" not in name
    assert wheel.stat().st_size < 1 * MIB


def test_a_wheel_of_the_sdist_is_the_wheel_of_the_checkout(wheel, unpacked, tmp_path):
    again = build(unpacked, "wheel", tmp_path)
    assert again.name == wheel.name
    assert content(again) == content(wheel)


def test_the_sdist_holds_the_tests_and_what_they_read_and_nothing_heavy(sdist, unpacked):
    inside = {str(path.relative_to(unpacked)) for path in unpacked.rglob("*") if path.is_file()}
    outside = {name for name in tracked() if not name.startswith("reports/")}
    assert outside <= inside
    assert inside - outside <= {"PKG-INFO", ".gitignore"}
    assert not [name for name in inside if name.startswith(("reports/", "shared/"))]
    assert sdist.stat().st_size < 4 * MIB
    assert max(path.stat().st_size for path in unpacked.rglob("*")) < MIB


def test_the_version_is_the_same_wherever_it_stands(wheel, sdist, photo_folder, tmp_path):
    version = liif_bench.__version__
    assert wheel.name == f"liif_bench-{version}-py3-none-any.whl"
    assert sdist.name == f"liif_bench-{version}.tar.gz"
    (described,) = (text for name, text in content(wheel).items() if name.endswith("/METADATA"))
    assert f"\nVersion: {version}\n" in described.decode()
    assert metadata.version("liif-bench") == version
    assert call_process("--version").stdout == f"liif-bench {version}\n"
    liif_bench.run(
        scales=[2],
        models=["nearest"],
        metrics=["psnr"],
        data=[f"folder:{photo_folder(1)}"],
        out=tmp_path / "run",
        progress=False,
    )
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["versions"]["liif-bench"] == version


def test_the_version_is_written_once():
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT
    version = re.escape(liif_bench.__version__)
    written = [
        name
        for name in tracked()
        if name.startswith("liif_bench/")
        and name.endswith(".py")
        and re.search(rf"[\"']{version}[\"']", (ROOT / name).read_text(encoding="utf-8"))
    ]
    assert written == ["liif_bench/__init__.py"]


def test_types_are_read_from_the_installed_wheel(wheel, tmp_path):
    pytest.importorskip("mypy")
    place = tmp_path / "environment"
    venv.create(place, with_pip=False, symlinks=os.name != "nt")
    (site,) = place.glob("[Ll]ib/**/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (tmp_path / "consumer.py").write_text(CONSUMER)
    python = place / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python),
         "--python-version", "3.11", "consumer.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )  # fmt: skip
    errors = done.stdout.splitlines()
    assert len(errors) == 2, done.stdout + done.stderr  # and a line that counts them
    assert 'Argument 1 to "load_upsampler" has incompatible type "int"' in errors[0]


# --- what CI pins -------------------------------------------------------------------------------

FREE = {"torch", "torchvision"}  # .ci/lock says why


def pins():
    """The requirements of the lock by name."""
    found = {}
    for line in (ROOT / ".ci" / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line)
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def asked():
    """What pyproject.toml asks for, with all extras."""
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    return [Requirement(line) for group in groups for line in group]


@pytest.mark.parametrize("python", ["3.10", "3.11", "3.12", "3.13", "3.14"])
def test_the_lock_pins_what_the_project_asks_for(python):
    machine = {"python_version": python, "python_full_version": f"{python}.0"}
    for requirement in asked():
        name = canonicalize_name(requirement.name)
        if name in FREE or (requirement.marker and not requirement.marker.evaluate(machine)):
            continue
        pinned = [
            pin.specifier
            for pin in pins().get(name, [])
            if pin.marker is None or pin.marker.evaluate(machine)
        ]
        assert len(pinned) == 1, f"{requirement}: run .ci/lock"
        (exact,) = pinned[0]
        assert exact.operator == "=="
        assert requirement.specifier.contains(exact.version, prereleases=True), requirement


def test_the_lock_names_no_place_and_leaves_torch_to_the_machine():
    text = (ROOT / ".ci" / "constraints.txt").read_text()
    assert "://" not in text
    assert not re.search(r"^\s*-", text, re.MULTILINE)  # neither options nor index addresses
    assert not FREE & set(pins())
    assert not [name for name in pins() if name.startswith(("nvidia-", "cuda-", "triton"))]


# --- known vulnerabilities ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def auditing():
    """The module `.ci/audit.py`."""
    spec = importlib.util.spec_from_file_location("ci_audit", ROOT / ".ci" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# As pip-audit 2.10 writes them.
HARMLESS = {"name": "rich", "version": "15.0.0", "vulns": []}
HOLED = {
    "name": "jinja2",
    "version": "2.4.1",
    "vulns": [
        {"id": "PYSEC-2014-8", "fix_versions": ["2.7.2"], "aliases": [], "description": "..."},
        {"id": "PYSEC-2019-1", "fix_versions": [], "aliases": [], "description": "..."},
    ],
}
UNKNOWN = {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited"}


def test_a_known_vulnerability_fails_the_gate_and_is_named(auditing):
    code, said = auditing.judge({"dependencies": [HARMLESS, HOLED, UNKNOWN], "fixes": []})
    assert code == 1
    assert said.splitlines() == [
        "2 packages audited, 2 known vulnerabilities",
        "jinja2 2.4.1: PYSEC-2014-8, mended in 2.7.2",
        "jinja2 2.4.1: PYSEC-2019-1, mended in no release",
        "not known to the service: ours",
    ]
    assert auditing.judge({"dependencies": [HARMLESS]}) == (
        0, "1 packages audited, 0 known vulnerabilities",
    )  # fmt: skip


def test_a_service_that_knows_no_package_is_no_clean_bill(auditing):
    code, said = auditing.judge({"dependencies": [UNKNOWN, UNKNOWN], "fixes": []})
    assert code == 0
    assert said == "not audited: the service that answers knows none of 2 packages"


@pytest.mark.skipif(os.name == "nt", reason="stands in for pip-audit by a shell script")
def test_a_service_out_of_reach_is_said_in_one_line_and_the_gate_goes_on(
    auditing, tmp_path, monkeypatch
):
    program = tmp_path / "pip-audit"
    program.write_text("#!/bin/sh\necho 'ERROR: cannot connect' >&2\necho tip >&2\nexit 1\n")
    program.chmod(0o755)
    assert auditing.audit(str(program), ".") == (0, "not audited: ERROR: cannot connect")
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    monkeypatch.setattr(auditing, "SECONDS", 0.2)
    code, said = auditing.audit(str(program), ".")
    assert code == 0
    assert said.startswith("not audited: the advisory service did not answer within")


# --- how it is released -------------------------------------------------------------------------


def test_the_release_workflow_publishes_what_it_checked_without_a_password():
    text = (ROOT / ".github" / "workflows" / "release.yml").read_text()
    workflow = yaml.safe_load(text)
    jobs = workflow["jobs"]
    assert workflow["permissions"] == {"contents": "read"}
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"]["id-token"] == "write"  # trusted publishing
    assert "secrets." not in text
    assert "password" not in text
    steps = "\n".join(step.get("run", "") for step in jobs["build"]["steps"])
    for command in (".ci/constraints.txt", "python -m build", "cyclonedx-py environment"):
        assert command in steps


def test_the_pages_of_a_release_name_what_there_is():
    text = (ROOT / "docs" / "releasing.md").read_text() + (ROOT / "SECURITY.md").read_text()
    for name in re.findall(r"`((?:\.ci|\.github|docs|liif_bench|tests)/[\w./-]+)`", text):
        assert (ROOT / name).exists(), name
    for extra in re.findall(r"'\.\[(\w+)\]'", text):
        assert extra in PROJECT["optional-dependencies"]
