"""Toy distributions, a registry of them, and an index on loopback that misbehaves on demand."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import threading
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from liif_bench.weights import fetch as fetch_module
from liif_bench.weights import registry as registry_module

FIRST = b"first weights " * 5000
SECOND = b"second weights " * 700
SOLE = b"sole weights " * 900


@dataclass(frozen=True)
class Toy:
    """Two distributions in a find-links folder and the registry file that knows them."""

    links: Path
    wheel: Path
    sdist: Path
    registry: Path
    content: dict[str, bytes]

    def rewrite_registry(self, old: str, new: str) -> None:
        text = self.registry.read_text()
        assert old in text
        self.registry.write_text(text.replace(old, new))
        registry_module._parse.cache_clear()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache for this test; the folder of the weights in it."""
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weights"


@pytest.fixture
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the environment nor any file says anything about package indexes."""
    for name in list(os.environ):
        if name.startswith(("PIP_", "UV_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("UV_NO_CONFIG", "1")


@pytest.fixture
def toy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path, no_settings: None
) -> Iterator[Toy]:
    """Toy weights in an empty cache, with the find-links folder as the only source."""
    links = tmp_path / "links"
    links.mkdir()
    wheel = links / "toy_pair-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("toy_pair/first.bin", FIRST)
        archive.writestr("toy_pair/second.bin", SECOND)
        archive.writestr("toy_pair/evil.py", "raise SystemExit('a member was run')")
    sdist = links / "toy_sole-2.0.tar.gz"
    with tarfile.open(sdist, "w:gz") as tar:
        info = tarfile.TarInfo("toy_sole-2.0/sole.bin")
        info.size = len(SOLE)
        tar.addfile(info, io.BytesIO(SOLE))
        link = tarfile.TarInfo("toy_sole-2.0/link.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    pair = [("first", "toy_pair/first.bin", FIRST), ("second", "toy_pair/second.bin", SECOND)]
    sole = [("sole", "toy_sole-2.0/sole.bin", SOLE)]
    text = _entry("toy-pair", "1.0", wheel, pair) + _entry("toy-sole", "2.0", sdist, sole)
    registry = tmp_path / "registry.toml"
    registry.write_text(text)
    monkeypatch.setattr(registry_module, "REGISTRY_FILE", registry)
    monkeypatch.setattr(fetch_module, "_PAUSES", (0.0, 0.0))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    content = {"first": FIRST, "second": SECOND, "sole": SOLE}
    yield Toy(links, wheel, sdist, registry, content)
    registry_module._parse.cache_clear()


def _entry(name: str, version: str, file: Path, members: list[tuple[str, str, bytes]]) -> str:
    lines = [
        "[[distribution]]",
        f'name = "{name}"\nversion = "{version}"\nfilename = "{file.name}"',
        f'sha256 = "{_sha256(file.read_bytes())}"\nsize = {file.stat().st_size}',
    ]
    for weights_id, path, content in members:
        lines += [
            "[[distribution.member]]",
            f'id = "{weights_id}"\npath = "{path}"\nfile = "{weights_id}.bin"',
            f'sha256 = "{_sha256(content)}"\nsize = {len(content)}',
            'description = "toy"\nlicence = "none"\nreader = "ncnn"\nsource = ""\npaper = ""',
        ]
    return "\n".join([*lines, ""])


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@dataclass
class Answer:
    """How to answer one request.

    Attributes:
        status: HTTP status.
        headers: Headers beside the usual ones.
        sent: How many bytes of the announced body are really sent; `None` for all.
        hold: Event to wait for after that; then the rest is sent.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    hold: threading.Event | None = None

    def give(self, handler: BaseHTTPRequestHandler, body: bytes) -> None:
        handler.send_response(self.status)
        headers = {"Content-Type": "text/html", "Content-Length": str(len(body)), **self.headers}
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body[: self.sent])
        handler.wfile.flush()
        if self.hold:
            self.hold.wait(30)
            with suppress(ConnectionError):  # the reader may have been killed
                handler.wfile.write(body[self.sent :])


@dataclass
class Index:
    """A simple index of the files of a folder.

    Attributes:
        url: Of the index.
        requests: How often each path was asked for.
        encodings: What each path was last asked to be encoded as.
        answers: For a path, how to answer the next requests.
        login: The only `Authorization` that is let in.
    """

    url: str
    requests: Counter[str] = field(default_factory=Counter)
    encodings: dict[str, str] = field(default_factory=dict)
    answers: defaultdict[str, list[Answer]] = field(default_factory=lambda: defaultdict(list))
    login: str | None = None

    def next(self, path: str, **how: Any) -> None:
        """Answer the next request of that path in a certain way."""
        self.answers[path].append(Answer(**how))


@pytest.fixture
def index(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The toy distributions on a loopback index, which is the only source."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            index.requests[self.path] += 1
            index.encodings[self.path] = self.headers["Accept-Encoding"]
            folder, _, name = self.path.rpartition("/")
            project = folder.rpartition("/")[2].replace("-", "_")
            files = [file.name for file in toy.links.iterdir()]
            if index.login and self.headers.get("Authorization") != index.login:
                self.send_error(401)
            elif name and name not in files:
                self.send_error(404)
            else:
                links = [f'<a href="/files/{file}">x</a>' for file in files if project in file]
                page = "".join(links).encode()
                queue = index.answers[self.path]
                how = queue.pop(0) if queue else Answer()
                how.give(self, (toy.links / name).read_bytes() if name else page)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = Index(f"http://127.0.0.1:{server.server_port}/simple")
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield index
    server.shutdown()
    thread.join()
    server.server_close()
