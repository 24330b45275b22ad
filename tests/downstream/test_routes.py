import numpy as np
import pytest
import scipy.ndimage
import torch

from liif_bench.downstream.encoders import load_encoder
from liif_bench.downstream.routes import bilateral, bilinear, low, shifted, tiled, whole


@pytest.fixture(scope="module")
def encoder(weights):
    weights("efficientnet-lite0")
    return load_encoder("efficientnet-lite0@3")


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def centres(count, ratio):
    return (np.arange(count) + 0.5) * ratio - 0.5


@pytest.mark.parametrize("sizes", [((24, 40), (96, 160)), ((23, 31), (95, 124)), ((8, 8), (50, 9))])
def test_bilinear_is_that_of_scipy(sizes):
    lr, hr = sizes
    stride = 8
    grid = noise(4, -(-lr[0] // stride), -(-lr[1] // stride))
    rows, columns = (centres(h // stride, s / h) for s, h in zip(lr, hr, strict=True))
    places = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    expected = [
        scipy.ndimage.map_coordinates(channel, places, order=1, mode="nearest")
        for channel in grid.double().numpy()
    ]
    got = bilinear(grid, lr, hr, stride)
    np.testing.assert_allclose(got.numpy(), np.stack(expected), atol=1e-6)


def test_a_linear_ramp_stays_one():
    """Tokens lie in the middle of their squares, so that inside nothing moves."""
    ramp = (np.arange(12) + 0.5) * 8  # the pixel of LR that each token is at
    grid = np.broadcast_to(ramp, (1, 12, 12)).copy()
    got = bilinear(torch.from_numpy(grid), (96, 96), (384, 384), 8)[0, 0].numpy()
    where = (np.arange(48) + 0.5) * 8 / 4  # the same of HR's tokens
    inside = (where > 4) & (where < 92)
    np.testing.assert_allclose(got[inside], where[inside], atol=1e-9)


def naive_bilateral(grid, guide, lr, stride):
    """Kopf's sum, token by token."""
    height, width = (side // stride for side in guide.shape[1:])
    colours = guide[:, : height * stride, : width * stride]
    colours = colours.reshape(3, height, stride, width, stride).mean(axis=(2, 4))
    channels, rows, columns = grid.shape
    down, right = lr[0] / guide.shape[1], lr[1] / guide.shape[2]
    out = np.zeros((channels, height, width))
    for i in range(height):
        for j in range(width):
            y, x = (i + 0.5) * down - 0.5, (j + 0.5) * right - 0.5
            nearest = (min(max(round(y), 0), rows - 1), min(max(round(x), 0), columns - 1))
            total = 0.0
            for a in range(rows):
                for b in range(columns):
                    if max(abs(a - nearest[0]), abs(b - nearest[1])) > 2:
                        continue
                    place = [[(a + 0.5) / down - 0.5], [(b + 0.5) / right - 0.5]]
                    there = np.array(
                        [
                            scipy.ndimage.map_coordinates(c, place, order=1, mode="nearest")[0]
                            for c in colours
                        ]
                    )
                    far = ((y - a) ** 2 + (x - b) ** 2) / (2 * 0.5**2)
                    unlike = ((colours[:, i, j] - there) ** 2).sum() / (2 * 0.1**2)
                    weight = np.exp(-far) * max(np.exp(-unlike), 1e-12)
                    out[:, i, j] += weight * grid[:, a, b]
                    total += weight
            out[:, i, j] /= total
    return out


@pytest.mark.parametrize("sizes", [((24, 40), (96, 160)), ((20, 27), (83, 108))])
def test_bilateral_is_a_naive_loop(sizes):
    lr, hr = sizes
    grid = noise(5, -(-lr[0] // 8), -(-lr[1] // 8)).double()
    guide = noise(3, *hr, seed=2).double()
    guide[:, :, hr[1] // 2 :] *= 0.3  # an edge
    expected = naive_bilateral(grid.numpy(), guide.numpy(), lr, 8)
    np.testing.assert_allclose(bilateral(grid, guide, lr, 8).numpy(), expected, atol=1e-9)


def test_bilateral_keeps_to_its_side_of_an_edge():
    """Bilinear mixes the two sides."""
    grid = torch.zeros(1, 2, 4)
    grid[:, :, 2:] = 1
    guide = torch.zeros(3, 64, 128)
    guide[:, :, 64:] = 1
    sharp = bilateral(grid, guide, (16, 32), 8)[0, 0]
    soft = bilinear(grid, (16, 32), (64, 128), 8)[0, 0]
    assert sharp[:8].max() < 1e-6
    assert sharp[8:].min() > 1 - 1e-6
    assert soft[7] > 0.1


@pytest.mark.weights
def test_a_tile_as_large_as_the_image_is_the_image(encoder):
    for size in ((224, 224), (136, 224), (101, 75)):
        image = noise(3, *size)
        torch.testing.assert_close(tiled(encoder, image), whole(encoder, image), rtol=0, atol=1e-5)


@pytest.mark.weights
def test_tiles_are_stitched_where_they_were_cut(encoder):
    """400 pixels hold the tiles 0-224 and 176-400: the second gives what the first does not."""
    image = noise(3, 224, 403)
    got = tiled(encoder, image)
    left, right = whole(encoder, image[:, :, :224]), whole(encoder, image[:, :, 176:400])
    assert got.shape == (40, 28, 50)
    torch.testing.assert_close(got[:, :, :28], left, rtol=0, atol=1e-4)
    torch.testing.assert_close(got[:, :, 28:], right[:, :, 6:], rtol=0, atol=1e-4)


@pytest.mark.weights
def test_at_scale_one_all_routes_from_lr_are_the_image(encoder):
    image = noise(3, 64, 96)
    grid = low(encoder, image)
    assert torch.equal(grid, whole(encoder, image))
    assert torch.equal(bilinear(grid, (64, 96), (64, 96), 8), grid)


def test_shifting_by_whole_tokens_is_a_roll():
    grid = noise(2, 7, 9)
    assert torch.equal(shifted(grid, 2.0, -1.0)[:, :5, 1:], grid[:, 2:, :-1])
    half = shifted(grid, 0.0, 0.5)[:, :, :-1]
    torch.testing.assert_close(half, (grid[:, :, :-1] + grid[:, :, 1:]) / 2)
