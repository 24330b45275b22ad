import base64
import errno
import hashlib
import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from liif_bench.errors import LiifBenchError, WeightsMismatchError, WeightsUnavailableError
from liif_bench.weights.fetch import cache_dir, cached_path, ensure, fetch, status, verify
from liif_bench.weights.registry import lookup

WHEEL = "/files/toy_pair-1.0-py3-none-any.whl"
SDIST = "/files/toy_sole-2.0.tar.gz"
CLOSED = "http://127.0.0.1:9/simple"

# A process that ensures toy weights: argv is the registry file, the id, and modules to do without.
CHILD = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[3:]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from pathlib import Path
import unearth
from liif_bench.weights import fetch, registry
registry.REGISTRY_FILE = Path(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
print(fetch.ensure(sys.argv[2]))
"""


def start_child(toy: Any, weights_id: str, *without: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(toy.registry), weights_id, *without]
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n", child.communicate()[1]
    return child


def go(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("go\n")
    child.stdin.flush()


def wait_for_download(toy: Any, cache: Path, child: subprocess.Popen[str]) -> Path:
    """The unfinished distribution of a child that has begun to download it."""
    partial = cache / ".downloads" / f"{toy.wheel.name}.part" / toy.wheel.name
    while not partial.exists():
        assert child.poll() is None, child.communicate()[1]
        time.sleep(0.01)
    return partial


def stored(cache: Path) -> set[str]:
    """Everything in the cache but the locks."""
    if not cache.exists():
        return set()
    files = (path for path in cache.rglob("*") if path.suffix != ".lock")
    return {path.name for path in files} - {".downloads"}


def one_line(error: pytest.ExceptionInfo[LiifBenchError]) -> str:
    message = str(error.value)
    assert "\n" not in message
    return message


# --- from a folder ------------------------------------------------------------------------------


def test_one_download_stores_every_member(toy: Any, cache: Path) -> None:
    path = ensure("first")
    assert path == cached_path("first") == cache / "first.bin"
    assert path.read_bytes() == toy.content["first"]
    assert (cache / "second.bin").read_bytes() == toy.content["second"]
    assert stored(cache) == {"first.bin", "second.bin"}


def test_a_source_archive_is_read_too(toy: Any) -> None:
    assert ensure("sole").read_bytes() == toy.content["sole"]


def test_a_cached_file_needs_no_source(toy: Any) -> None:
    ensure("first")
    toy.wheel.unlink()
    assert ensure("second").read_bytes() == toy.content["second"]
    assert fetch("second") == cached_path("second")
    with pytest.raises(WeightsUnavailableError):
        fetch("second", force=True)


def test_status_and_verify(toy: Any, cache: Path) -> None:
    assert verify(["sole", "first"]) == [("sole", "missing"), ("first", "missing")]
    ensure("first")
    (cache / "second.bin").write_bytes(b"spoilt")
    assert [status(i) for i in ("first", "second", "sole")] == ["cached", "mismatch", "missing"]


def test_an_unknown_id_is_refused(toy: Any) -> None:
    for function in (ensure, fetch, status, cached_path):
        with pytest.raises(LiifBenchError, match="unknown weights 'frist': did you mean first"):
            function("frist")


def test_a_spoilt_cached_file_is_not_given_out(toy: Any) -> None:
    path = ensure("first")
    path.write_bytes(b"spoilt")
    with pytest.raises(WeightsMismatchError) as caught:
        ensure("first")
    message = one_line(caught)
    assert str(path) in message
    assert hashlib.sha256(b"spoilt").hexdigest() in message
    assert lookup("first").sha256 in message
    assert "delete it, or run `liif-bench weights fetch first`" in message
    assert path.read_bytes() == b"spoilt"
    assert fetch("first").read_bytes() == toy.content["first"]


def test_a_spoilt_sibling_is_left_to_its_owner(toy: Any, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / "second.bin").write_bytes(b"spoilt")
    ensure("first")
    assert status("second") == "mismatch"


def test_a_tampered_distribution_is_not_opened(toy: Any, cache: Path) -> None:
    content = bytearray(toy.wheel.read_bytes())
    content[len(content) // 2] ^= 1
    toy.wheel.write_bytes(content)
    with pytest.raises(WeightsMismatchError, match=r"toy_pair-1\.0-py3-none-any\.whl") as caught:
        ensure("first")
    assert lookup("first").distribution.sha256 in one_line(caught)
    assert stored(cache) == set()


def test_a_distribution_that_is_too_long_is_not_read_to_its_end(toy: Any, cache: Path) -> None:
    toy.wheel.write_bytes(toy.wheel.read_bytes() + b"more")
    with pytest.raises(WeightsMismatchError, match="longer than the expected"):
        ensure("first")
    assert stored(cache) == set()


def test_one_wrong_member_stores_nothing(toy: Any, cache: Path) -> None:
    toy.rewrite_registry(lookup("second").sha256, "0" * 64)
    with pytest.raises(WeightsMismatchError, match=r"toy_pair/second\.bin") as caught:
        ensure("first")
    assert "0" * 64 in one_line(caught)
    assert stored(cache) == set()


def test_a_member_that_is_too_long_is_not_stored(toy: Any, cache: Path) -> None:
    size = len(toy.content["sole"])
    toy.rewrite_registry(f"size = {size}", f"size = {size - 1}")
    with pytest.raises(WeightsMismatchError, match=f"longer than the expected {size - 1} bytes"):
        ensure("sole")
    assert stored(cache) == set()


@pytest.mark.parametrize(
    ("weights_id", "member", "other"),
    [
        ("first", "toy_pair/first.bin", "toy_pair/absent.bin"),
        ("sole", "toy_sole-2.0/sole.bin", "toy_sole-2.0/absent.bin"),
        ("sole", "toy_sole-2.0/sole.bin", "toy_sole-2.0/link.bin"),
    ],
)
def test_a_member_that_is_no_file_is_refused(
    toy: Any, cache: Path, weights_id: str, member: str, other: str
) -> None:
    toy.rewrite_registry(member, other)
    with pytest.raises(WeightsMismatchError, match=f"cannot read {other}") as caught:
        ensure(weights_id)
    one_line(caught)
    assert stored(cache) == set()


# --- sources ------------------------------------------------------------------------------------


def test_a_broken_source_does_not_hide_the_others(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    (spoilt / toy.wheel.name).write_bytes(b"spoilt")
    sources = ["file:///no/such/folder", str(spoilt), str(toy.links)]
    monkeypatch.setenv("PIP_FIND_LINKS", " ".join(sources))
    monkeypatch.setenv("PIP_INDEX_URL", "https://[broken")
    assert ensure("first").read_bytes() == toy.content["first"]


def test_without_a_network_one_line_says_what_to_do(
    toy: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", CLOSED.replace("//", "//me:secret@"))
    with pytest.raises(WeightsUnavailableError) as caught:
        ensure("first")
    message = one_line(caught)
    assert "first.bin" in message
    assert lookup("first").sha256 in message
    assert str(cache / "first.bin") in message
    assert "http://***@127.0.0.1:9/simple: " in message
    assert "refused" in message
    assert "secret" not in message
    assert stored(cache) == set()


def test_a_file_placed_by_hand_is_as_good_as_a_fetched_one(
    toy: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(WeightsUnavailableError, match="settings leave no source to ask"):
        ensure("first")
    (cache / "first.bin").write_bytes(toy.content["first"])
    assert ensure("first") == cache / "first.bin"


def test_a_source_without_the_release_says_so(toy: Any) -> None:
    toy.wheel.unlink()
    with pytest.raises(WeightsUnavailableError, match=f"{toy.links.as_uri()}: does not have it"):
        ensure("first")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("PIP_CERT", "/no/such/ca.pem"),
        ("PIP_CLIENT_CERT", "/no/such/me.pem"),
        ("PIP_PROXY", "gopher://host"),
    ],
)
def test_a_certificate_or_proxy_that_does_not_work_is_an_error(
    toy: Any, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    with pytest.raises(LiifBenchError, match="certificate or proxy of your pip or uv settings"):
        ensure("first")


def test_certificates_may_be_a_folder(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", str(tmp_path))
    assert ensure("first").read_bytes() == toy.content["first"]


def test_a_proxy_of_the_settings_is_asked(
    toy: Any, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://localhost/simple")  # nobody is there
    monkeypatch.setenv("PIP_PROXY", index.url.removesuffix("/simple"))
    assert ensure("first").read_bytes() == toy.content["first"]
    proxied = f"http://localhost{WHEEL}"
    assert index.requests == {"http://localhost/simple/toy-pair/": 1, proxied: 1}


# --- an index -----------------------------------------------------------------------------------


def test_an_index_is_asked_once_for_the_file(toy: Any, index: Any) -> None:
    assert ensure("first").read_bytes() == toy.content["first"]
    assert ensure("second").read_bytes() == toy.content["second"]
    assert index.requests == {"/simple/toy-pair/": 1, WHEEL: 1}


def test_passing_failures_are_tried_again(toy: Any, index: Any) -> None:
    index.next("/simple/toy-pair/", status=503)
    index.next("/simple/toy-pair/", status=429)
    index.next(WHEEL, sent=100)
    index.next(WHEEL, status=502)
    assert ensure("first").read_bytes() == toy.content["first"]
    assert index.requests == {"/simple/toy-pair/": 3, WHEEL: 3}


def test_a_lasting_failure_is_reported(toy: Any, index: Any, cache: Path) -> None:
    for _ in range(3):
        index.next(WHEEL, status=500)
    with pytest.raises(WeightsUnavailableError, match=rf"{index.url}: HTTP 500"):
        ensure("first")
    index.next(WHEEL, status=403)
    with pytest.raises(WeightsUnavailableError, match=rf"{index.url}: HTTP 403"):
        ensure("first")
    assert index.requests[WHEEL] == 4
    assert stored(cache) == set()


def test_an_index_without_the_project_says_so(toy: Any, index: Any, capfd: Any) -> None:
    index.next("/simple/toy-pair/", status=404)
    with pytest.raises(WeightsUnavailableError, match=r"Client Error\(404\)") as caught:
        ensure("first")
    one_line(caught)
    assert capfd.readouterr() == ("", "")


def test_redirects_are_followed(toy: Any, index: Any) -> None:
    index.next("/simple/toy-pair/", status=302, headers={"Location": "/moved/toy-pair/"})
    index.next(WHEEL, status=307, headers={"Location": WHEEL})
    assert ensure("first").read_bytes() == toy.content["first"]
    assert index.requests == {"/simple/toy-pair/": 1, "/moved/toy-pair/": 1, WHEEL: 2}


def test_an_archive_is_not_decoded_on_the_way(toy: Any, index: Any) -> None:
    index.next(SDIST, headers={"Content-Encoding": "gzip"})
    assert ensure("sole").read_bytes() == toy.content["sole"]
    assert index.encodings[SDIST] == "identity"


def test_credentials_of_the_settings_are_used_and_not_shown(
    toy: Any, index: Any, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    caplog.set_level("DEBUG")
    index.login = "Basic " + base64.b64encode(b"me:secret").decode()
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:wrong@"))
    with pytest.raises(WeightsUnavailableError) as caught:
        ensure("first")
    assert "wrong" not in one_line(caught)
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//me:secret@"))
    ensure("first")
    assert "toy-pair" in caplog.text
    assert "secret" not in caplog.text
    assert "wrong" not in caplog.text


def test_offline_means_that_nobody_is_asked(
    toy: Any, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    with pytest.raises(WeightsUnavailableError, match="settings leave no source to ask"):
        ensure("first")
    monkeypatch.setenv("PIP_FIND_LINKS", str(toy.links))
    assert ensure("first").read_bytes() == toy.content["first"]
    assert not index.requests


def test_an_index_cannot_point_at_local_files(
    toy: Any, index: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = toy.links / "toy_pair.html"
    page.write_text(f'<a href="{toy.wheel.as_uri()}">x</a>')
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", index.url.replace("/simple", "/files/toy_pair.html"))
    with pytest.raises(WeightsUnavailableError, match="does not have it"):
        ensure("first")
    assert index.requests["/files/toy_pair.html"] == 1


# --- progress -----------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("terminal", "progress"), [(True, True), (True, False), (False, True)])
def test_progress_is_drawn_on_a_terminal_only(
    toy: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any, terminal: bool, progress: bool
) -> None:
    screen = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    fetch("first", progress=progress)
    assert (toy.wheel.name in screen.getvalue()) == (terminal and progress)
    assert bool(screen.getvalue()) == (terminal and progress)
    assert capsys.readouterr().out == ""


# --- disks --------------------------------------------------------------------------------------


def test_a_cache_that_cannot_be_made_is_one_line(
    toy: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(WeightsUnavailableError, match="cannot write to") as caught:
        ensure("first")
    assert "LIIF_BENCH_CACHE" in one_line(caught)


def test_a_full_disk_is_one_line_and_leaves_nothing(
    toy: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WeightsUnavailableError, match="No space left on device") as caught:
        ensure("first")
    one_line(caught)
    assert stored(cache) == set()


def test_the_cache_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LIIF_BENCH_CACHE", "here")
    assert cache_dir() == tmp_path / "here" / "weights"
    monkeypatch.setenv("LIIF_BENCH_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    if sys.platform.startswith("linux"):
        assert cache_dir() == tmp_path / "liif-bench" / "weights"


# --- processes ----------------------------------------------------------------------------------


def test_two_processes_at_once_download_once(toy: Any, index: Any) -> None:
    both_at_it = threading.Event()
    index.next(WHEEL, sent=100, hold=both_at_it)
    ids = ["first", "second"]
    children = [start_child(toy, weights_id) for weights_id in ids]
    for child in children:
        go(child)
    threading.Timer(0.5, both_at_it.set).start()
    paths = [child.communicate(timeout=60)[0].strip() for child in children]
    assert [Path(path).read_bytes() for path in paths] == [toy.content[i] for i in ids]
    assert index.requests[WHEEL] == 1


def test_a_killed_download_leaves_nothing_that_counts(toy: Any, index: Any, cache: Path) -> None:
    killed = threading.Event()
    index.next(WHEEL, sent=100, hold=killed)
    child = start_child(toy, "first")
    go(child)
    partial = wait_for_download(toy, cache, child)
    child.send_signal(signal.SIGKILL)
    child.communicate()
    killed.set()
    assert partial.exists()
    assert verify(["first", "second"]) == [("first", "missing"), ("second", "missing")]
    ensure("sole")  # another distribution's download clears it away
    assert stored(cache) == {"sole.bin"}
    assert ensure("first").read_bytes() == toy.content["first"]


def test_a_download_under_way_is_not_cleared_away(toy: Any, index: Any, cache: Path) -> None:
    go_on = threading.Event()
    index.next(WHEEL, sent=100, hold=go_on)
    child = start_child(toy, "first")
    go(child)
    partial = wait_for_download(toy, cache, child)
    ensure("sole")
    assert partial.exists()
    go_on.set()
    assert child.communicate(timeout=60)[0].strip() == str(cache / "first.bin")


def test_pip_is_not_needed(toy: Any) -> None:
    child = start_child(toy, "first", "pip", "setuptools", "torch")
    out, err = child.communicate("go\n", timeout=60)
    assert out.strip() == str(cached_path("first")), err
    assert status("first") == "cached"


# --- the real thing -----------------------------------------------------------------------------


@pytest.mark.weights
@pytest.mark.parametrize(
    ("weights_id", "also"), [("liif-edsr", set()), ("lpips-alex", {"lpips-vgg.ckpt"})]
)
def test_registered_weights_come_through_the_users_index(
    cache: Path, weights_id: str, also: set[str], capfd: Any
) -> None:
    path = ensure(weights_id)
    assert path.stat().st_size == lookup(weights_id).size
    assert status(weights_id) == "cached"
    assert stored(cache) == {path.name} | also
    assert capfd.readouterr() == ("", "")
