from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liif_bench.errors import LiifBenchError
from liif_bench.shards import Shard, parse_shard


@dataclass(frozen=True)
class Keyed:
    key: tuple


keys = st.lists(
    st.tuples(st.sampled_from(["a", "b"]), st.text(max_size=4), st.floats(1, 30)),
    unique=True, max_size=40,
)  # fmt: skip


@given(keys, st.integers(1, 9))
@settings(max_examples=100)
def test_parts_hold_every_case_once_in_the_plans_order_and_are_of_one_size(keys, count):
    tasks = [Keyed(key) for key in keys]
    parts = [Shard(number, count).part(tasks) for number in range(1, count + 1)]
    assert sorted((task.key for part in parts for task in part), key=repr) == sorted(keys, key=repr)
    assert all(part == [task for task in tasks if task in part] for part in parts)
    sizes = list(map(len, parts))
    assert max(sizes) - min(sizes) <= 1


def test_no_part_gets_one_scale_or_one_image_alone():
    scales = (2.0, 4.0, 8.0, 30.0)
    tasks = [Keyed(("set", f"{image}.png", scale)) for image in range(20) for scale in scales]
    for number in range(1, 5):
        part = Shard(number, 4).part(tasks)
        assert {task.key[2] for task in part} == {2.0, 4.0, 8.0, 30.0}
        assert len({task.key[1] for task in part}) > 10


def test_the_parts_are_the_same_on_every_machine():
    tasks = [Keyed(("set5", name, 2.0)) for name in ("baby", "bird", "butterfly", "head", "woman")]
    found = [[task.key[1] for task in Shard(n, 2).part(tasks)] for n in (1, 2)]
    assert found == [["baby", "bird", "butterfly"], ["head", "woman"]]


@pytest.mark.parametrize("text", ["2/3", " 2/3 "])
def test_a_part_is_written_as_a_fraction(text):
    assert parse_shard(text) == Shard(2, 3)
    assert str(parse_shard(text)) == "2/3"


@pytest.mark.parametrize("text", ["", "3", "0/3", "4/3", "-1/3", "1/0", "a/b", "1/3/5", "١/٣"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(LiifBenchError, match="shard"):
        parse_shard(text)
