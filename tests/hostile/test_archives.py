"""Archives of data sets and of weights: members that lead elsewhere, and damaged ones."""

import hashlib
import io
import os
import tarfile
import zipfile

import pytest
from hostile.campaign import attack, mutate, stated

from liif_bench.datasets.benchmarks import Archive, Benchmark
from liif_bench.datasets.download import _storage_errors, _take_members
from liif_bench.errors import LiifBenchError, WeightsMismatchError
from liif_bench.weights.fetch import _extract
from liif_bench.weights.registry import Distribution, WeightsFile

PIXELS = b"not a picture, and not looked at here"


def benchmark(name, content):
    """A set whose archive is that content; every member may belong to it."""
    archive = Archive(f"https://localhost/{name}", "sha256:00", len(content))
    return Benchmark(
        name="hostile", title="Hostile", images=1, scales=(), folders=("hostile",),
        archives=(archive,), members="(?:set/)?(?P<path>(?s:.+))", example="x", citation="",
        licence="",
    )  # fmt: skip


def take(name, content, folder):
    """Take the members of an archive as a download does; returns what was stored."""
    downloads, staged = folder / "downloads", folder / "downloads" / "hostile.part"
    staged.mkdir(parents=True, exist_ok=True)
    (downloads / name).write_bytes(content)
    with _storage_errors(folder):
        hashes = _take_members(benchmark(name, content), downloads, staged)
    for inside, digest in hashes.items():
        assert hashlib.sha256((staged / inside).read_bytes()).hexdigest() == digest
    return hashes


def zipped(*members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data, *link in members:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (0o120777 if link else 0o100644) << 16
            archive.writestr(info, data)
    return file.getvalue()


def tarred(*members, mode="w:gz"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as archive:
        for name, data, *kind in members:
            info = tarfile.TarInfo(name)
            if kind:
                info.type, info.linkname = kind[0], data.decode()
                archive.addfile(info)
            else:
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return file.getvalue()


def everything(folder):
    """Every path below a folder, links as such."""
    found = os.walk(folder)
    return {f"{at}/{name}" for at, folders, files in found for name in folders + files}


UP, HOME = "set/../../../escaped", "/tmp/liif-bench-escaped"
CASES = {
    "zip member with ..": ("x.zip", zipped((UP, PIXELS))),
    "zip member with an absolute path": ("x.zip", zipped((HOME, PIXELS))),
    "zip member with a backslash and ..": ("x.zip", zipped(("set\\..\\..\\..\\escaped", PIXELS))),
    "zip member that is a symbolic link": ("x.zip", zipped(("set/a", b"/etc/passwd", "link"))),
    "zip members of one name": ("x.zip", zipped(("set/a", PIXELS), ("./set/a", b"other"))),
    "zip member below a file": ("x.zip", zipped(("set/a", PIXELS), ("set/a/b", PIXELS))),
    "zip member that is larger than stated": ("x.zip", zipped(("set/a", b"\0" * (1 << 24)))),
    "tar member with ..": ("x.tgz", tarred((UP, PIXELS))),
    "tar member with an absolute path": ("x.tgz", tarred((HOME, PIXELS))),
    "tar member that is a symbolic link": (
        "x.tgz", tarred(("set/a", b"/etc/passwd", tarfile.SYMTYPE))
    ),
    "tar member that is a hard link": ("x.tgz", tarred(("set/a", b"/etc/passwd", tarfile.LNKTYPE))),
    "tar link to a folder, and a member through it": (
        "x.tgz", tarred(("set/d", b"/tmp", tarfile.SYMTYPE), ("set/d/escaped", PIXELS))
    ),
    "tar member that is a device": ("x.tgz", tarred(("set/a", b"", tarfile.CHRTYPE))),
    "tar member that is a pipe": ("x.tgz", tarred(("set/a", b"", tarfile.FIFOTYPE))),
    "tar member that is larger than stated": ("x.tgz", tarred(("set/a", b"\0" * (1 << 24)))),
    "tar members of one name": ("x.tgz", tarred(("set/a", PIXELS), ("set/a", b"other"))),
}  # fmt: skip


def encrypted():
    """A zip whose one member says that it is encrypted."""
    content = bytearray(zipped(("set/a", PIXELS)))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def nameless():
    """A zip whose one member has no name: the letters of it are said to be something else."""
    content = bytearray(zipped(("abc", PIXELS)))
    place = content.index(b"PK\x01\x02")
    for at in (26, place + 28):
        content[at], content[at + 2] = 0, 3
    return bytes(content)


CASES["zip member without a name"] = ("x.zip", nameless())
CASES["zip member that is encrypted"] = ("x.zip", encrypted())
STORED_INSIDE = {"zip member with a backslash and .."}


@pytest.mark.parametrize("case", CASES)
def test_members_that_lead_elsewhere(case, tmp_path):
    """Refused, and nothing lies outside of the folder that a set is staged in."""
    inner = tmp_path / "a" / "b" / "c"
    inner.mkdir(parents=True)
    name, content = CASES[case]
    if case in STORED_INSIDE:  # a backslash is a letter of a name here
        assert take(name, content, inner)
    else:
        with pytest.raises(LiifBenchError) as caught:
            take(name, content, inner)
        assert len(str(caught.value).splitlines()) == 1
    outside = everything(tmp_path) - everything(inner / "downloads")
    assert outside == {str(tmp_path / "a"), str(tmp_path / "a/b"), str(inner), f"{inner}/downloads"}
    assert {path.name for path in (inner / "downloads").iterdir()} == {name, "hostile.part"}
    assert not os.path.lexists(HOME)
    assert not os.path.lexists("/tmp/escaped")
    stated(f"{case}, in a data set", "a file of that name inside" if case in STORED_INSIDE
           else "refused, nothing outside")  # fmt: skip


def weights_of(name, content, member, held):
    archive = Distribution("x", "1", name, hashlib.sha256(content).hexdigest(), len(content))
    return WeightsFile(
        "hostile", "", "", archive, member, hashlib.sha256(held).hexdigest(), len(held),
        "torch", "hostile.bin", "", "",
    )  # fmt: skip


def extract(name, content, folder, member="set/a", held=PIXELS):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    _extract(weights_of(name, content, member, held), folder / name)
    assert (folder / "hostile.bin").read_bytes() == held


@pytest.mark.parametrize("case", CASES)
def test_weights_in_such_archives(case, tmp_path):
    """Even where an index and the registry agreed on it: only bytes of the right hash pass."""
    name, content = CASES[case]
    name = name.replace(".zip", ".whl").replace(".tgz", ".tar.gz")
    for member in ("set/a", UP, HOME):
        with pytest.raises(WeightsMismatchError) as caught:
            extract(name, content, tmp_path / "w", member, b"what the registry states")
        assert len(str(caught.value).splitlines()) == 1
    assert everything(tmp_path) <= {
        str(tmp_path / "w"), str(tmp_path / "w" / name), str(tmp_path / "w" / "hostile.bin")
    }  # fmt: skip
    stated(f"{case}, in a distribution of weights", "refused, nothing outside")


SEEDS = [
    ("x.zip", zipped(("set/a", PIXELS), ("set/b/c", PIXELS[::-1]), ("other", b"x"))),
    ("x.tgz", tarred(("set/a", PIXELS), ("set/b/c", PIXELS[::-1]), ("other", b"x"))),
    ("x.tar", tarred(("set/a", PIXELS), ("set/b/c", PIXELS[::-1]), mode="w")),
    ("x.tar.xz", tarred(("set/a", PIXELS), ("set/b/c", PIXELS[::-1]), mode="w:xz")),
    ("x.tar.bz2", tarred(("set/a", PIXELS), ("set/b/c", PIXELS[::-1]), mode="w:bz2")),
]


def test_damaged_archives_of_data_sets(tmp_path):
    number = iter(range(10**9))

    def read(archive):
        folder = tmp_path / str(next(number))
        take(*archive, folder)

    def damaged(rng):
        name, content = rng.choice(SEEDS)
        return name, mutate(rng, content, [other for _, other in SEEDS])

    for seed in SEEDS:
        read(seed)
    assert attack("archives of data sets", damaged, read).accepted


def test_damaged_distributions_of_weights(tmp_path):
    def read(archive):
        (tmp_path / "hostile.bin").unlink(missing_ok=True)
        extract(*archive, tmp_path)

    def damaged(rng):
        name, content = rng.choice(SEEDS)
        name = name.replace(".zip", ".whl")
        return name, mutate(rng, content, [other for _, other in SEEDS])

    assert attack("distributions of weights", damaged, read).accepted
