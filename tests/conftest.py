"""Shared fixtures: where the reference images are, and upsamplers loaded once."""

import os
import signal
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as liif_bench.__main__, before torch

import numpy as np
import pytest
from PIL import Image

from liif_bench.errors import WeightsUnavailableError
from liif_bench.upsamplers import load_upsampler
from liif_bench.upsamplers.base import Options
from liif_bench.weights.fetch import ensure

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started by a shell in its background, where Ctrl-C is ignored, and tests press it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

IN_CI = os.environ.get("CI") == "true"


def pytest_collection_modifyitems(config, items):
    """Skip what this machine cannot run, and say why; in CI a missing folder is a failure."""
    data = os.environ.get("LIIF_BENCH_DATA")
    import torch

    for item in items:
        if "data" in item.keywords and not data and not IN_CI:
            item.add_marker(pytest.mark.skip(reason="LIIF_BENCH_DATA names no reference images"))
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(scope="session")
def reference_data():
    """The folder of reference images (Set5, Set14, imagenet_sample, lpips)."""
    folder = Path(os.environ.get("LIIF_BENCH_DATA", ""))
    if not (folder / "Set5").is_dir():
        pytest.fail(f"LIIF_BENCH_DATA='{folder}' is not the folder of reference images")
    return folder


@pytest.fixture(scope="session")
def weights():
    """A function that returns a cached weights file, skipping the test where there is no way."""

    def get(weights_id):
        try:
            return ensure(weights_id)
        except WeightsUnavailableError as error:
            if IN_CI:
                raise
            pytest.skip(str(error))

    return get


@pytest.fixture(scope="session")
def liif(weights):
    """LIIF-EDSR with the official weights on the CPU in float32."""
    weights("liif-edsr")
    return load_upsampler("liif-edsr", Options())


@pytest.fixture
def photo_folder(tmp_path):
    """A function that fills a folder with small smooth images and returns it."""

    def make(count=3, size=(48, 64), name="photos"):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(7)
        for number in range(count):
            coarse = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((size[1], size[0]), Image.Resampling.BICUBIC)
            image.save(folder / f"photo{number}.png")
        return folder

    return make
