"""Graded degradations: known kinds of damage at five strengths, for checking what metrics say.

Not how LR is made (`degrade`): this damages an image without changing its size, so that the order
of its versions from better to worse is known by construction. Every kind is a closed formula, the
same for the same seed, and each strength has a larger mean squared error than the one before.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from scipy import fft, ndimage
from torch import Tensor

from liif_bench.errors import LiifBenchError
from liif_bench.images import to_tensor, to_uint8

STRENGTHS = (1, 2, 3, 4, 5)
"""From barely visible to severe."""

_Array = npt.NDArray[np.float64]

_BLUR_SIGMA = (0.7, 1.2, 2.0, 3.2, 5.0)  # pixels
_NOISE_SIGMA = (0.02, 0.04, 0.07, 0.12, 0.2)  # of the range [0, 1]
_JPEG_QUALITY = (70, 40, 22, 12, 6)  # of Pillow, chroma at half the resolution
_RINGING_CUT = (0.36, 0.25, 0.17, 0.11, 0.07)  # cycles per pixel; 0.5 is the finest there is
_LEVELS = (24, 14, 9, 6, 4)  # per channel
_TEXTURE_SIGMA = 3.0  # pixels: detail finer than a Gaussian of this width is rearranged


def distort(image: Tensor, kind: str, strength: int, seed: int = 0) -> Tensor:
    """Damage an image.

    With strength ``k``:

    - "blur": convolution with a Gaussian of sigma 0.7, 1.2, 2, 3.2, 5 pixels, mirrored edges.
    - "noise": white Gaussian noise of sigma 0.02, 0.04, 0.07, 0.12, 0.2 added to every channel,
      clipped to [0, 1]. It is one draw per seed, scaled by the strength.
    - "jpeg": Pillow's JPEG of quality 70, 40, 22, 12, 6 with 4:2:0 chroma.
    - "ringing": frequencies above 0.36, 0.25, 0.17, 0.11, 0.07 cycles per pixel removed (a circular
      cut in the cosine transform: a sinc-like kernel without the wrap-around of Fourier's),
      clipped. Edges overshoot and are followed by ripples.
    - "quantisation": every channel rounded to the nearest of 24, 14, 9, 6, 4 equal levels.
    - "wrong-texture": the phase of every Fourier coefficient turned by
      ``k / 5 * (1 - exp(-2 pi^2 sigma^2 f^2)) * phi`` with ``sigma`` = 3 pixels, ``f`` the
      frequency in cycles per pixel and ``phi`` uniform in [-pi, pi), the same for the three
      channels; clipped. Coarse structure stays, fine detail ends up elsewhere, and the power
      spectrum is the image's own: random-phase texture (Galerne, Gousseau and Morel, "Random
      phase textures", IEEE TIP 2011) mixed in by strength. As there, what is turned is the
      periodic component of the image (Moisan, "Periodic plus smooth image decomposition", JMIV
      2011), so that the jump between opposite borders is no detail.

    Args:
        image: `(3, H, W)` float32, RGB, [0, 1].
        kind: One of `KINDS`.
        strength: One of `STRENGTHS`.
        seed: Chooses the draw of "noise" and "wrong-texture"; the other kinds draw nothing.

    Returns:
        `(3, H, W)` float32, RGB, [0, 1], not rounded.

    Raises:
        LiifBenchError: There is no such kind or strength.
    """
    if kind not in _DISTORTIONS:
        raise LiifBenchError(f"unknown degradation '{kind}'; there are {', '.join(KINDS)}")
    if strength not in STRENGTHS:
        raise LiifBenchError(f"unknown strength {strength}; there are 1 to {len(STRENGTHS)}")
    pixels = image.detach().cpu().double().numpy()
    damaged = _DISTORTIONS[kind](pixels, strength, np.random.default_rng(seed))
    return torch.from_numpy(damaged.clip(0, 1).astype(np.float32)).to(image.device)


def _blur(image: _Array, strength: int, _: np.random.Generator) -> _Array:
    sigma = _BLUR_SIGMA[strength - 1]
    blurred: _Array = ndimage.gaussian_filter(image, (0, sigma, sigma), mode="reflect")
    return blurred


def _noise(image: _Array, strength: int, generator: np.random.Generator) -> _Array:
    return image + _NOISE_SIGMA[strength - 1] * generator.standard_normal(image.shape)


def _jpeg(image: _Array, strength: int, _: np.random.Generator) -> _Array:
    file = io.BytesIO()
    array = to_uint8(torch.from_numpy(image))
    Image.fromarray(array).save(file, "JPEG", quality=_JPEG_QUALITY[strength - 1], subsampling=2)
    return to_tensor(np.array(Image.open(file).convert("RGB"))).double().numpy()


def _ringing(image: _Array, strength: int, _: np.random.Generator) -> _Array:
    # Coefficient k of a cosine transform of n samples is a wave of k / (2 n) cycles per sample.
    rows, columns = (np.arange(side) / (2 * side) for side in image.shape[1:])
    passed = np.hypot(rows[:, None], columns) <= _RINGING_CUT[strength - 1]
    spectrum = fft.dctn(image, axes=(1, 2), norm="ortho")
    filtered: _Array = fft.idctn(spectrum * passed, axes=(1, 2), norm="ortho")
    return filtered


def _quantisation(image: _Array, strength: int, _: np.random.Generator) -> _Array:
    steps = _LEVELS[strength - 1] - 1
    return np.asarray(np.floor(image * steps + 0.5) / steps)


def _wrong_texture(image: _Array, strength: int, generator: np.random.Generator) -> _Array:
    height, width = image.shape[1:]
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    fine = 1 - np.exp(-2 * (np.pi * _TEXTURE_SIGMA) ** 2 * (rows**2 + columns**2))
    # The phase of real noise is odd in the frequency, as that of a real image must be.
    phase = np.angle(np.fft.rfft2(generator.standard_normal((height, width))))
    # What is its own conjugate (the highest frequency of even sides) is real: it cannot be turned
    # by a part of a half circle, and stays.
    phase[np.abs(np.sin(phase)) < 1e-9] = 0
    turn = np.exp(1j * strength / len(STRENGTHS) * fine * phase)
    periodic = _periodic(image)
    turned: _Array = np.fft.irfft2(np.fft.rfft2(periodic) * turn, s=(height, width))
    return turned + (image - periodic)


def _periodic(image: _Array) -> _Array:
    """Return the periodic component of `(C, H, W)`: what has no jump between opposite borders.

    The rest, the smooth component, solves Poisson's equation for the jumps (Moisan 2011, eq. 11).
    """
    jumps = np.zeros_like(image)
    across_rows, across_columns = image[:, -1] - image[:, 0], image[:, :, -1] - image[:, :, 0]
    jumps[:, 0] += across_rows
    jumps[:, -1] -= across_rows
    jumps[:, :, 0] += across_columns
    jumps[:, :, -1] -= across_columns
    height, width = image.shape[1:]
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    laplacian = 2 * np.cos(2 * np.pi * rows) + 2 * np.cos(2 * np.pi * columns) - 4
    laplacian[0, 0] = 1.0  # where the spectrum of the jumps, which add up to nothing, is zero
    smooth: _Array = np.fft.irfft2(np.fft.rfft2(jumps) / laplacian, s=(height, width))
    return image - smooth


_DISTORTIONS: dict[str, Callable[[_Array, int, np.random.Generator], _Array]] = {
    "blur": _blur,
    "noise": _noise,
    "jpeg": _jpeg,
    "ringing": _ringing,
    "quantisation": _quantisation,
    "wrong-texture": _wrong_texture,
}

KINDS: tuple[str, ...] = tuple(_DISTORTIONS)
"""Every kind of damage."""
