"""Luma: its weights, its range and its type."""

import numpy as np
import pytest
import torch

from liif_bench.metrics.realism.luma import luma


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ((0, 0, 0), 0.0),
        ((1, 1, 1), 1.0),
        ((1, 0, 0), 0.299),
        ((0, 1, 0), 0.587),
        ((0, 0, 1), 0.114),
        ((0.25, 0.5, 0.75), 0.45375),
    ],
)
def test_luma_is_that_of_bt601_at_full_range(colour, expected):
    image = torch.tensor(colour, dtype=torch.float32).view(3, 1, 1).expand(3, 4, 6)
    plane = luma(image)
    assert plane.shape == (4, 6)
    assert plane.dtype == np.float64
    np.testing.assert_allclose(plane, expected, atol=1e-7)  # float32 holds seven digits
