import struct
import zlib
from typing import get_args

import numpy as np
import PIL.Image
import pytest
import torch
from PIL import Image

from liif_bench.errors import LiifBenchError
from liif_bench.images import (
    EXTENSIONS,
    channels,
    read_kind,
    read_rgb,
    read_size,
    to_tensor,
    to_uint8,
    write_rgb,
)
from liif_bench.protocol import Colour

ORIENTATION = 0x0112

# What each EXIF orientation asks a viewer to do with the stored pixels.
UPRIGHT = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.fixture
def pixels():
    """No symmetry, so that no two orientations look alike."""
    return np.random.default_rng(11).integers(0, 256, (9, 14, 3), dtype=np.uint8)


def only_line(error):
    text = str(error.value)
    assert "\n" not in text
    return text


def refusal(path, reader=read_rgb):
    with pytest.raises(LiifBenchError) as error:
        reader(path)
    text = only_line(error)
    assert str(path) in text
    return text


# What is decoded


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff", "PNG"])
def test_lossless_formats_give_the_pixels_back(suffix, pixels, tmp_path):
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(pixels).save(path)
    got = read_rgb(path)
    assert got.dtype == np.uint8
    np.testing.assert_array_equal(got, pixels)
    assert read_size(path) == (9, 14)


def test_lossless_webp_gives_the_pixels_back(pixels, tmp_path):
    Image.fromarray(pixels).save(tmp_path / "x.webp", lossless=True)
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.webp"), pixels)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_formats_come_close(suffix, tmp_path):
    ramp = np.broadcast_to(np.linspace(20, 230, 64).astype(np.uint8)[:, None, None], (64, 48, 3))
    path = tmp_path / f"x.{suffix}"
    Image.fromarray(np.ascontiguousarray(ramp)).save(path, quality=95)
    assert read_rgb(path).shape == (64, 48, 3)
    assert np.abs(read_rgb(path).astype(int) - ramp).max() <= 8


def test_every_extension_of_the_package_is_a_format_that_pillow_reads():
    known = Image.registered_extensions()
    assert all(known[extension] in Image.OPEN for extension in EXTENSIONS)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_grey_becomes_three_equal_channels(suffix, pixels, tmp_path):
    Image.fromarray(pixels[..., 0]).save(tmp_path / f"g.{suffix}")
    expected = np.repeat(pixels[..., :1], 3, axis=2)
    np.testing.assert_array_equal(read_rgb(tmp_path / f"g.{suffix}"), expected)


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_one_bit_becomes_black_and_white(suffix, pixels, tmp_path):
    bits = pixels[..., 0] > 127
    Image.fromarray(bits).save(tmp_path / f"b.{suffix}")
    expected = np.repeat(bits[..., None] * np.uint8(255), 3, axis=2)
    np.testing.assert_array_equal(read_rgb(tmp_path / f"b.{suffix}"), expected)


PALETTE = np.array([[250, 0, 10], [0, 200, 20], [30, 40, 255], [90, 90, 90]], np.uint8)


def palette_image():
    indices = np.arange(20, dtype=np.uint8).reshape(4, 5) % 4
    image = Image.frombytes("P", (5, 4), indices.tobytes())
    image.putpalette(PALETTE.ravel().tolist())
    return image, indices


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_palette(suffix, tmp_path):
    image, indices = palette_image()
    image.save(tmp_path / f"p.{suffix}")
    np.testing.assert_array_equal(read_rgb(tmp_path / f"p.{suffix}"), PALETTE[indices])


def over_white(colour, alpha):
    """The compositing formula on real numbers."""
    share = alpha.astype(float)[..., None] / 255
    return colour * share + 255 * (1 - share)


def test_transparent_palette_is_flattened_onto_white(tmp_path):
    image, indices = palette_image()
    alphas = np.array([0, 85, 255, 128], np.uint8)
    image.save(tmp_path / "p.png", transparency=alphas.tobytes())
    expected = over_white(PALETTE[indices], alphas[indices])
    got = read_rgb(tmp_path / "p.png")
    assert np.abs(got - expected).max() <= 1
    np.testing.assert_array_equal(got[indices == 0], 255)
    np.testing.assert_array_equal(got[indices == 2], PALETTE[indices[indices == 2]])


@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_rgba_is_flattened_onto_white(suffix, pixels, tmp_path):
    alpha = np.arange(9 * 14, dtype=np.uint8).reshape(9, 14) * 2
    alpha[0], alpha[1] = 0, 255
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(np.dstack([pixels, alpha])).save(tmp_path / f"a.{suffix}", **options)
    got = read_rgb(tmp_path / f"a.{suffix}")
    assert np.abs(got - over_white(pixels, alpha)).max() <= 1
    np.testing.assert_array_equal(got[0], 255)
    np.testing.assert_array_equal(got[1], pixels[1])


def test_grey_with_alpha_is_flattened_onto_white(pixels, tmp_path):
    Image.fromarray(np.ascontiguousarray(pixels[..., :2])).save(tmp_path / "la.png")
    assert Image.open(tmp_path / "la.png").mode == "LA"
    expected = over_white(np.repeat(pixels[..., :1], 3, axis=2), pixels[..., 1])
    assert np.abs(read_rgb(tmp_path / "la.png") - expected).max() <= 1


@pytest.mark.parametrize("colour", [(7, 8, 9), 7])
def test_a_transparent_colour_becomes_white(colour, tmp_path):
    values = np.full((2, 3, 3), (7, 8, 9), np.uint8)
    values[0, 0] = 100
    stored = values if isinstance(colour, tuple) else np.ascontiguousarray(values[..., 0])
    Image.fromarray(stored).save(tmp_path / "t.png", transparency=colour)
    expected = np.full((2, 3, 3), 255)
    expected[0, 0] = 100
    np.testing.assert_array_equal(read_rgb(tmp_path / "t.png"), expected)


def test_cmyk_tiff(pixels, tmp_path):
    inks = np.dstack([pixels, pixels[..., 1]])
    Image.frombytes("CMYK", (14, 9), inks.tobytes()).save(tmp_path / "c.tif")
    key = 1 - inks[..., 3:] / 255
    expected = 255 * (1 - inks[..., :3] / 255) * key
    assert np.abs(read_rgb(tmp_path / "c.tif") - expected).max() <= 1


def test_cmyk_jpeg(tmp_path):
    inks = np.full((16, 16, 4), (200, 100, 0, 50), np.uint8)
    Image.frombytes("CMYK", (16, 16), inks.tobytes()).save(tmp_path / "c.jpg", quality=100)
    expected = 255 * (1 - np.array([200, 100, 0]) / 255) * (1 - 50 / 255)
    assert np.abs(read_rgb(tmp_path / "c.jpg") - expected).max() <= 3


@pytest.mark.parametrize(
    ("suffix", "options"),
    [("png", {}), ("tif", {}), ("tif", {"compression": "tiff_adobe_deflate"})],
)
def test_sixteen_bit_grey_is_rounded_to_the_nearest_level(suffix, options, tmp_path):
    values = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / f"d.{suffix}", **options)
    assert Image.open(tmp_path / f"d.{suffix}").mode.startswith("I")
    # 65535 / 255 = 257 is odd, so that no value lies between two levels
    expected = (values.astype(int) + 128) // 257
    np.testing.assert_array_equal(
        read_rgb(tmp_path / f"d.{suffix}"), np.repeat(expected[..., None], 3, axis=2)
    )


def test_big_endian_sixteen_bit_tiff(tmp_path):
    values = np.array([[0, 257, 25700, 65535]], ">u2")
    Image.frombytes("I;16B", (4, 1), values.tobytes()).save(tmp_path / "b.tif")
    np.testing.assert_array_equal(read_rgb(tmp_path / "b.tif")[0, :, 0], [0, 1, 100, 255])


def test_sixteen_bit_colour_png_is_within_a_level(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (6, 5, 3)).astype(">u2")
    (tmp_path / "c.png").write_bytes(png(5, 6, 16, 2, [row.tobytes() for row in values]))
    assert np.abs(read_rgb(tmp_path / "c.png") - values / 257).max() < 1


def png(width, height, depth, colour_type, rows):
    def chunk(kind, data):
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row for row in rows))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header)
    return start + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_the_first_of_several_frames_counts(suffix, tmp_path):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *others = (Image.new("RGB", (8, 6), colour) for colour in colours)
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"m.{suffix}"
    first.save(path, save_all=True, append_images=others, **options)
    assert Image.open(path).n_frames == 3
    np.testing.assert_array_equal(read_rgb(path), np.full((6, 8, 3), (255, 0, 0)))
    assert read_size(path) == (6, 8)


def test_pages_of_different_size(tmp_path):
    first, second = Image.new("RGB", (8, 6)), Image.new("RGB", (3, 4))
    first.save(tmp_path / "m.tif", save_all=True, append_images=[second])
    assert read_size(tmp_path / "m.tif") == read_rgb(tmp_path / "m.tif").shape[:2] == (6, 8)


# Orientation


def save_turned(pixels, path, orientation):
    image = Image.fromarray(pixels)
    if path.suffix == ".tif":
        image.save(path, tiffinfo={ORIENTATION: orientation})
        return
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image.save(path, exif=exif, **({"lossless": True} if path.suffix == ".webp" else {}))


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_orientation(orientation, suffix, pixels, tmp_path):
    plain = tmp_path / f"plain.{suffix}"
    Image.fromarray(pixels).save(plain, **({"lossless": True} if suffix == "webp" else {}))
    turned = tmp_path / f"turned.{suffix}"
    save_turned(pixels, turned, orientation)
    expected = UPRIGHT[orientation](read_rgb(plain))
    np.testing.assert_array_equal(read_rgb(turned), expected)
    assert read_size(turned) == expected.shape[:2]


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_impossible_orientation_is_ignored(orientation, pixels, tmp_path):
    save_turned(pixels, tmp_path / "x.png", orientation)
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.png"), pixels)
    assert read_size(tmp_path / "x.png") == (9, 14)


def test_sixteen_bit_grey_is_turned_too(tmp_path):
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 257
    save_turned(values, tmp_path / "x.png", 6)
    expected = np.rot90(np.arange(6).reshape(2, 3), -1)
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.png")[..., 0], expected)


# What is refused


@pytest.mark.parametrize("reader", [read_rgb, read_size])
def test_a_missing_file(reader, tmp_path):
    assert "does not exist" in refusal(tmp_path / "missing.png", reader)


@pytest.mark.parametrize("reader", [read_rgb, read_size])
@pytest.mark.parametrize(
    "content", [b"", b"\x89PNG\r\n\x1a\n", b"just some text\n", b"\xff\xd8\xff"]
)
def test_a_file_that_is_no_image(content, reader, tmp_path):
    (tmp_path / "fake.png").write_bytes(content)
    refusal(tmp_path / "fake.png", reader)


@pytest.mark.parametrize("reader", [read_rgb, read_size])
def test_a_folder_named_like_an_image(reader, tmp_path):
    (tmp_path / "x.png").mkdir()
    refusal(tmp_path / "x.png", reader)


@pytest.mark.filterwarnings("ignore:.*(Truncated|Corrupt EXIF):UserWarning")
@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "bmp", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.95])
def test_a_truncated_file(share, suffix, tmp_path):
    noise = np.random.default_rng(2).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refusal(path)


@pytest.mark.parametrize("position", [30, 45, 60])
def test_a_damaged_png(position, pixels, tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(pixels).save(path)
    content = bytearray(path.read_bytes())
    content[position] ^= 0xFF
    path.write_bytes(content)
    refusal(path)


def test_floating_point_pixels(tmp_path):
    Image.fromarray(np.ones((4, 5), np.float32)).save(tmp_path / "f.tif")
    assert "floating-point" in refusal(tmp_path / "f.tif")


@pytest.mark.parametrize("value", [65536, -1])
def test_thirty_two_bit_pixels(value, tmp_path):
    Image.fromarray(np.array([[1, value]], np.int32)).save(tmp_path / "i.tif")
    assert "32-bit" in refusal(tmp_path / "i.tif")


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("reader", [read_rgb, read_size])
@pytest.mark.parametrize("limit", [100, 10])  # Pillow warns of the first, raises at the second
def test_a_decompression_bomb(limit, reader, pixels, tmp_path, monkeypatch):
    Image.fromarray(pixels).save(tmp_path / "x.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", limit)
    assert "too large" in refusal(tmp_path / "x.png", reader)


def test_a_bomb_hidden_in_a_small_file(tmp_path):
    """A header that promises more than memory holds is refused before any of it is decoded."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(60_000, 60_000, 8, 2, [b""]))
    assert "too large" in refusal(path)


# Tensors


def test_every_level_survives_the_round_trip():
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    array = np.stack([levels, levels[::-1], levels.T], axis=-1)
    tensor = to_tensor(array)
    assert tensor.dtype == torch.float32
    assert tensor.shape == (3, 16, 16)
    assert tensor.is_contiguous()
    np.testing.assert_array_equal(tensor.numpy(), array.transpose(2, 0, 1) / np.float32(255))
    np.testing.assert_array_equal(to_uint8(tensor), array)


def test_to_tensor_leaves_the_array_alone(pixels):
    before = pixels.copy()
    to_tensor(pixels).zero_()
    np.testing.assert_array_equal(pixels, before)


def test_to_uint8_rounds_to_nearest_and_clamps():
    values = torch.tensor(
        [-0.5, 0.49 / 255, 0.51 / 255, 100.49 / 255, 100.51 / 255, 254.6 / 255, 2]
    )
    got = to_uint8(values.expand(3, 1, 7))
    assert got.shape == (1, 7, 3)
    assert got.dtype == np.uint8
    assert got[0, :, 0].tolist() == [0, 0, 1, 100, 101, 255, 255]
    assert got.flags.c_contiguous


def test_to_uint8_takes_what_a_network_leaves():
    tensor = torch.full((3, 2, 2), 0.5, dtype=torch.bfloat16, requires_grad=True)
    assert set(to_uint8(tensor).ravel().tolist()) <= {127, 128}


# Channels

# What each luma is of black, of white and of the three primaries, on the scale of 0 to 255, as its
# definition says it. MATLAB's and BT.601's run from 16 to 235; the LIIF authors divide by 256.
LUMA = {
    "y": (16, (65.481, 128.553, 24.966)),
    "y-liif": (16, tuple(255 / 256 * weight for weight in (65.738, 129.057, 25.064))),
    "y-full": (0, (255 * 0.299, 255 * 0.587, 255 * 0.114)),
}


def random_image(dtype=torch.float64):
    return torch.rand(3, 5, 7, dtype=dtype, generator=torch.Generator().manual_seed(1))


def test_every_colour_is_tested():
    assert set(get_args(Colour)) == set(LUMA) | {"rgb", "y-uint8", "blue"}


def test_rgb_is_the_image():
    image = random_image()
    assert torch.equal(channels(image, "rgb"), image)


def test_blue_is_the_last_channel():
    image = random_image()
    assert torch.equal(channels(image, "blue")[0], image[2])


@pytest.mark.parametrize("colour", LUMA)
def test_luma_is_its_formula(colour):
    image = random_image()
    offset, weights = LUMA[colour]
    expected = (offset + np.einsum("c,chw->hw", weights, image.numpy())) / 255
    got = channels(image, colour)
    assert got.shape == (1, 5, 7)
    np.testing.assert_allclose(got[0].numpy(), expected, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("colour", "white"),
    [("y", 235), ("y-uint8", 235), ("y-liif", 16 + 219.859 * 255 / 256), ("y-full", 255)],
)
def test_luma_of_black_and_white(colour, white):
    black = 0 if colour == "y-full" else 16
    for level, expected in ((0.0, black), (1.0, white)):
        image = torch.full((3, 1, 1), level, dtype=torch.float64)
        assert 255 * float(channels(image, colour)) == pytest.approx(expected, abs=1e-7)


def test_luma_in_8_bits_is_matlabs_of_an_8_bit_image():
    """`rgb2ycbcr` of uint8: whole numbers in, one sum in thousandths, rounded, halves up."""
    rng = np.random.default_rng(6)
    levels = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    sums = levels.astype(np.int64) @ np.array([65481, 128553, 24966])  # in 1 / 255000
    expected = 16 + (2 * sums + 255_000) // 510_000
    got = channels(to_tensor(levels).double(), "y-uint8")[0] * 255
    np.testing.assert_allclose(got.numpy(), expected, rtol=0, atol=1e-12)


def test_luma_in_8_bits_is_the_nearest_level():
    exact, rounded = (channels(random_image(), colour) * 255 for colour in ("y", "y-uint8"))
    torch.testing.assert_close(rounded, rounded.round(), rtol=0, atol=1e-12)
    assert 0.1 < (exact - rounded).abs().max() <= 0.5


@pytest.mark.parametrize("colour", get_args(Colour))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_channels_keep_the_type_and_the_image(dtype, colour):
    image = random_image(dtype)
    before = image.clone()
    got = channels(image, colour)
    assert got.dtype == dtype
    assert got.shape == ((3 if colour == "rgb" else 1), 5, 7)
    assert torch.equal(image, before)


# Writing


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_what_is_written_is_read_back(suffix, pixels, tmp_path):
    path = tmp_path / f"x.{suffix}"
    write_rgb(pixels, path)
    np.testing.assert_array_equal(read_rgb(path), pixels)
    assert list(tmp_path.iterdir()) == [path]


def test_writing_replaces_the_old_file(pixels, tmp_path):
    (tmp_path / "x.png").write_text("old")
    write_rgb(pixels, tmp_path / "x.png")
    np.testing.assert_array_equal(read_rgb(tmp_path / "x.png"), pixels)


def test_the_suffix_chooses_the_format(pixels, tmp_path):
    for suffix, kind in (("jpg", "JPEG"), ("webp", "WEBP"), ("PNG", "PNG")):
        write_rgb(pixels, tmp_path / f"x.{suffix}")
        assert Image.open(tmp_path / f"x.{suffix}").format == kind


@pytest.mark.parametrize("name", ["x.nothing", "x", "nowhere/x.png", "folder.png"])
def test_a_failed_write_leaves_nothing(name, pixels, tmp_path):
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(LiifBenchError) as error:
        write_rgb(pixels, tmp_path / name)
    assert str(tmp_path / name) in only_line(error)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder.png"]


def test_a_write_that_breaks_off_keeps_the_old_file(pixels, tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_text("old")

    def save(image, target, **options):
        target.write_bytes(b"half an image")
        raise OSError("disk full")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(LiifBenchError, match="disk full"):
        write_rgb(pixels, path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("mode", "name", "options", "kind"),
    [
        ("RGB", "a.png", {}, ("PNG", "RGB")),
        ("L", "a.jpg", {}, ("JPEG", "L")),
        ("RGBA", "a.png", {}, ("PNG", "RGBA")),
        ("RGB", "a.png", {"transparency": (0, 0, 0)}, ("PNG", "RGBA")),
        ("RGB", "a.png", {"format": "JPEG"}, ("JPEG", "RGB")),  # the content, not the suffix
    ],
)
def test_the_kind_of_a_file_is_read_from_its_header(tmp_path, mode, name, options, kind):
    Image.new(mode, (5, 4)).save(tmp_path / name, **options)
    assert read_kind(tmp_path / name) == kind
