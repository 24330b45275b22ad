"""Bring named sets below the data root: download, check the hash, take the set's files by name.

Nothing is unpacked as it comes. A set reaches its place whole, by a rename, or not at all.
"""

from __future__ import annotations

import hashlib
import logging
import lzma
import re
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from filelock import FileLock

from liif_bench.datasets.benchmarks import Archive, Benchmark, locate, miscount
from liif_bench.datasets.layouts import read_layout
from liif_bench.datasets.verify import verify, write_listing
from liif_bench.errors import DataUnavailableError, LiifBenchError, one_line

if TYPE_CHECKING:
    from requests import RequestException
    from rich.progress import Progress, TaskID

DOWNLOADS = ".downloads"
"""Folder below the data root for archives and for sets that are not whole yet."""

_TIMEOUTS = (10.0, 60.0)  # seconds to connect, and between two pieces
_CHUNK = 1 << 18
_SLACK = 2  # how many times the stated size a download or its content may have

Opener = Callable[[], "IO[bytes] | None"]


@dataclass(frozen=True)
class Fetched:
    """What became of one named set.

    Attributes:
        benchmark: The set.
        folder: Where it lies.
        is_new: Whether it was fetched just now; otherwise it was there and whole.
        aside: Where the folder went that was in its place; None if there was none.
    """

    benchmark: Benchmark
    folder: Path
    is_new: bool
    aside: Path | None = None


def fetch(
    benchmarks: Iterable[Benchmark],
    root: Path,
    *,
    force: bool = False,
    keep_archives: bool = False,
    progress: bool = True,
) -> list[Fetched]:
    """Fetch named sets that are not below the data root yet.

    An archive that several sets share is downloaded once. What a broken-off call downloaded whole
    is used by the next. Processes that fetch below one data root wait for each other.

    Args:
        benchmarks: The sets.
        root: The data root; made if need be.
        force: Whether to fetch a set that is there, too; its folder is kept aside.
        keep_archives: Whether to leave the archives in `.downloads` below the data root.
        progress: Whether to draw a progress bar (on stderr, and only on a terminal).

    Returns:
        What became of each set, in the order given.

    Raises:
        DataUnavailableError: An archive cannot be fetched; the message says how to do it by hand.
        LiifBenchError: An archive is not the expected one; another folder is in a set's place;
            the data root cannot be written to.
    """
    wanted = tuple(dict.fromkeys(benchmarks))
    done = {} if force else _there(wanted, root)
    if len(done) < len(wanted):
        with _storage_errors(root), workspace(root) as downloads:
            done |= {} if force else _there(wanted, root)  # another process may have been quicker
            missing = [benchmark for benchmark in wanted if benchmark not in done]
            for benchmark in missing:
                _check_place(benchmark, root, force=force)
            for benchmark in missing:
                done[benchmark] = _fetch_one(benchmark, root, downloads, progress=progress)
            if not keep_archives:
                for archive in {archive for item in missing for archive in item.archives}:
                    (downloads / archive.filename).unlink()
    return [done[benchmark] for benchmark in wanted]


def _there(benchmarks: Iterable[Benchmark], root: Path) -> dict[Benchmark, Fetched]:
    """Return the sets that are there and whole."""
    return {
        benchmark: Fetched(benchmark, folder, is_new=False)
        for benchmark in benchmarks
        if (folder := locate(benchmark, root)) and not verify(benchmark, root)
    }


def _place(benchmark: Benchmark, root: Path) -> Path:
    return root / benchmark.folders[0]


def _check_place(benchmark: Benchmark, root: Path, *, force: bool) -> None:
    place = _place(benchmark, root)
    if force or not (place.exists() or place.is_symlink()):
        return
    if locate(benchmark, root) == place:
        why = verify(benchmark, root)[0]
    else:
        why = f"it holds no {benchmark.contains or 'readable folder'}"
    raise LiifBenchError(
        f"'{place}' is already there and is not the whole set ({why}): move it away, or add"
        " --force to have it kept aside"
    )


def _fetch_one(benchmark: Benchmark, root: Path, downloads: Path, *, progress: bool) -> Fetched:
    for archive in benchmark.archives:
        _download(archive, benchmark, root, downloads, progress=progress)
    staged = downloads / f"{benchmark.name}.part"
    staged.mkdir()
    hashes = _take_members(benchmark, downloads, staged)
    _check_content(benchmark, staged)
    write_listing(staged, benchmark, hashes)
    place = _place(benchmark, root)
    return Fetched(benchmark, place, is_new=True, aside=install(staged, place))


# --- the archives -------------------------------------------------------------------------------


def _download(
    archive: Archive, benchmark: Benchmark, root: Path, downloads: Path, *, progress: bool
) -> None:
    """Get an archive that has its hash into the folder of downloads, if it is not there."""
    import pooch  # type: ignore[import-untyped]
    from requests import RequestException

    by_hand = f"get it by hand and unpack it into '{root}', so that {benchmark.example} are there"
    with _quiet_pooch(), _meter(archive, show=progress) as meter:
        downloader = pooch.HTTPDownloader(
            progressbar=meter,
            chunk_size=_CHUNK,
            timeout=_TIMEOUTS,
            # As it is on the server: an archive that is decoded on the way has another hash.
            headers={"Accept-Encoding": "identity"},
        )
        try:
            pooch.retrieve(
                archive.url,
                known_hash=archive.hash,
                fname=archive.filename,
                path=downloads,
                downloader=downloader,
            )
        except RequestException as error:
            raise DataUnavailableError(
                f"{benchmark.name}: cannot fetch '{archive.url}' ({_reason(error)}): {by_hand}"
            ) from error
        except ValueError as error:  # pooch's word for a wrong hash
            raise LiifBenchError(
                f"{benchmark.name}: '{archive.url}' does not serve the expected file"
                f" ({archive.hash}), nothing was stored: {by_hand}"
            ) from error


def _reason(error: RequestException) -> str:
    import requests

    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not trusted"
    if isinstance(error, requests.exceptions.ProxyError):
        return "the proxy does not answer"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return "no connection" if isinstance(error, requests.ConnectionError) else one_line(error)


@dataclass
class _Meter:
    """The progress bar that pooch is given; it also gives up a download that does not end."""

    archive: Archive
    bar: Progress
    task: TaskID
    total: int = 0
    received: int = 0

    def update(self, count: int) -> None:
        self.received += count
        if self.received > _SLACK * self.archive.size + _CHUNK:
            raise LiifBenchError(
                f"'{self.archive.url}' serves more than the {self.archive.size} bytes of the"
                " expected file: nothing was stored"
            )
        self.bar.update(self.task, completed=self.received, total=self.total or None)

    def reset(self) -> None:
        self.received = 0

    def close(self) -> None:
        self.bar.stop()


@contextmanager
def _meter(archive: Archive, *, show: bool) -> Iterator[_Meter]:
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress

    console = Console(stderr=True)
    columns = (*Progress.get_default_columns(), DownloadColumn())
    disable = not (show and console.is_terminal)
    with Progress(*columns, console=console, transient=True, disable=disable) as bar:
        yield _Meter(archive, bar, bar.add_task(archive.filename, total=archive.size))


@contextmanager
def _quiet_pooch() -> Iterator[None]:
    """Keep pooch from announcing its downloads on stderr."""
    import pooch

    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)


# --- their members ------------------------------------------------------------------------------


def _take_members(benchmark: Benchmark, downloads: Path, staged: Path) -> dict[str, str]:
    """Copy the set's files out of its archives; return their sha256 by path in the set's folder."""
    pattern = re.compile(benchmark.members)
    left = _SLACK * sum(archive.size for archive in benchmark.archives)
    hashes: dict[str, str] = {}
    for archive in benchmark.archives:
        path = downloads / archive.filename
        with _archive_errors(path):
            for name, opener in _entries(path):
                match = pattern.fullmatch(name.removeprefix("./"))
                if match is None:
                    continue
                inside = match["path"]
                target = staged / inside
                if not target.resolve().is_relative_to(staged.resolve()):
                    raise LiifBenchError(f"'{name}' in '{path}' leads out of the set's folder")
                if inside in hashes:
                    raise LiifBenchError(f"'{name}' is in '{path}' twice")
                source = opener()
                if source is None:
                    raise LiifBenchError(f"'{name}' in '{path}' is not a regular file")
                target.parent.mkdir(parents=True, exist_ok=True)
                with source, target.open("wb") as out:
                    length, hashes[inside] = _copy(source, out, left)
                left -= length
                if left < 0:
                    raise LiifBenchError(f"'{path}' holds more than {benchmark.title} can be")
    return hashes


@contextmanager
def _archive_errors(path: Path) -> Iterator[None]:
    """Turn an archive that cannot be read into an error that says so."""
    try:
        yield
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        lzma.LZMAError,
        EOFError,
        RuntimeError,  # an encrypted member, or a way of packing that is not known here
        IndexError,  # a member without a name
        ValueError,
    ) as error:
        raise LiifBenchError(f"cannot read '{path}': {one_line(error)}") from error


def _entries(path: Path) -> Iterator[tuple[str, Opener]]:
    """Yield each member's name and what opens it; that gives None for what is no regular file."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as zipped:
            for info in zipped.infolist():
                regular = not info.is_dir() and not stat.S_ISLNK(info.external_attr >> 16)
                yield info.filename, partial(zipped.open, info) if regular else _nothing
    else:
        with tarfile.open(path) as tarred:
            for member in tarred:
                regular = member.isreg()
                yield member.name, partial(tarred.extractfile, member) if regular else _nothing


def _nothing() -> None:
    return None


def _copy(source: IO[bytes], out: IO[bytes], limit: int) -> tuple[int, str]:
    """Copy a stream until it ends or is longer than the limit; return its length and sha256."""
    digest = hashlib.sha256()
    length = 0
    while length <= limit and (block := source.read(_CHUNK)):
        digest.update(block)
        length += out.write(block)
    return length, digest.hexdigest()


def _check_content(benchmark: Benchmark, staged: Path) -> None:
    """Refuse a set that `read_benchmark` would refuse."""
    try:
        problem = miscount(benchmark, staged, read_layout(staged))
    except LiifBenchError as error:
        problem = str(error)
    if problem:
        names = ", ".join(archive.filename for archive in benchmark.archives)
        raise LiifBenchError(
            f"{benchmark.name}: {names} do not hold the set as it is described ({problem}):"
            " nothing was stored"
        )


# --- the data root ------------------------------------------------------------------------------


def install(staged: Path, place: Path) -> Path | None:
    """Move a folder to its place, by a rename.

    Args:
        staged: The folder, whole, on the same disk.
        place: Its place; a folder that is there is kept aside.

    Returns:
        Where the folder went that was there; None if there was none.

    Raises:
        OSError: It cannot be moved; what was there is there again.
    """
    aside = None
    place.parent.mkdir(parents=True, exist_ok=True)
    if place.exists() or place.is_symlink():
        numbers = range(1, 1 + len(list(place.parent.iterdir())))
        names = (place.with_name(f"{place.name}.old-{number}") for number in numbers)
        aside = next(name for name in names if not name.exists())
        place.rename(aside)
    try:
        staged.rename(place)
    except OSError:
        if aside:
            aside.rename(place)
        raise
    return aside


@contextmanager
def workspace(root: Path) -> Iterator[Path]:
    """The folder of downloads, this process's alone, without what a killed process left.

    Args:
        root: The folder that it lies in; made if need be.

    Yields:
        The folder. What is called `*.part` in it is removed at the end.

    Raises:
        OSError: It cannot be made.
    """
    downloads = root / DOWNLOADS
    downloads.mkdir(parents=True, exist_ok=True)
    with FileLock(downloads / "lock"):
        _tidy(downloads)
        try:
            yield downloads
        finally:
            _tidy(downloads)


def _tidy(downloads: Path) -> None:
    for path in downloads.glob("*.part"):
        shutil.rmtree(path)
    for path in downloads.glob("tmp*"):  # pooch's name for a download that is under way
        path.unlink()


@contextmanager
def _storage_errors(root: Path) -> Iterator[None]:
    """Turn a disk that is full or must not be written to into an error that says so."""
    try:
        yield
    except OSError as error:
        raise LiifBenchError(
            f"cannot write below the data root '{root}': {error.strerror or error}: make room"
            " there, or name another folder with --data-root"
        ) from error
