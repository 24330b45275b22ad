"""Images: files to 8-bit RGB arrays, arrays to tensors, luma.

A file is decoded as people see it: EXIF rotation applied; grey and palette images made RGB;
transparency flattened onto white; 16-bit grey rounded to 8 bits; the first of several frames. An
ICC profile is not applied: the numbers that are stored are the numbers that are compared. What a
decoder cannot turn into 8-bit RGB without a choice that we would have to invent (floating-point
TIFFs, say) is refused.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.protocol import Colour

# What is decoded, by Pillow's names. Of the others some start programs (PostScript) or are seldom
# tried on hostile files; a file's content decides, whatever it is called.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
EXTENSIONS = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"})

# Weights of R, G, B and offset of the luma of RGB in [0, 1], on the same scale. MATLAB's rgb2ycbcr
# (BT.601, black at 16 and white at 235 of 255 steps), the same with the coefficients of the LIIF
# authors' evaluation code, and the full-range luma of JPEG and YIQ.
_LUMA: dict[Colour, tuple[tuple[float, float, float], float]] = {
    "y": ((65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255),
    "y-uint8": ((65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255),
    "y-liif": ((65.738 / 256, 129.057 / 256, 25.064 / 256), 16 / 255),
    "y-full": ((0.299, 0.587, 0.114), 0.0),
}

# What Pillow warns of is refused by `_check_safe`.
warnings.simplefilter("ignore", Image.DecompressionBombWarning)

_LOSSY_QUALITY = 95  # where the format loses anything at all
_EXIF_ORIENTATION = 0x0112
_LEVELS = ((np.arange(65536, dtype=np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
_ROWS = 256  # that are looked up at once: indices take eight bytes a pixel
_SIXTEEN_BIT_MODES = frozenset({"I", "I;16", "I;16L", "I;16B", "I;16N"})

RgbArray = npt.NDArray[np.uint8]


def read_rgb(path: Path) -> RgbArray:
    """Decode an image file.

    Args:
        path: PNG, JPEG, WebP, BMP, TIFF or GIF; a regular file.

    Returns:
        `(H, W, 3)` array of uint8, RGB.

    Raises:
        LiifBenchError: The file is missing, truncated, not an image, too large to be safe, or of
            a pixel type that cannot be shown as 8-bit RGB.
    """
    with _opened(path) as image:
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return np.array(_as_rgb(image, path))


def read_size(path: Path) -> tuple[int, int]:
    """Return `(H, W)` as `read_rgb` would, from the file's header alone.

    Raises:
        LiifBenchError: The header cannot be read, or names a size too large to be safe.
    """
    with _opened(path) as image:
        if isinstance(image, TiffImageFile):  # whose size Pillow may have turned already
            width, height = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
        else:
            width, height = image.size
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    return (width, height) if turned else (height, width)


def read_kind(path: Path) -> tuple[str, str]:
    """Return a file's format and channels by Pillow's names, from the header alone.

    Returns:
        Such as ("PNG", "RGB") or ("JPEG", "L"); the channels end with A where a single colour is
        transparent, too.

    Raises:
        LiifBenchError: The header cannot be read.
    """
    with _opened(path) as image:
        transparent = "transparency" in image.info and not image.mode.endswith("A")
        return image.format or "?", image.mode + ("A" if transparent else "")


def write_rgb(array: RgbArray, path: Path) -> None:
    """Write an `(H, W, 3)` uint8 array; the suffix chooses the format.

    Raises:
        LiifBenchError: The suffix names no format, or the file cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        Image.fromarray(array).save(temporary, quality=_LOSSY_QUALITY)
        temporary.replace(path)
    except (OSError, ValueError) as error:
        raise LiifBenchError(f"cannot write '{path}': {error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def to_tensor(array: RgbArray) -> Tensor:
    """Turn an `(H, W, 3)` uint8 array into a `(3, H, W)` float32 tensor in [0, 1]."""
    return torch.from_numpy(array).permute(2, 0, 1).contiguous().float().div_(255)


def to_uint8(image: Tensor) -> RgbArray:
    """Turn a `(3, H, W)` tensor in [0, 1] into an `(H, W, 3)` uint8 array, rounding to nearest."""
    levels = image.detach().clamp(0, 1).mul(255).round_().to(torch.uint8)
    return levels.permute(1, 2, 0).cpu().contiguous().numpy()


def channels(image: Tensor, colour: Colour) -> Tensor:
    """Return the channels of an image that a protocol scores.

    Args:
        image: `(3, H, W)` RGB in [0, 1], of any floating-point type.
        colour: See `protocol.PsnrRules`.

    Returns:
        `(3, H, W)` for "rgb", else `(1, H, W)`, in [0, 1] and of the same type; of BT.601 luma
        black is 16 / 255 and white 235 / 255.
    """
    if colour == "rgb":
        return image
    if colour == "blue":
        return image[2:]
    weights, offset = _LUMA[colour]
    luma = (image * image.new_tensor(weights).view(3, 1, 1)).sum(dim=0, keepdim=True) + offset
    return luma.mul(255).add(0.5).floor().div(255) if colour == "y-uint8" else luma


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Open an image file; whatever goes wrong becomes one line that names the file."""
    try:
        _check_regular(path)
        with Image.open(path, formats=_FORMATS) as image:
            _check_safe(image)
            yield image
    except LiifBenchError:
        raise
    except FileNotFoundError as error:
        raise LiifBenchError(f"image '{path}' does not exist") from error
    except UnidentifiedImageError as error:
        raise LiifBenchError(
            f"'{path}' is not an image that can be decoded (PNG, JPEG, WebP, BMP, TIFF, GIF)"
        ) from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise LiifBenchError(f"'{path}' is refused as too large: {error}") from error
    except Exception as error:  # decoders raise almost anything on hostile bytes
        raise LiifBenchError(f"'{path}' cannot be decoded: {error}") from error


def _check_regular(path: Path) -> None:
    """Refuse what is no file: to open a pipe may take forever.

    Raises:
        LiifBenchError: It is something else.
    """
    if path.exists() and not path.is_file():
        raise LiifBenchError(f"'{path}' is not a regular file")


def _check_safe(image: Image.Image) -> None:
    """Refuse what Pillow only warns of. Said here, since its warnings are no thread's own.

    Raises:
        Image.DecompressionBombError: The header names more pixels than Pillow takes for safe.
    """
    limit = Image.MAX_IMAGE_PIXELS
    if limit is not None and image.width * image.height > limit:
        raise Image.DecompressionBombError(
            f"{image.width}x{image.height} pixels, more than the limit of {limit}"
        )


def _as_rgb(image: Image.Image, path: Path) -> Image.Image:
    if image.mode in _SIXTEEN_BIT_MODES:
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 65535:
            raise LiifBenchError(f"'{path}' has 32-bit pixels; save it with 8 or 16 bits")
        grey = np.empty(values.shape, np.uint8)
        for top in range(0, len(values), _ROWS):
            grey[top : top + _ROWS] = _LEVELS[values[top : top + _ROWS]]
        return Image.fromarray(grey).convert("RGB")
    if image.mode == "F":
        raise LiifBenchError(f"'{path}' has floating-point pixels; save it with 8 or 16 bits")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layered = image.convert("RGBA")
        white = Image.new("RGBA", layered.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, layered).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")
