"""The order in which workers begin tasks, and what becomes of those that are lost."""

from types import SimpleNamespace

from liif_bench.engines.queue import Queue


def tasks(*sizes):
    return [
        SimpleNamespace(number=number, megapixels=size, label=f"photo{number}")
        for number, size in enumerate(sizes)
    ]


def order(queue):
    taken = []
    while queue:
        task, share = queue.take()
        taken.append((task.number, share))
    return taken


def test_the_largest_tasks_are_begun_first_and_equal_ones_in_the_order_of_the_plan():
    queue = Queue(None, tasks(0.1, 2.0, 0.1, 0.5), workers=2)
    assert order(queue) == [(1, 1), (3, 1), (0, 1), (2, 1)]
    assert queue.take() is None


def test_a_lost_task_is_begun_again_at_once_with_half_the_memory():
    queue = Queue(None, tasks(0.1, 2.0), workers=1)
    task, _ = queue.take()
    assert queue.lost(task, "killed by SIGKILL") is None
    assert order(queue) == [(1, 2), (0, 1)]
