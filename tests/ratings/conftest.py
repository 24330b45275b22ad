"""Tiny folders in the published layouts."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def fill(tmp_path):
    """A function that writes a folder: text as it is, and an image where there is none."""

    def make(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                pixels = np.random.default_rng(len(name)).integers(
                    0, 256, (8, 8, 3), dtype=np.uint8
                )
                Image.fromarray(pixels).save(path)
            else:
                path.write_text(text)
        return tmp_path

    return make
