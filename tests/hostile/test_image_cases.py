"""Single images that are hostile or odd, and what becomes of each."""

import os
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hostile.campaign import stated, time_limit, with_right_checks
from hostile.test_images import encoded
from PIL import Image, ImageCms

from liif_bench.errors import LiifBenchError
from liif_bench.images import read_rgb, read_size

SIDE = 60_000


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, *chunks):
    """A PNG of RGB with chunks of its own before the pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join([chunk(b"IHDR", header), *chunks, chunk(b"IEND", b"")])


def claiming(kind):
    """A small file whose header claims 60,000 x 60,000 pixels."""
    small = Image.new("RGB", (16, 16), (1, 2, 3))
    content = bytearray(encoded(small, kind))
    if kind == "PNG":
        content[16:24] = struct.pack(">II", SIDE, SIDE)
        return with_right_checks(bytes(content))
    if kind == "JPEG":
        at = content.index(b"\xff\xc0") + 5
        content[at : at + 4] = struct.pack(">HH", SIDE, SIDE)
    elif kind == "BMP":
        content[18:26] = struct.pack("<ii", SIDE, SIDE)
    elif kind == "GIF":
        content[6:10] = struct.pack("<HH", SIDE, SIDE)
    elif kind == "TIFF":
        (start,) = struct.unpack_from("<I", content, 4)
        for entry in range(start + 2, start + 2 + 12 * content[start], 12):
            if struct.unpack_from("<H", content, entry)[0] in (256, 257):
                struct.pack_into("<HII", content, entry + 2, 4, 1, SIDE)
    else:  # WebP: an extended header before the picture
        canvas = (SIDE - 1).to_bytes(3, "little") * 2
        extended = b"VP8X" + struct.pack("<II", 10, 0) + canvas
        body = b"WEBP" + extended + bytes(content[12:])
        return b"RIFF" + struct.pack("<I", len(body)) + body
    return bytes(content)


def refused(path, reader=read_rgb):
    with time_limit(5), pytest.raises(LiifBenchError) as caught:
        reader(path)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP"])
def test_a_header_that_claims_3600_megapixels(kind, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(claiming(kind))
    words = refused(path)
    assert kind == "WEBP" or "too large" in words
    refused(path, read_size)
    stated(f"{kind} of a few hundred bytes that claims {SIDE:,} x {SIDE:,} pixels", "refused")


FLOOD = zlib.compress(bytes(256 << 20), 9)


def floods():
    """PNGs that inflate to 256 MiB: text and profile are not needed, of pixels only a few are."""
    pixels = zlib.compress(bytes(3 * 2 + 1) * 2)
    for kind, head in ((b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")):
        yield kind.decode(), png(2, 2, chunk(kind, head + FLOOD), chunk(b"IDAT", pixels))
    yield "IDAT", png(2, 2, chunk(b"IDAT", FLOOD))


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from PIL import Image
from liif_bench.errors import LiifBenchError
from liif_bench.images import read_rgb

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

small = Path(sys.argv[1]).with_name("small.png")
Image.fromarray(np.zeros((9, 9, 4), np.uint8)).save(small)
read_rgb(small)
before = peak()
for name in sys.argv[1:]:
    try:
        read_rgb(Path(name))
    except LiifBenchError:
        pass
    print(peak() - before)
"""

# Bytes a pixel: Pillow keeps RGB in four, and the array is made by way of three more.
MOST = {"RGB": 11, "L": 12, "I;16": 14, "RGBA": 21}


def test_memory_stays_bounded(tmp_path):
    """One process reads them all, the larger ones later, and says its peak after each."""
    paths, most = [], []
    for kind, content in floods():
        paths.append(tmp_path / f"{kind}.png")
        paths[-1].write_bytes(content)
        most.append(100.0)
    for mode, per_pixel in MOST.items():
        paths.append(tmp_path / f"{mode}.png")
        Image.new(mode, (20_000, 800)).save(paths[-1])
        most.append(20_000 * 800 * per_pixel / 2**20 + 20)
    assert all(path.stat().st_size < 1 << 20 for path in paths)
    argv = [sys.executable, "-c", MEASURE, *map(str, paths)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    used = [float(line) for line in done.stdout.split()]
    assert len(used) == len(most)
    for path, got, bound in zip(paths, used, most, strict=True):
        assert got < bound, (path.name, got)
    for kind, _ in floods():
        stated(f"PNG whose {kind} inflates to 256 MiB", "read or refused in under 100 MiB")
    for mode, per_pixel in MOST.items():
        case = f"PNG of 20,000 x 800 pixels, {mode}"
        stated(case, f"read, in at most {per_pixel} bytes a pixel")


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 5000), (5000, 1), (2, 3)])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_thin_images(kind, width, height, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(Image.new("RGB", (width, height), (10, 200, 30)), kind))
    pixels = read_rgb(path)
    assert pixels.shape == (height, width, 3)
    assert read_size(path) == (height, width)
    assert np.abs(pixels.astype(int) - (10, 200, 30)).max() <= 6
    stated(f"{kind} of one pixel, one row, one column", "read")


def test_a_profile_is_not_applied(tmp_path):
    """Numbers are compared as they are stored: a profile would move them, and PSNR with them."""
    values = np.random.default_rng(0).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for held in (profile, srgb, b"no profile at all"):
        Image.fromarray(values).save(tmp_path / "x.png", icc_profile=held)
        np.testing.assert_array_equal(read_rgb(tmp_path / "x.png"), values)
    stated(
        "images with an ICC profile, right, wrong or damaged", "read; the profile is not applied"
    )


def first_frames():
    frames = [Image.new("RGB", (6, 4), colour) for colour in ("red", "lime", "blue")]
    for kind in ("GIF", "PNG", "WEBP", "TIFF"):
        options = {"lossless": True} if kind == "WEBP" else {}
        yield kind, encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


@pytest.mark.parametrize(("kind", "content"), list(first_frames()))
def test_animations(kind, content, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(content)
    np.testing.assert_array_equal(read_rgb(path), np.full((4, 6, 3), (255, 0, 0)))
    stated("animated GIF, PNG and WebP, TIFF of several pages", "the first frame is read")


def test_other_images(tmp_path):
    """What tests/test_images.py holds against formulas, named here for the table."""
    path = tmp_path / "x.png"
    inks = Image.frombytes("CMYK", (16, 16), bytes([200, 100, 0, 50]) * 256)
    deep = Image.fromarray(np.full((4, 4), 25_700, np.uint16))
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([9, 9, 9, 200, 100, 50])
    exif = Image.Exif()
    exif[0x0112] = 6
    cases = {
        "CMYK JPEG": (encoded(inks, "JPEG", quality=100), (43, 124, 205)),
        "PNG of 16 bits": (encoded(deep, "PNG"), (100, 100, 100)),
        "TIFF of 16 bits": (encoded(deep, "TIFF"), (100, 100, 100)),
        "palette with a transparent colour": (
            encoded(palette, "PNG", transparency=1), (255, 255, 255)
        ),
        "EXIF orientation": (
            encoded(Image.new("RGB", (4, 2), "red"), "JPEG", exif=exif), (254, 0, 0)
        ),
    }  # fmt: skip
    outcomes = ("read as RGB", "read, rounded to 8 bits", "read, rounded to 8 bits",
                "read, flattened onto white", "applied")  # fmt: skip
    for (case, (content, colour)), outcome in zip(cases.items(), outcomes, strict=True):
        path.write_bytes(content)
        pixels = read_rgb(path)
        assert np.abs(pixels.astype(int) - colour).max() <= 3, case
        assert pixels.shape[:2] == read_size(path)
        stated(case, outcome)
    assert pixels.shape == (4, 2, 3)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF"])
def test_every_truncation(kind, tmp_path):
    noise = np.random.default_rng(2).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    whole = encoded(Image.fromarray(noise), kind)
    path = tmp_path / "x.png"
    path.write_bytes(whole)
    expected = read_rgb(path)
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        try:
            pixels = read_rgb(path)
        except LiifBenchError:
            continue
        np.testing.assert_array_equal(pixels, expected)  # the end that is missing was no pixels
    stated(f"{kind}, cut after every seventh byte", "refused, or whole where only its end is gone")


# PostScript is a program, which Pillow hands to Ghostscript; a name says nothing of the content.
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(x) (w) file\n%%EOF\n"


@pytest.mark.parametrize("kind", ["EPS", "PPM", "ICO", "PCX", "SGI", "TGA", "PDF"])
def test_formats_that_are_not_documented(kind, tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(EPS if kind == "EPS" else encoded(Image.new("RGB", (16, 16)), kind))
    assert "PNG, JPEG, WebP, BMP, TIFF, GIF" in refused(path)
    stated("PostScript, PDF, PPM, ICO, PCX, SGI, TGA named x.png", "refused; nothing is started")


def special_files(folder):
    """Things named x.png that are no files, made one after the other."""
    path = folder / "x.png"
    os.mkfifo(path)
    yield "named pipe", path
    path.unlink()
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))
        yield "socket", path
    path.unlink()
    path.mkdir()
    yield "folder", path
    path.rmdir()
    for target, name in (("/dev/zero", "link to a device"), ("x.png", "link to itself"),
                         ("nowhere", "link to nowhere")):  # fmt: skip
        path.symlink_to(target)
        yield name, path
        path.unlink()


def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    for name, path in special_files(Path()):
        for reader in (read_rgb, read_size):
            refused(path, reader)
        stated(f"{name} called x.png, as an image", "refused at once")


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "a\0b.png"])
def test_a_name_that_no_file_can_have(name, tmp_path):
    refused(tmp_path / name)
    stated("name of 300 bytes, name with a null character, as an image", "refused")


def test_a_file_that_cannot_be_read(tmp_path):
    """As root rights stop nobody; what the process has of memory can be read by no one."""
    assert "cannot be decoded" in refused(Path("/proc/self/mem"))
    stated("file whose reading fails (/proc/self/mem)", "refused")


def test_a_stream_of_nothing(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"")
    refused(path)
    with path.open("wb") as file:
        file.truncate(1 << 40)
    refused(path)
    stated("empty file, and one of a terabyte of zeros", "refused at once")
