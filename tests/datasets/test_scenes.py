import numpy as np
import pytest

from liif_bench.datasets import load_dataset, scenes
from liif_bench.errors import LiifBenchError
from liif_bench.evaluate import make_case
from liif_bench.images import to_uint8
from liif_bench.metrics import load_metric
from liif_bench.metrics.base import Output
from liif_bench.protocol import load_protocol
from liif_bench.scenes import SCENES
from liif_bench.suite import load_suite


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LIIF_BENCH_CACHE", str(tmp_path))
    return tmp_path


def test_every_scene_is_an_item_of_480_pixels(cache):
    items = load_dataset("scenes").items
    assert [item.name for item in items] == [f"{name}@480" for name in SCENES]
    for item, scene in zip(items, SCENES.values(), strict=True):
        hr = item.read_hr(2.0)
        assert hr.shape == (480, 480, 3)
        np.testing.assert_array_equal(hr, to_uint8(scene.render((480, 480))))


def test_scenes_are_drawn_once(cache):
    first = load_dataset("scenes")
    assert not any(cache.iterdir())  # not before they are read
    for item in first.items:
        assert item.pixels == 480 * 480
    times = [item.hr_path.stat().st_mtime_ns for item in first.items]
    again = load_dataset("scenes")
    assert [item.hr_path.stat().st_mtime_ns for item in again.items] == times
    assert again.fingerprint() == first.fingerprint()
    assert all(cache in item.hr_path.parents for item in first.items)


def test_a_size_of_ones_own(cache):
    item = load_dataset("scenes:720").items[0]
    assert item.name == "slanted-edge@720"
    assert item.read_hr(2.0).shape == (720, 720, 3)


@pytest.mark.parametrize(
    "side", ["0", "100", "481", "240", "-480", "4800", "large", "48²", "480.0"]
)
def test_other_sizes_are_refused(cache, side):
    with pytest.raises(LiifBenchError, match=r"multiple of 240") as error:
        load_dataset(f"scenes:{side}")
    assert "\n" not in str(error.value)


def test_other_code_draws_other_files(cache, monkeypatch):
    before = load_dataset("scenes:720").items[0].hr_path
    monkeypatch.setattr(scenes, "_drawing_code", lambda: "of-tomorrow")
    assert load_dataset("scenes:720").items[0].hr_path != before


def test_a_cache_that_cannot_be_written(cache):
    (cache / "scenes").write_text("a file where a folder should be")
    with pytest.raises(LiifBenchError, match="cannot write"):
        load_dataset("scenes").fingerprint()


def test_the_suite_has_a_number_for_each_metric_on_each_scene_that_it_is_of(cache):
    suite = load_suite("scenes")
    protocol = load_protocol(suite.protocol)
    of = {
        "slanted-edge": {"mtf50", "mtf50-lr"},
        "siemens-star": {"aliasing"},
        "zone-plate": {"aliasing"},
        "text-large": {"legibility", "legibility-margin"},
        "voronoi": set(),
        "texture": set(),
    }
    wanted = {metric for names in of.values() for metric in names}
    assert {"psnr", *wanted} == set(suite.metrics)
    from liif_bench.evaluate import score_case

    for item in load_dataset("scenes").items:
        name = item.name.partition("@")[0]
        if name not in of:
            continue
        case = make_case(protocol, item, 4.0)
        for metric in sorted(wanted):
            value, reason = score_case(load_metric(metric), case, Output(case.hr))
            assert (value is not None) == (metric in of[name]), (name, metric, reason)
            assert value is not None or reason.startswith("not applicable")
