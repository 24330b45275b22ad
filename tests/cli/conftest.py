"""A finished run that the commands can be tried on."""

import numpy as np
import pytest
from commands import call
from PIL import Image


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A small finished run of interpolation on two images."""
    folder = tmp_path_factory.mktemp("cli")
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        coarse.resize((64, 48)).save(folder / f"{name}.png")
    out = folder / "out"
    done = call(
        "run", "--scales", "2,2.5", "--models", "nearest,bicubic", "--metrics", "psnr,ssim",
        "--data", f"folder:{folder}", "--out", out,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return out, done
