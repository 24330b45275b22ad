"""Bring registered weights into the cache: find the distribution, check it, take the one member.

Nothing is installed, unpacked or run. A file reaches its place in the cache only when the
distribution and the member both have their registered sha256, and it is checked again each time
it is asked for.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import os
import shutil
import ssl
import sys
import tarfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

from filelock import FileLock, Timeout

from liif_bench.errors import LiifBenchError, WeightsMismatchError, WeightsUnavailableError
from liif_bench.hashing import file_sha256
from liif_bench.paths import cache_root
from liif_bench.weights.index_settings import IndexSettings, index_settings, redact
from liif_bench.weights.registry import Distribution, WeightsFile, lookup, registry

if TYPE_CHECKING:
    from unearth import PackageFinder
    from unearth.fetchers import PyPIClient
    from unearth.finder import Source
    from unearth.link import Link

Status = Literal["cached", "missing", "mismatch"]
Advance = Callable[[int], None]
T = TypeVar("T")

_CONNECT_SECONDS = 4.0  # an unreachable host must not hold anybody up, whatever the read timeout
_PAUSES = (0.3, 1.0)  # seconds before the second and the third attempt
_CHUNK = 1 << 18


def cache_dir() -> Path:
    """The folder of fetched weights: below `LIIF_BENCH_CACHE`, or else the user's cache folder."""
    return cache_root() / "weights"


def cached_path(weights_id: str) -> Path:
    """Where the file of these weights lies, or would lie, in the cache."""
    return cache_dir() / lookup(weights_id).file


def status(weights_id: str) -> Status:
    """Whether the cached file of these weights is there and has its sha256. Needs no network."""
    weights = lookup(weights_id)
    path = cache_dir() / weights.file
    if not path.is_file():
        return "missing"
    return "cached" if file_sha256(path) == weights.sha256 else "mismatch"


def verify(ids: Iterable[str]) -> list[tuple[str, Status]]:
    """The status of each of these weights, in the given order. Needs no network."""
    return [(weights_id, status(weights_id)) for weights_id in ids]


def ensure(weights_id: str, *, progress: bool = True) -> Path:
    """The checked file of these weights, fetched first if the cache lacks it.

    Args:
        weights_id: Id in the registry.
        progress: Whether to draw a progress bar (on stderr, and only on a terminal).

    Returns:
        Path of the cached file, whose sha256 has just been checked.

    Raises:
        LiifBenchError: No weights have this id.
        WeightsMismatchError: The cached or the fetched file has another sha256.
        WeightsUnavailableError: The file is not cached and cannot be fetched or stored.
    """
    weights = lookup(weights_id)
    path = cache_dir() / weights.file
    if not path.is_file():
        return fetch(weights_id, progress=progress)
    actual = file_sha256(path)
    if actual != weights.sha256:
        raise WeightsMismatchError(
            f"{weights_id}: {path} has sha256 {actual}, expected {weights.sha256}: "
            f"delete it, or run `liif-bench weights fetch {weights_id}` to get it again"
        )
    return path


def fetch(weights_id: str, *, force: bool = False, progress: bool = True) -> Path:
    """Put the file of these weights into the cache, in place of a damaged one if need be.

    One download serves every registered member of its distribution that the cache lacks.
    Processes that want the same distribution at once wait for one download.

    Args:
        weights_id: Id in the registry.
        force: Whether to fetch even a file that is cached and whole.
        progress: Whether to draw a progress bar (on stderr, and only on a terminal).

    Returns:
        Path of the cached file.

    Raises:
        LiifBenchError: No weights have this id, or the index settings cannot be understood.
        WeightsMismatchError: What the index serves has another sha256; nothing was stored.
        WeightsUnavailableError: The file cannot be fetched or stored.
    """
    weights = lookup(weights_id)
    path = cache_dir() / weights.file
    if status(weights_id) == "cached" and not force:
        return path
    with _cache_errors(), _workspace(weights.distribution) as folder:
        if force or status(weights_id) != "cached":  # another process may have been quicker
            archive = _download(weights, folder, progress=progress)
            _store(weights, archive)
    return path


# --- the distribution ---------------------------------------------------------------------------


def _download(weights: WeightsFile, folder: Path, *, progress: bool) -> Path:
    """Get the distribution into the folder from the first source that serves the right one."""
    from unearth import PackageFinder

    distribution = weights.distribution
    target = folder / distribution.filename
    settings = index_settings()
    mismatch: WeightsMismatchError | None = None
    reasons: list[str] = []
    with _session(settings) as session:
        # unearth's protocol of a session does not quite fit its own client
        finder = PackageFinder(cast("Any", session), ignore_compatibility=True)
        for source in _sources(settings, finder.sources):
            finder.sources = [source]
            try:
                link = _patiently(partial(_find, finder, distribution), patience=2.0)
                _patiently(partial(_transfer, session, link, distribution, target, progress))
            except WeightsMismatchError as error:
                mismatch = mismatch or error
            except LiifBenchError:
                raise
            except Exception as error:  # whatever is wrong with a source, the next may serve
                reasons.append(f"{redact(source['url'])}: {_reason(error)}")
            else:
                return target
    if mismatch:
        raise mismatch
    why = "; ".join(reasons) or "the package index settings leave no source to ask"
    raise WeightsUnavailableError(
        f"{weights.id}: cannot fetch {distribution.filename} ({why}): fetch it where there is a "
        f"network, or put {Path(weights.member).name} (sha256 {weights.sha256}) "
        f"at {cache_dir() / weights.file}"
    )


def _sources(settings: IndexSettings, default: list[Source]) -> list[Source]:
    """What to ask, one after another: local sources and find-links first."""
    sources: list[Source] = [{"url": url, "type": "find_links"} for url in settings.find_links]
    sources += default if settings.default_index else []
    sources += [{"url": url, "type": "index"} for url in settings.index_urls]
    if settings.offline:
        sources = [source for source in sources if _is_local(source["url"])]
    return sorted(sources, key=lambda source: not _is_local(source["url"]))


def _is_local(url: str) -> bool:
    return url.startswith("file:")


def _session(settings: IndexSettings) -> PyPIClient:
    """A client with the certificates, proxy, timeout and credentials of the user's settings."""
    from unearth.auth import MultiDomainBasicAuth
    from unearth.fetchers import PyPIClient

    seconds = settings.timeout
    try:
        session = PyPIClient(
            trusted_hosts=settings.trusted_hosts,
            verify=_tls(settings),
            proxy=settings.proxy,
            timeout=(min(seconds, _CONNECT_SECONDS), seconds, seconds, seconds),
            follow_redirects=True,
            event_hooks={"response": [_raise_if_busy]},
        )
    except (OSError, ValueError) as error:
        raise LiifBenchError(
            f"the certificate or proxy of your pip or uv settings does not work: {_reason(error)}"
        ) from None
    logging.getLogger("unearth.auth").addFilter(_redact_record)
    session.auth = MultiDomainBasicAuth(
        prompting=False, index_urls=settings.index_urls + settings.find_links
    )
    return session


def _tls(settings: IndexSettings) -> ssl.SSLContext | bool:
    """The user's certificates; `True` leaves the choice to the client's own defaults."""
    cert = settings.cert
    if not (cert or settings.client_cert):
        return True
    if cert and cert.is_dir():
        context = ssl.create_default_context(capath=cert)
    else:
        context = ssl.create_default_context(cafile=cert)
    if settings.client_cert:
        context.load_cert_chain(settings.client_cert)
    return context


def _redact_record(record: logging.LogRecord) -> bool:
    """Keep passwords out of unearth's debugging log, which quotes the URLs of the settings."""
    record.msg, record.args = redact(record.getMessage()), ()
    return True


def _raise_if_busy(response: Any) -> None:
    """Make a server's passing trouble an error, which unearth would take for an empty page."""
    if response.status_code == 429 or response.status_code >= 500:
        response.raise_for_status()


def _find(finder: PackageFinder, distribution: Distribution) -> Link:
    """The link to the registered file; whatever else the release holds is passed over."""
    with _complaints() as complaints:
        for package in finder.find_matches(f"{distribution.name}=={distribution.version}"):
            link: Link = package.link
            remote = link.parsed.scheme in ("http", "https")
            allowed = remote or (link.is_file and _is_local(finder.sources[0]["url"]))
            if allowed and link.filename == distribution.filename:
                return link
    raise LookupError(complaints[-1] if complaints else "does not have it")


class _Collector(logging.Handler):
    """Puts warnings about pages into a list: of an exception its text, or else the message."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "unearth.collector":
            return
        last = record.args[-1] if isinstance(record.args, tuple) and record.args else None
        self.messages.append(str(last) if isinstance(last, Exception) else record.getMessage())


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what unearth logs where it skips a page, instead of having it on stderr."""
    messages: list[str] = []
    handler = _Collector(messages)
    logger = logging.getLogger("unearth")
    logger.addHandler(handler)
    try:
        yield messages
    finally:
        logger.removeHandler(handler)


def _transfer(
    session: PyPIClient, link: Link, distribution: Distribution, target: Path, progress: bool
) -> None:
    """Stream the distribution into a file and check its sha256."""
    # As it is on the server: an archive that is decoded on the way has another sha256.
    headers = {"Accept-Encoding": "identity"}
    with (
        session.stream("GET", link.normalized, headers=headers) as response,
        _progress_bar(distribution, show=progress) as advance,
    ):
        response.raise_for_status()
        actual = _write(response.iter_raw(), target, distribution.size, advance)
    if actual != distribution.sha256:
        raise WeightsMismatchError(
            f"{distribution.filename} from {redact(link.url_without_fragment)} has sha256 "
            f"{actual}, expected {distribution.sha256}: nothing was stored; "
            f"check your package index settings"
        )


def _patiently(action: Callable[[], T], *, patience: float = float("inf")) -> T:
    """Run a network action, and again where the failure may pass.

    Args:
        action: What to do.
        patience: A failure that took longer than so many seconds is final.

    Returns:
        What the action returns.
    """
    from unearth.preparer import HTTPErrors

    for pause in _PAUSES:
        start = time.monotonic()
        try:
            return action()
        except HTTPErrors as error:
            code = _status_code(error)
            passing = code is None or code == 429 or code >= 500
            if not passing or time.monotonic() - start > patience:
                raise
        time.sleep(pause)
    return action()


def _status_code(error: Exception) -> int | None:
    code: int | None = getattr(getattr(error, "response", None), "status_code", None)
    return code


def _reason(error: Exception) -> str:
    """What went wrong, in one line without credentials."""
    if code := _status_code(error):
        return f"HTTP {code}"
    first_line = (str(error).splitlines() or [""])[0]
    return redact(first_line) or type(error).__name__


# --- the member ---------------------------------------------------------------------------------


def _store(wanted: WeightsFile, archive: Path) -> None:
    """Move the wanted member into the cache, and the archive's others that the cache lacks."""
    cache = cache_dir()
    members = [
        weights
        for weights in registry().values()
        if weights.distribution == wanted.distribution
        and (weights == wanted or not (cache / weights.file).exists())
    ]
    for weights in members:
        _extract(weights, archive)
    for weights in members:
        (archive.parent / weights.file).replace(cache / weights.file)


def _extract(weights: WeightsFile, archive: Path) -> None:
    """Copy one member out of the archive to a file beside it, and check its sha256."""
    try:
        with _open_member(archive, weights.member) as chunks:
            actual = _write(chunks, archive.parent / weights.file, weights.size, lambda _: None)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        KeyError,
        RuntimeError,  # an encrypted member, or a way of packing that is not known here
        ValueError,
        OSError,  # of the archive: what is said against the cache is an error of ours by now
    ) as error:
        raise WeightsMismatchError(
            f"{weights.id}: cannot read {weights.member} in {archive.name} ({_reason(error)}): "
            f"nothing was stored"
        ) from None
    if actual != weights.sha256:
        raise WeightsMismatchError(
            f"{weights.id}: {weights.member} in {archive.name} has sha256 {actual}, "
            f"expected {weights.sha256}: nothing was stored"
        )


@contextmanager
def _open_member(archive: Path, name: str) -> Iterator[Iterator[bytes]]:
    """The bytes of one regular file in a wheel or a source archive, piece by piece."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as zipped, zipped.open(name) as stream:
            yield iter(lambda: stream.read(_CHUNK), b"")
    else:
        with tarfile.open(archive) as tarred:
            member = tarred.extractfile(name)
            if member is None:
                raise KeyError(f"{name} is not a regular file")
            with member:
                yield iter(lambda: member.read(_CHUNK), b"")


# --- files in the cache -------------------------------------------------------------------------


@contextmanager
def _workspace(distribution: Distribution) -> Iterator[Path]:
    """An empty folder in the cache, this process's alone, gone in the end.

    What a killed process left of any distribution is removed on the way in.
    """
    downloads = cache_dir() / ".downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    mine = downloads / f"{distribution.filename}.part"
    with FileLock(mine.with_suffix(".lock")):
        for folder in downloads.glob("*.part"):
            if folder != mine:
                _remove_if_abandoned(folder)
        shutil.rmtree(mine, ignore_errors=True)
        mine.mkdir()
        try:
            yield mine
        finally:
            shutil.rmtree(mine, ignore_errors=True)


def _remove_if_abandoned(folder: Path) -> None:
    try:
        with FileLock(folder.with_suffix(".lock"), timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
    except Timeout:
        pass  # somebody is at work there


def _write(chunks: Iterable[bytes], target: Path, limit: int, advance: Advance) -> str:
    """Write a stream to disk, durably.

    Args:
        chunks: The stream.
        target: File to write.
        limit: Bytes after which the stream cannot be the right one, and reading stops.
        advance: Is told the length of each chunk.

    Returns:
        The sha256 of the stream, or a remark that it is too long.
    """
    digest = hashlib.sha256()
    length = 0
    with _cache_errors(), target.open("wb") as out:
        for chunk in chunks:
            length += len(chunk)
            if length > limit:
                return f"unknown (longer than the expected {limit} bytes)"
            digest.update(chunk)
            out.write(chunk)
            advance(len(chunk))
        out.flush()
        os.fsync(out.fileno())
    return digest.hexdigest()


@contextmanager
def _cache_errors() -> Iterator[None]:
    """Turn a disk that is full or must not be written to into an error that says so."""
    try:
        yield
    except OSError as error:
        raise WeightsUnavailableError(
            f"cannot write to the weights cache {cache_dir()}: {error.strerror or error}: "
            f"make room there, or set LIIF_BENCH_CACHE to a folder that can be written to"
        ) from None


@contextmanager
def _progress_bar(distribution: Distribution, *, show: bool) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not (show and sys.stderr.isatty())) as bar:
        task = bar.add_task(distribution.filename, total=distribution.size)
        yield lambda length: bar.advance(task, length)
