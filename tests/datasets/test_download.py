"""Toy benchmark sets in archives, a description of them, and a server on loopback."""

import hashlib
import io
import json
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from liif_bench.datasets.base import check_pairs
from liif_bench.datasets.benchmarks import read_benchmark, read_benchmarks
from liif_bench.datasets.download import DOWNLOADS, fetch
from liif_bench.datasets.verify import LISTING, verify
from liif_bench.errors import DataUnavailableError, LiifBenchError

DESCRIPTION = """
[archives.both]
url = "{url}/both.tar"
hash = "md5:{both_md5}"
size = {both_size}

[archives.high]
url = "{url}/high.zip"
hash = "sha256:{high_sha256}"
size = {high_size}

[archives.low]
url = "{url}/low.zip"
hash = "sha256:{low_sha256}"
size = {low_size}

[[set]]
name = "two"
title = "Two"
images = 2
scales = [2, 3]
folders = ["Two", "both/Two"]
archives = ["both"]
members = 'both/Two/(?P<path>.+\\.png)'
example = "both/Two/HR/a.png, both/Two/LR_bicubic/X2/ax2.png"
citation = "nobody"
licence = "none"

[[set]]
name = "one"
title = "One"
images = 1
scales = [2]
folders = ["One", "both/One"]
archives = ["both"]
members = 'both/One/(?P<path>.+\\.png)'
example = "both/One/HR/a.png"
citation = "nobody"
licence = "none"

[[set]]
name = "zipped"
title = "Zipped"
images = 2
scales = [2]
folders = ["Zipped", "."]
contains = "DIV2K_valid_HR"
archives = ["high", "low"]
members = '(?P<path>DIV2K_valid_(HR|LR_bicubic/X2)/[\\w-]+\\.png)'
example = "DIV2K_valid_HR/1.png, DIV2K_valid_LR_bicubic/X2/1x2.png"
citation = "nobody"
licence = "none"
"""


def png(level, size=(12, 18)):
    """A grey image as the bytes of a PNG file."""
    content = io.BytesIO()
    Image.fromarray(np.full((*size, 3), level, np.uint8)).save(content, "png")
    return content.getvalue()


def tar_of(files):
    """A tar archive, as bytes, of contents (or ready TarInfo members) by name."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, value in files:
            if isinstance(value, tarfile.TarInfo):
                archive.addfile(value)
            else:
                info = tarfile.TarInfo(name)
                info.size = len(value)
                archive.addfile(info, io.BytesIO(value))
    return content.getvalue()


def zip_of(files):
    """A zip archive, as bytes, of contents by name (a str or a ZipInfo)."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, value in files:
            archive.writestr(name, value)
    return content.getvalue()


def both_files():
    """Members of the archive that two sets share, with one that belongs to neither."""
    files = [("both/README.txt", b"read me"), ("both/Three/HR/a.png", png(0))]
    for number, name in enumerate("ab"):
        files.append((f"both/Two/HR/{name}.png", png(10 + number)))
        for scale in (2, 3):
            low = png(10 * scale + number, (12 // scale, 18 // scale))
            files.append((f"both/Two/LR_bicubic/X{scale}/{name}x{scale}.png", low))
    files += [
        ("both/One/HR/a.png", png(50)),
        ("./both/One/LR_bicubic/X2/ax2.png", png(51, (6, 9))),
        ("both/Two/bin/HR/a.pt", b"a pickle"),
    ]
    return files


class Server:
    """Serves files over HTTP and counts what is asked for."""

    def __init__(self):
        self.files = {}
        self.requests = Counter()
        self.encodings = set()
        self.status = 200
        self.declared = {}  # length that the header states, where it is not the true one
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.lstrip("/")
                server.requests[name] += 1
                server.encodings.add(self.headers["Accept-Encoding"])
                found = name in server.files
                self.send_response(server.status if found else 404)
                body = server.files.get(name, b"")
                self.send_header("Content-Length", str(server.declared.get(name, len(body))))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch):
    """A server on loopback, and no proxy in between."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running = Server()
    yield running
    running.close()


@pytest.fixture
def publish(server, tmp_path):
    """A function that puts archives on the server and returns the sets described there."""

    def put(both=None, high=None, low=None):
        high_files = [(f"DIV2K_valid_HR/{n}.png", png(n)) for n in (1, 2)]
        low_files = [(f"DIV2K_valid_LR_bicubic/X2/{n}x2.png", png(n + 10, (6, 9))) for n in (1, 2)]
        server.files = {
            "both.tar": both or tar_of(both_files()),
            "high.zip": high or zip_of(high_files),
            "low.zip": low or zip_of(low_files),
        }
        facts = {"url": server.url}
        for name, content in server.files.items():
            stem = name.partition(".")[0]
            facts[f"{stem}_md5"] = hashlib.md5(content).hexdigest()
            facts[f"{stem}_sha256"] = hashlib.sha256(content).hexdigest()
            facts[f"{stem}_size"] = len(content)
        description = tmp_path / "sets.toml"
        description.write_text(DESCRIPTION.format(**facts))
        return read_benchmarks(description)

    return put


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


def fetch_all(sets, root, *names, **options):
    return fetch([sets[name] for name in names], root, progress=False, **options)


def refusal(sets, root, *names, kind=LiifBenchError, **options):
    with pytest.raises(kind) as error:
        fetch_all(sets, root, *names, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def files_below(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def stored(root):
    """What lies below the data root, the lock aside."""
    return files_below(root) - {f"{DOWNLOADS}/lock"}


TWO = {
    LISTING,
    *(f"HR/{name}.png" for name in "ab"),
    *(f"LR_bicubic/X{scale}/{name}x{scale}.png" for scale in (2, 3) for name in "ab"),
}


# What is fetched


def test_a_set_is_fetched_and_can_be_read(publish, root):
    sets = publish()
    (done,) = fetch_all(sets, root, "two")
    assert (done.benchmark.name, done.folder, done.is_new) == ("two", root / "Two", True)
    assert stored(root) == {f"Two/{name}" for name in TWO}
    items = read_benchmark(sets["two"], root)
    assert [item.name for item in items] == ["a", "b"]
    assert [int(item.read_lr(3.0)[0, 0, 0]) for item in items] == [30, 31]
    check_pairs(items, (2.0, 3.0))
    assert verify(sets["two"], root) == []


def test_sets_of_one_archive_are_downloaded_once(publish, root, server):
    sets = publish()
    done = fetch_all(sets, root, "two", "one", "two")
    assert [entry.benchmark.name for entry in done] == ["two", "one"]
    assert server.requests == {"both.tar": 1}
    assert stored(root) == {f"Two/{name}" for name in TWO} | {
        "One/HR/a.png",
        "One/LR_bicubic/X2/ax2.png",
        f"One/{LISTING}",
    }


def test_a_set_of_several_archives(publish, root, server):
    sets = publish()
    fetch_all(sets, root, "zipped")
    assert server.requests == {"high.zip": 1, "low.zip": 1}
    assert [item.name for item in read_benchmark(sets["zipped"], root)] == ["1", "2"]
    assert "Zipped/DIV2K_valid_LR_bicubic/X2/2x2.png" in stored(root)


def test_the_listing_says_what_was_fetched_and_from_where(publish, root, server):
    sets = publish()
    fetch_all(sets, root, "two")
    listing = json.loads((root / "Two" / LISTING).read_text())
    assert set(listing["sha256"]) == TWO - {LISTING}
    for name, sha256 in listing["sha256"].items():
        assert hashlib.sha256((root / "Two" / name).read_bytes()).hexdigest() == sha256
    assert listing["archives"] == {f"{server.url}/both.tar": sets["two"].archives[0].hash}


def test_archives_are_kept_on_request_and_used_again(publish, root, server):
    sets = publish()
    fetch_all(sets, root, "two", keep_archives=True)
    assert (root / DOWNLOADS / "both.tar").read_bytes() == server.files["both.tar"]
    fetch_all(sets, root, "one")
    assert server.requests == {"both.tar": 1}
    assert not (root / DOWNLOADS / "both.tar").exists()


def test_archives_are_not_decoded_on_the_way(publish, root, server):
    fetch_all(publish(), root, "two")
    assert server.encodings == {"identity"}


# What is there


def test_a_set_that_is_there_is_left_alone(publish, root, server):
    sets = publish()
    fetch_all(sets, root, "two")
    before = (root / "Two/HR/a.png").stat()
    (done,) = fetch_all(sets, root, "two")
    assert (done.is_new, done.folder) == (False, root / "Two")
    assert (root / "Two/HR/a.png").stat() == before
    assert server.requests == {"both.tar": 1}


def test_a_set_that_was_unpacked_by_hand_is_left_alone(publish, root, server):
    sets = publish()
    root.mkdir()
    with tarfile.open(fileobj=io.BytesIO(server.files["both.tar"])) as archive:
        archive.extractall(root, filter="data")
    (done,) = fetch_all(sets, root, "two")
    assert (done.is_new, done.folder) == (False, root / "both/Two")
    assert not server.requests
    assert not (root / DOWNLOADS).exists()


def test_a_folder_in_the_set_s_place_is_not_touched(publish, root, server):
    sets = publish()
    fetch_all(sets, root, "two")
    (root / "Two/HR/a.png").unlink()
    (root / "Two/mine.txt").write_text("mine")
    before = stored(root)
    text = refusal(sets, root, "two")
    assert str(root / "Two") in text
    assert "a.png" in text
    assert "--force" in text
    assert stored(root) == before
    assert server.requests == {"both.tar": 1}


def test_force_fetches_again_and_keeps_what_was_there(publish, root):
    sets = publish()
    fetch_all(sets, root, "two")
    for number in (1, 2):
        (root / "Two/mine.txt").write_text(f"mine {number}")
        (done,) = fetch_all(sets, root, "two", force=True)
        assert done.aside == root / f"Two.old-{number}"
        assert (done.aside / "mine.txt").read_text() == f"mine {number}"
        assert files_below(root / "Two") == TWO


def test_a_folder_that_is_not_the_set_at_all(publish, root):
    sets = publish()
    (root / "Zipped/other").mkdir(parents=True)
    assert "it holds no DIV2K_valid_HR" in refusal(sets, root, "zipped")
    fetch_all(sets, root, "zipped", force=True)
    assert (root / "Zipped.old-1/other").is_dir()
    assert verify(sets["zipped"], root) == []


# What goes wrong on the way


def says_how_to_do_it_by_hand(text, sets, name, root):
    return (
        sets[name].archives[0].url in text
        and f"unpack it into '{root}'" in text
        and sets[name].example in text
    )


def test_no_network(publish, root, server):
    sets = publish()
    server.close()
    text = refusal(sets, root, "two", kind=DataUnavailableError)
    assert "no connection" in text
    assert says_how_to_do_it_by_hand(text, sets, "two", root)
    assert stored(root) == set()


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_error_of_the_server(status, publish, root, server):
    sets = publish()
    server.status = status
    text = refusal(sets, root, "two", kind=DataUnavailableError)
    assert f"HTTP {status}" in text
    assert says_how_to_do_it_by_hand(text, sets, "two", root)
    assert stored(root) == set()


def test_another_file_than_expected(publish, root, server):
    sets = publish()
    server.files["both.tar"] = tar_of(both_files()[:-1])
    text = refusal(sets, root, "two")
    assert sets["two"].archives[0].hash in text
    assert says_how_to_do_it_by_hand(text, sets, "two", root)
    assert stored(root) == set()


def test_a_connection_that_breaks_off(publish, root, server):
    sets = publish()
    server.declared["both.tar"] = len(server.files["both.tar"])
    server.files["both.tar"] = server.files["both.tar"][:1000]
    text = refusal(sets, root, "two")
    assert says_how_to_do_it_by_hand(text, sets, "two", root)
    assert stored(root) == set()


def test_a_download_that_does_not_end_is_given_up(publish, root, server):
    sets = publish()
    server.files["both.tar"] = bytes(8 << 20)
    text = refusal(sets, root, "two")
    assert "serves more than" in text
    assert sets["two"].archives[0].url in text
    assert stored(root) == set()


def test_what_was_downloaded_before_a_failure_is_used_by_the_next_call(publish, root, server):
    sets = publish()
    low = server.files.pop("low.zip")
    assert "low.zip" in refusal(sets, root, "zipped", kind=DataUnavailableError)
    assert stored(root) == {f"{DOWNLOADS}/high.zip"}
    server.files["low.zip"] = low
    fetch_all(sets, root, "zipped")
    assert server.requests == {"high.zip": 1, "low.zip": 2}
    assert verify(sets["zipped"], root) == []


def test_an_archive_that_was_cut_off_on_disk_is_fetched_again(publish, root, server):
    sets = publish()
    (root / DOWNLOADS).mkdir(parents=True)
    (root / DOWNLOADS / "both.tar").write_bytes(server.files["both.tar"][:99])
    fetch_all(sets, root, "two")
    assert verify(sets["two"], root) == []


def test_what_a_killed_process_left_is_cleared_away(publish, root):
    sets = publish()
    (root / DOWNLOADS / "two.part/HR").mkdir(parents=True)
    (root / DOWNLOADS / "two.part/HR/z.png").write_bytes(png(1))
    (root / DOWNLOADS / "tmpabc").write_bytes(b"half an archive")
    fetch_all(sets, root, "two")
    assert stored(root) == {f"Two/{name}" for name in TWO}


def test_a_data_root_that_cannot_be_made(publish, tmp_path):
    (tmp_path / "file").touch()
    text = refusal(publish(), tmp_path / "file", "two")
    assert f"cannot write below the data root '{tmp_path / 'file'}'" in text
    assert "--data-root" in text


def test_two_processes_at_once_download_once(publish, root, server, tmp_path):
    publish()
    code = (
        "import sys; from pathlib import Path;"
        "from liif_bench.datasets.benchmarks import read_benchmarks;"
        "from liif_bench.datasets.download import fetch;"
        "sets = read_benchmarks(Path(sys.argv[1]));"
        "fetch([sets['two']], Path(sys.argv[2]), progress=False)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "sets.toml"), str(root)]
    children = [subprocess.Popen(command) for _ in range(2)]
    assert [child.wait(120) for child in children] == [0, 0]
    assert server.requests == {"both.tar": 1}
    assert stored(root) == {f"Two/{name}" for name in TWO}


def test_nothing_is_printed(publish, root, capfd):
    fetch([publish()["two"]], root)  # with progress, but not on a terminal
    assert capfd.readouterr() == ("", "")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("progress", [True, False])
def test_progress_is_drawn_on_a_terminal_only(progress, publish, root, monkeypatch):
    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    fetch([publish()["two"]], root, progress=progress)
    assert ("both.tar" in screen.getvalue()) == progress
    assert bool(screen.getvalue()) == progress


# Archives that are not what they should be


def link(name, target, kind):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return name, info


HOSTILE = {
    "a path that climbs out": [("both/Two/../../../evil.png", png(0))],
    "an absolute path": [("both/Two//tmp/evil.png", png(0))],
    "a symbolic link": [link("both/Two/HR/c.png", "/etc/passwd", tarfile.SYMTYPE)],
    "a hard link": [link("both/Two/HR/c.png", "both/Two/HR/a.png", tarfile.LNKTYPE)],
    "a folder with the name of a file": [link("both/Two/HR/c.png", "", tarfile.DIRTYPE)],
    "a pipe": [link("both/Two/HR/c.png", "", tarfile.FIFOTYPE)],
    "a file twice": [("both/Two/HR/a.png", png(99))],
}


@pytest.mark.parametrize("extra", HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_member_is_refused(extra, publish, root, tmp_path):
    sets = publish(both=tar_of(both_files() + extra))
    text = refusal(sets, root, "two")
    assert f"'{extra[0][0]}'" in text
    assert "both.tar" in text
    assert stored(root) == {f"{DOWNLOADS}/both.tar"}
    assert not list(tmp_path.rglob("evil.png"))
    assert not Path("/tmp/evil.png").exists()


def test_members_of_other_sets_are_not_looked_at(publish, root):
    both = tar_of([*both_files(), link("both/Three/x.png", "/etc/passwd", tarfile.SYMTYPE)])
    fetch_all(publish(both=both), root, "two")
    assert stored(root) == {f"Two/{name}" for name in TWO}


def test_a_link_in_a_zip_is_refused(publish, root):
    info = zipfile.ZipInfo("DIV2K_valid_HR/1.png")
    info.external_attr = 0o120777 << 16
    sets = publish(high=zip_of([(info, "/etc/passwd"), ("DIV2K_valid_HR/2.png", png(2))]))
    assert "'DIV2K_valid_HR/1.png'" in refusal(sets, root, "zipped")


def test_a_member_that_swells_is_refused(publish, root):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("DIV2K_valid_HR/1.png", bytes(50 << 20))
    sets = publish(high=content.getvalue())
    text = refusal(sets, root, "zipped")
    assert "high.zip" in text
    assert "holds more than" in text


def test_a_damaged_member_is_refused(publish, root):
    content = bytearray(zip_of([(f"DIV2K_valid_HR/{n}.png", png(n)) for n in (1, 2)]))
    content[content.index(png(2))] ^= 1
    text = refusal(publish(high=bytes(content)), root, "zipped")
    assert "cannot read" in text
    assert "high.zip" in text


def test_an_archive_that_is_none(publish, root):
    text = refusal(publish(both=b"no archive" * 100), root, "two")
    assert f"cannot read '{root / DOWNLOADS / 'both.tar'}'" in text


@pytest.mark.parametrize("lacking", ["both/Two/HR/b.png", "both/Two/LR_bicubic/X3/bx3.png"])
def test_an_archive_that_lacks_a_file_of_the_set(lacking, publish, root):
    files = [(name, content) for name, content in both_files() if name != lacking]
    text = refusal(publish(both=tar_of(files)), root, "two")
    assert "both.tar do not hold the set as it is described" in text
    assert Path(lacking).name in text
    assert not (root / "Two").exists()


def test_an_archive_with_too_few_images(publish, root):
    files = [(name, content) for name, content in both_files() if "/b" not in name]
    text = refusal(publish(both=tar_of(files)), root, "two")
    assert "holds 1 HR images, but Two has 2" in text
    assert not (root / "Two").exists()


def test_the_first_set_stays_when_the_second_is_broken(publish, root):
    files = [(name, content) for name, content in both_files() if "One" not in name]
    sets = publish(both=tar_of(files))
    refusal(sets, root, "two", "one")
    assert verify(sets["two"], root) == []
    assert not (root / "One").exists()
