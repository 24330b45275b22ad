"""What a plan will take, against sums made by hand."""

import pytest
from commands import call
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from liif_bench.engines import EngineOptions
from liif_bench.estimate import Costs, estimate, makespan, shipped_costs
from liif_bench.reports.estimate import estimate_grids
from liif_bench.shards import Shard
from liif_bench.suite import load_suite, make_plan, suite_names

COSTS = Costs(
    machine="a machine", threads=1, start=10.0, between=0.5, case=(1.0, 0.0, 0.0),
    models={"bicubic": (0.0, 100.0, 0.0)}, metrics={"psnr": (0.0, 0.0, 1000.0)},
)  # fmt: skip


@pytest.fixture
def plan(photo_folder):
    return make_plan(
        scales=[2, 4], models=["bicubic", "nearest"], metrics=["psnr", "ssim"],
        data=[f"folder:{photo_folder()}"], device="cpu",
    )  # fmt: skip


def test_a_plan_costs_the_sum_of_its_parts(plan):
    found = estimate(plan, costs=COSTS)
    pixels = 48 * 64 / 1e6
    each = [1 + 100 * pixels / scale**2 + 2 * 1000 * pixels for scale in (2, 4)] * 3
    assert found.seconds == pytest.approx(each)
    assert sum(found.shares.values()) == pytest.approx(sum(each))
    assert found.shares["psnr"] == pytest.approx(6 * 2 * 1000 * pixels)  # of both models' outputs
    assert found.unknown == ("nearest", "ssim")
    assert (found.cases, found.workers) == (6, 1)
    assert found.wall == pytest.approx(10 + sum(each) + 0.5)


def test_a_part_of_a_plan_costs_its_part(plan):
    whole = estimate(plan, costs=COSTS)
    parts = [estimate(plan, None, Shard(n, 2), COSTS) for n in (1, 2)]
    assert sum(part.cases for part in parts) == 6
    assert sum(sum(part.seconds) for part in parts) == pytest.approx(sum(whole.seconds))


def test_workers_are_taken_to_begin_the_largest_first_as_they_do(photo_folder):
    folder = photo_folder(count=2)
    Image.new("RGB", (200, 150)).save(folder / "photo9.png")  # the last in the plan's order
    large = make_plan(
        scales=[2], models=["bicubic"], metrics=["psnr"], data=[f"folder:{folder}"], device="cpu"
    )
    found = estimate(large, EngineOptions("processes", workers=2), costs=COSTS)
    small, _, largest = found.seconds
    assert largest > 2 * small
    assert found.wall == pytest.approx(10 + largest + 0.5)


seconds = st.lists(st.floats(0.1, 100), min_size=1, max_size=50)


@given(seconds, st.integers(1, 20))
@settings(max_examples=100)
def test_many_workers_take_no_less_than_their_share_the_longest_case_and_the_driver(seconds, many):
    wall = makespan(seconds, many, COSTS)
    least = max(sum(seconds) / many, max(seconds), 0.5 * (len(seconds) - 1))
    assert wall >= COSTS.start + least - 1e-9
    # list scheduling (Graham 1966), and every case written after the last has ended at worst
    most = COSTS.start + sum(seconds) / many + max(seconds) + 0.5 * len(seconds)
    assert wall <= most + 1e-9


def test_by_hand():
    assert makespan([4, 3, 2, 2], 2, COSTS) == 10 + 6 + 0.5
    assert makespan([1] * 100, 100, COSTS) == 10 + 1 + 100 * 0.5  # the driver decides


def test_the_table_says_what_from_and_what_is_not_known(plan):
    first, second = estimate_grids(estimate(plan, EngineOptions("processes", 3), None, COSTS))
    rows = dict(first.rows)
    assert rows["cases"] == "6"
    assert rows["engine"] == "processes, 3 workers"
    assert "a machine" in first.notes[0]
    assert "nearest, ssim" in first.notes[1]
    assert next(name for name, *_ in second.rows) == "psnr"


def test_the_shipped_costs_know_the_suites_that_a_dry_run_is_for():
    known = shipped_costs()
    for name in ("sample", "liif-table1", "liif-table2"):
        suite = load_suite(name)
        assert not set(suite.models) - known.models.keys()
        assert not set(suite.metrics) - known.metrics.keys()
    assert "sample" in suite_names()
    assert known.start > 0
    assert all(part[0] >= 0 for part in known.models.values())


def test_a_dry_run_measures_and_writes_nothing(photo_folder, tmp_path):
    photos = photo_folder()
    done = call("run", "--dry-run", "--data", f"folder:{photos}", "--scales", "2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "3 images" in done.stdout
    assert "Where the time would go" in done.stdout
    assert {path.name for path in tmp_path.iterdir()} == {photos.name}
