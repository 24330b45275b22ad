"""Image files of every format that is read, damaged."""

import io
import warnings

import numpy as np
import pytest
from hostile.campaign import attack, mutate, with_right_checks
from PIL import Image, ImageCms

from liif_bench.images import read_kind, read_rgb, read_size


def encoded(image, kind, **options):
    content = io.BytesIO()
    image.copy().save(content, kind, **options)
    return content.getvalue()


def seeds():
    """Small pictures in every format and mode that matters."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (13, 17, 3), dtype=np.uint8))
    layered = Image.fromarray(rng.integers(0, 256, (13, 17, 4), dtype=np.uint8))
    deep = Image.fromarray(rng.integers(0, 65536, (13, 17), dtype=np.uint16))
    inks = Image.frombytes("CMYK", (8, 8), rng.bytes(256))
    indexed = colour.quantize(16)
    exif = Image.Exif()
    exif[0x0112] = 6
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    def frames():  # anew each time: saving leaves marks on them
        return {"save_all": True, "append_images": [colour.rotate(180), colour.rotate(90)]}

    return [
        encoded(colour, "PNG", exif=exif, icc_profile=srgb),
        encoded(layered, "PNG"),
        encoded(deep, "PNG"),
        encoded(indexed, "PNG", transparency=bytes(range(0, 256, 16))),
        encoded(colour.convert("1"), "PNG"),
        encoded(colour, "PNG", **frames()),
        encoded(colour, "JPEG", exif=exif),
        encoded(colour, "JPEG", progressive=True, icc_profile=srgb),
        encoded(colour.convert("L"), "JPEG"),
        encoded(inks, "JPEG"),
        encoded(colour, "MPO", **frames()),
        encoded(colour, "WEBP"),
        encoded(layered, "WEBP", lossless=True, exif=exif),
        encoded(colour, "WEBP", **frames()),
        encoded(colour, "BMP"),
        encoded(indexed, "BMP"),
        encoded(layered, "BMP"),
        encoded(colour, "TIFF", tiffinfo={0x0112: 6}),
        encoded(deep, "TIFF"),
        encoded(deep, "TIFF", compression="tiff_lzw"),
        encoded(colour, "TIFF", compression="tiff_adobe_deflate"),
        encoded(colour, "TIFF", compression="jpeg"),
        encoded(indexed, "TIFF", compression="packbits"),
        encoded(inks, "TIFF"),
        encoded(colour, "TIFF", **frames()),
        encoded(colour, "GIF", **frames()),
    ]


def damaged(rng, good):
    content = mutate(rng, rng.choice(good), good)
    if content.startswith(b"\x89PNG") and rng.random() < 0.7:
        content = with_right_checks(content)
    return content


@pytest.mark.filterwarnings("ignore")
def test_image_files(tmp_path):
    path = tmp_path / "x.png"
    good = seeds()

    def read(content):
        path.write_bytes(content)
        format_, mode = read_kind(path)
        assert format_ in {"PNG", "JPEG", "MPO", "WEBP", "BMP", "TIFF", "GIF"}
        assert mode
        size = read_size(path)
        pixels = read_rgb(path)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (*size, 3)

    for content in good:
        read(content)
    with warnings.catch_warnings():
        tally = attack("image files", lambda rng: damaged(rng, good), read)
    assert tally.refused
    assert tally.accepted
