from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

import liif_bench.scenes
from liif_bench.scenes import SCENES, drawn_name, find_drawn
from liif_bench.scenes.edge import SlantedEdge
from liif_bench.scenes.pixels import Pixels, half_plane_share
from liif_bench.scenes.text import Text, alphabet
from liif_bench.scenes.voronoi import VoronoiCells
from liif_bench.shipped import read_toml
from liif_bench.upsamplers.base import Window, pixel_window

EXACT = ("slanted-edge", "slanted-edge-level", "slanted-edge-faint", "zone-plate", "texture")
ALL = pytest.mark.parametrize("name", SCENES)


@ALL
def test_a_window_is_the_crop_of_the_whole(name):
    scene = SCENES[name]
    whole = scene.render((96, 120))
    part = scene.render((31, 40), pixel_window((96, 120), 17, 60, 31, 40))
    assert part.shape == (3, 31, 40)
    torch.testing.assert_close(part, whole[:, 17:48, 60:100], rtol=0, atol=1e-6)


@ALL
def test_values_are_float32_rgb_within_the_range_without_clipping(name):
    scene = SCENES[name]
    values = scene.averages(Pixels((240, 240)))
    assert 0.02 < values.min() < values.max() < 0.98
    rendered = scene.render((240, 240))
    assert rendered.dtype == torch.float32
    assert rendered.is_contiguous()


@ALL
def test_a_coarse_pixel_is_the_mean_of_the_fine_ones_that_it_covers(name):
    scene = SCENES[name]
    window = Window(0.25, 0.5, 0.5, 0.75)
    fine = scene.render((240, 240), window).double().reshape(3, 12, 20, 12, 20).mean((2, 4))
    coarse = scene.render((12, 12), window).double()
    assert float((fine - coarse).abs().max()) < (1e-6 if name in EXACT else 0.01)


# The scenes at a point, written down once more, without the package.


def edge_at(scene, y, x):
    angle = np.radians(scene.degrees)
    along, across = (y, x) if scene.upright else (x, y)
    right = (across - 0.5) * np.cos(angle) + (along - 0.5) * np.sin(angle) > 0
    return np.where(right, scene.bright, scene.dark)


def zone_at(scene, y, x):
    return 0.5 + scene.contrast / 2 * np.cos(np.pi * scene.rate * ((y - 0.5) ** 2 + (x - 0.5) ** 2))


def star_at(scene, y, x):
    place = (x - 0.5) + 1j * (y - 0.5)
    steps = [(np.abs(place) - scene.inner) / scene.rim, (scene.outer - np.abs(place)) / scene.rim]
    fade = np.prod([np.clip(step, 0, 1) for step in steps], axis=0)
    return 0.5 + scene.contrast / 2 * (3 * fade**2 - 2 * fade**3) * np.cos(
        scene.spokes * np.angle(place)
    )


def texture_at(scene, y, x):
    random = np.random.default_rng(scene.seed)
    frequency = scene.lowest * (scene.highest / scene.lowest) ** random.random(scene.waves)
    direction, phase = 2 * np.pi * random.random((2, scene.waves))
    total = np.zeros(np.shape(y))
    for f, d, p in zip(frequency, direction, phase, strict=True):
        total += np.cos(2 * np.pi * f * (np.sin(d) * y + np.cos(d) * x) + p)
    return 0.5 + scene.deviation * np.sqrt(2 / scene.waves) * total


def voronoi_at(scene, y, x):
    random = np.random.default_rng(scene.seed)
    places = random.random((scene.sites, 2))
    colours = 0.1 + 0.8 * random.random((scene.sites, 3))
    squared = (y[..., None] - places[:, 0]) ** 2 + (x[..., None] - places[:, 1]) ** 2
    return colours[squared.argmin(axis=-1)]


CASES = [
    # scene, its values at points, pixels of the whole, points per pixel, tolerance
    ("slanted-edge", edge_at, 480, 64, 0.01),
    ("slanted-edge-level", edge_at, 480, 64, 0.01),
    ("slanted-edge-faint", edge_at, 96, 64, 0.004),
    ("zone-plate", zone_at, 480, 64, 1e-4),
    ("zone-plate", zone_at, 60, 256, 1e-4),
    ("siemens-star", star_at, 480, 64, 1e-4),
    ("siemens-star", star_at, 60, 256, 1e-4),
    ("texture", texture_at, 480, 16, 1e-3),
    ("voronoi", voronoi_at, 480, 64, 0.015),
    ("voronoi", voronoi_at, 120, 64, 0.015),
]


@pytest.mark.parametrize(("name", "at", "side", "points", "tolerance"), CASES)
def test_pixels_are_area_averages(name, at, side, points, tolerance):
    """A regular grid of points meets an edge within half a point's width, at most."""
    scene = SCENES[name]
    count = 10
    corners = [(0, 0), (side // 2 - 5, side // 2 - 5), (side - 10, side // 4)]
    for top, left in corners:
        window = pixel_window((side, side), top, left, count, count)
        offsets = (np.arange(count * points) + 0.5) / points
        y, x = np.meshgrid((top + offsets) / side, (left + offsets) / side, indexing="ij")
        dense = at(scene, y, x)
        means = dense.reshape(count, points, count, points, *dense.shape[2:]).mean(axis=(1, 3))
        difference = np.abs(means - scene.averages(Pixels((count, count), window)))
        assert difference.max() < tolerance


def test_a_pixel_that_a_line_cuts():
    """Shares of unit squares, worked out by hand."""
    up, right = np.array(0.0), np.array(1.0)
    diagonal = np.array(np.sqrt(0.5))
    pixel = (1.0, 1.0)
    assert half_plane_share(np.array([-0.5, 0, 0.25, 0.5]), (up, right), pixel) == pytest.approx(
        [0, 0.5, 0.75, 1], abs=1e-4
    )
    # a corner of which a diagonal line leaves a triangle of legs 1/2
    share = half_plane_share(np.array(diagonal / 2), (diagonal, diagonal), pixel)
    assert float(share) == pytest.approx(1 - 1 / 8)


@pytest.mark.parametrize("cells", [5, 10, 20])
def test_text_covers_the_area_of_its_strokes(cells):
    """Against hard points: a stroke is what lies within half a pen's width of a segment."""
    text = Text(cells=cells)
    listing = read_toml(Path(liif_bench.scenes.__file__).with_name("glyphs.toml"))
    names = list(listing)
    cell, points = 480 // cells, 24
    row, column = 1, 2
    glyph = names[text.glyphs[row, column]]
    place = (np.arange(cell * points) + 0.5) / (cell * points)
    y, x = np.meshgrid(place, place, indexing="ij")
    ink = np.zeros(y.shape, dtype=bool)
    for stroke in listing[glyph]:
        corners = np.array([[float(n) for n in corner.split(",")] for corner in stroke.split()])
        corners = 0.5 + 0.62 * (corners - (2, 3)) / 6
        for (x0, y0), (x1, y1) in pairwise(corners):
            way = np.array([x1 - x0, y1 - y0])
            share = ((x - x0) * way[0] + (y - y0) * way[1]) / (way @ way)
            share = np.clip(share, 0, 1)
            ink |= np.hypot(x - x0 - share * way[0], y - y0 - share * way[1]) < 0.05
    brute = 0.9 - 0.8 * ink.reshape(cell, points, cell, points).mean(axis=(1, 3))
    window = pixel_window((480, 480), row * cell, column * cell, cell, cell)
    mine = text.averages(Pixels((cell, cell), window))
    assert np.abs(mine - brute).max() < 0.02
    assert np.abs(mine - brute).mean() < 0.001


def test_the_alphabet_and_its_order():
    assert "".join(alphabet()) == "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    counts = np.bincount(Text(cells=20).glyphs.ravel(), minlength=36)
    assert counts.max() - counts.min() <= 1
    assert not np.array_equal(Text(seed=1).glyphs, Text(seed=0).glyphs)


def test_ink_stays_within_its_cell():
    """The border of every cell is bare, so that one glyph is no part of the next."""
    for glyph in alphabet():
        one = Text(cells=1).all_of(glyph).averages(Pixels((100, 100)))
        border = np.concatenate([one[:10].ravel(), one[-10:].ravel(), one[:, :10].ravel()])
        assert (border == 0.9).all(), glyph
        assert (one < 0.2).mean() > 0.03


def test_the_texture_has_the_spectrum_of_photographs():
    """Amplitude falls as 1 / f: power per octave is the same."""
    plane = SCENES["texture"].averages(Pixels((480, 480))) - 0.5
    power = np.abs(np.fft.fft2(plane * np.outer(np.hanning(480), np.hanning(480)))) ** 2
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(480) * 480] * 2))
    octaves = [power[(frequency >= low) & (frequency < 2 * low)].sum() for low in (4, 8, 16, 32)]
    assert max(octaves) / min(octaves) < 1.6  # 1 / f^0.5 or 1 / f^1.5 would give 8
    assert power[frequency > 220].sum() < 1e-3 * power.sum()  # the band ends


def test_local_frequencies():
    pixels = Pixels((480, 480))
    zone, star = (SCENES[name] for name in ("zone-plate", "siemens-star"))
    # neighbouring crests along the middle row, counted
    line = zone.averages(Pixels((1, 4800), Window(0.5, 0.5, 0.5 + 1e-9, 1)))[0]
    crests = np.flatnonzero((line[1:-1] > line[:-2]) & (line[1:-1] > line[2:])) / 4800 / 2
    near = np.searchsorted(crests, 0.35)
    assert 1 / (crests[near] - crests[near - 1]) == pytest.approx(zone.rate * 0.35, rel=0.01)
    assert zone.frequency(pixels)[240, 240 + 168] == pytest.approx(zone.rate * 0.351, rel=0.01)
    frequency = star.frequency(pixels)
    assert frequency[240, 240] == frequency[0, 0] == 0
    assert frequency[240, 340] == pytest.approx(72 / (2 * np.pi * 100.5 / 480), rel=0.01)
    for scene in (zone, star):
        assert scene.frequency(pixels).max() < 240  # HR holds all of it


def test_the_area_of_a_pixel_as_a_transfer():
    edge = SlantedEdge()
    assert edge.mtf(0) == 1
    assert SlantedEdge(degrees=0).mtf(1) == pytest.approx(0, abs=1e-12)
    points = (np.arange(200) + 0.5) / 200
    down, right = edge.normal
    wave = np.exp(2j * np.pi * 0.6 * (down * points[:, None] + right * points[None]))
    assert edge.mtf(0.6) == pytest.approx(abs(wave.mean()), abs=1e-4)


def test_voronoi_cells_are_flat_inside():
    values = VoronoiCells().averages(Pixels((480, 480))).reshape(-1, 3)
    _, counts = np.unique(values.round(9), axis=0, return_counts=True)
    assert np.sort(counts)[-140:].sum() > 0.85 * len(values)


def test_names_say_what_an_item_shows():
    drawn = find_drawn(drawn_name("zone-plate", 480))
    assert drawn.scene is SCENES["zone-plate"]
    assert drawn.side == 480
    for name in ("", "zone-plate", "zone-plate@", "zone-plate@0", "nothing@480", "a/zone-plate@4"):
        assert find_drawn(name) is None
