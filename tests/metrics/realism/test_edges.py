import numpy as np
import pytest
from scipy import ndimage
from scipy.special import erf

from liif_bench.metrics.realism.edges import (
    TOLERANCE,
    Reference,
    edges_of,
    profile_widths,
    reach,
    reference_edges,
    share_near,
)

RISE = 1e-6


def step(sigma, side=96, at=47.3):
    """A vertical edge of contrast one half, blurred by a Gaussian, sampled at pixel centres."""
    x = (np.arange(side) - at) / (np.sqrt(2) * sigma)
    return np.tile(0.5 + 0.25 * erf(x), (side, 1))


def turned(sigma, degrees, side=128):
    angle = np.deg2rad(degrees)
    y, x = np.mgrid[:side, :side] - side / 2
    across = x * np.cos(angle) + y * np.sin(angle)
    return 0.5 + 0.25 * erf(across / (np.sqrt(2) * sigma))


def photo(seed=0, side=80):
    plane = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(side, side)), 3)
    return np.where(plane > 0, 0.8, 0.2)


def measured(sigma):
    """A Gaussian after central differences (1/3), interpolation (0 or 1/4) and steps (1/48)."""
    return np.sqrt(sigma**2 + 1 / 3 + 1 / 8 + 1 / 48)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 3.0, 5.0])
def test_the_width_of_a_blurred_step_is_its_blur(sigma):
    plane = step(sigma)
    widths = profile_widths(plane, reference_edges(plane), 32)
    np.testing.assert_allclose(widths, measured(sigma), rtol=0.01)


@pytest.mark.parametrize("degrees", [0, 17, 45, 60, 90])
def test_the_width_does_not_depend_on_the_direction(degrees):
    plane = turned(2.0, degrees)
    reference = reference_edges(plane)
    inner = np.zeros_like(reference.edges)
    inner[32:-32, 32:-32] = reference.edges[32:-32, 32:-32]
    widths = profile_widths(plane, Reference(reference.thresholds, inner, reference.normals), 24)
    np.testing.assert_allclose(widths, measured(2.0), rtol=0.04)


def test_an_edge_that_sr_moves_is_as_wide_as_it_is():
    reference = reference_edges(step(1.5))
    widths = profile_widths(step(3.0, at=50.3), reference, 32)
    np.testing.assert_allclose(widths, measured(3.0), rtol=0.01)


def plain_width(profile, along, room):
    """Walk from the middle, place by place."""
    top = len(profile) // 2
    walks = []
    for way in (1, -1):
        place = top
        while 0 <= place + way < len(profile) and profile[place + way] > profile[place] + RISE:
            place += way
        walks.append(place)
    top = walks[0] if profile[walks[0]] > profile[walks[1]] else walks[1]
    ends = []
    for way in (1, -1):
        place = top
        while 0 <= place + way < len(profile) and profile[place + way] <= profile[place] + RISE:
            place += way
        ends.append(place)
    kept = slice(ends[1], ends[0] + 1)
    mass, where = profile[kept], along[kept]
    if not mass.sum():
        mass, where = np.ones_like(along), along
    centre = np.average(where, weights=mass)
    return np.sqrt(np.average((where - centre) ** 2, weights=mass) + 1 / 48)


def test_profiles_are_walked_as_the_definition_says():
    """On texture, where hills end at valleys, bilinear interpolation written out."""
    plane = np.round(ndimage.gaussian_filter(np.random.default_rng(1).random((40, 50)), 1), 2)
    reference = reference_edges(plane)
    magnitude = np.hypot(*np.gradient(plane))
    along = np.arange(-16, 16.5, 0.5)
    expected = []
    for row, column in np.argwhere(reference.edges):
        profile = []
        for offset in along:
            y, x = np.array([row, column]) + offset * reference.normals[:, row, column]
            y, x = np.clip(y, 0, 39), np.clip(x, 0, 49)
            top, left = min(int(y), 38), min(int(x), 48)
            down, right = y - top, x - left
            corners = magnitude[top : top + 2, left : left + 2]
            profile.append(np.array([1 - down, down]) @ corners @ np.array([1 - right, right]))
        expected.append(plain_width(np.array(profile), along, 16))
    assert len(expected) > 50
    # A tie that rounding breaks the other way moves a single profile.
    close = np.isclose(profile_widths(plane, reference, 16), expected, rtol=1e-6)
    assert close.mean() > 0.98


def test_where_sr_is_flat_profiles_are_as_wide_as_there_is_room():
    reference = reference_edges(photo())
    widths = profile_widths(np.full((80, 80), 0.4), reference, 16)
    np.testing.assert_allclose(widths, 16 / np.sqrt(3), rtol=0.02)


def test_many_edges_are_measured_at_4096_places_over_the_whole_image():
    plane = photo(side=520)
    reference = reference_edges(plane)
    assert reference.edges.sum() > 2 * 4096
    blurred = ndimage.gaussian_filter(plane, 2)
    widths = profile_widths(blurred, reference, 16)
    assert len(widths) == 4096
    every = Reference(reference.thresholds, reference.edges.copy(), reference.normals)
    every.edges[260:] = False
    assert widths.mean() == pytest.approx(profile_widths(blurred, every, 16).mean(), rel=0.03)


@pytest.mark.parametrize(("scale", "pixels"), [(1.0, 16), (8.0, 16), (8.3, 17), (30.0, 60)])
def test_profiles_reach_over_two_lr_pixels(scale, pixels):
    assert reach(scale) == pixels


def test_the_thresholds_are_of_hrs_gradient_and_the_edge_is_where_it_is():
    plane = step(1.0, at=47.0)
    reference = reference_edges(plane)
    smooth = ndimage.gaussian_filter(plane, 1, mode="nearest")
    power = np.mean(ndimage.sobel(smooth, 0) ** 2 + ndimage.sobel(smooth, 1) ** 2)
    assert reference.thresholds[1] == pytest.approx(np.sqrt(power))
    assert reference.thresholds[0] == pytest.approx(0.4 * np.sqrt(power))
    assert np.argwhere(reference.edges)[:, 1].tolist() == [47] * reference.edges.sum()
    assert reference.edges.sum() >= 92
    np.testing.assert_allclose(reference.normals[:, 5, 47], [0, 1], atol=1e-9)


def test_contrast_does_not_change_hrs_edges_but_what_is_found_with_its_thresholds():
    plane = photo()
    reference = reference_edges(plane)
    pale = 0.5 + 0.1 * (plane - 0.5)
    # Gradients that are equal but for rounding are thinned to one side or the other.
    assert (reference_edges(pale).edges != reference.edges).mean() < 0.001
    assert not edges_of(pale, reference.thresholds).any()


def test_a_flat_image_has_no_edges_in_itself_and_none_is_found_by_its_thresholds():
    reference = reference_edges(np.full((40, 40), 0.3))
    assert not reference.edges.any()
    assert not edges_of(photo(side=40), reference.thresholds).any()


@pytest.mark.parametrize(("shift", "share"), [((0, 1), 1), ((-1, 0), 1), ((1, 1), 0), ((0, 2), 0)])
def test_edges_agree_within_the_four_neighbours(shift, share):
    assert TOLERANCE == 1
    edges = np.zeros((40, 40), dtype=bool)
    edges[5:35:6, 5:35:6] = True
    moved = np.roll(edges, shift, axis=(0, 1))
    assert share_near(edges, moved) == share_near(moved, edges) == share


def test_the_share_counts_every_pixel_and_nothing_is_near_no_edges():
    edges = np.zeros((40, 40), dtype=bool)
    edges[10, 5:15] = True
    half = edges.copy()
    half[10, 9:] = False
    assert share_near(edges, half) == 0.5  # four, and the neighbour of the last
    assert share_near(half, edges) == 1
    assert share_near(edges, np.zeros_like(edges)) == 0
