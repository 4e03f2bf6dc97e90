import threading

import pytest
import torch

from lkcfuse.ops.parallel import for_each, worker_count


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_every_item_is_worked_on_once(threads):
    seen = []
    for_each(seen.append, range(100))
    assert sorted(seen) == list(range(100))
    assert worker_count() == threads


def test_a_worker_computes_alone_and_the_caller_as_before(threads):
    inside = []
    for_each(lambda _: inside.append(torch.get_num_threads()), range(20))
    assert set(inside) == {1}
    assert torch.get_num_threads() == threads
    outside = []
    thread = threading.Thread(target=lambda: outside.append(torch.get_num_threads()))
    thread.start()
    thread.join()
    assert outside == [threads]


def test_an_error_ends_the_work_and_is_raised(threads):
    seen = []

    def work(item):
        seen.append(item)
        if item == 5:
            raise ValueError("five")

    with pytest.raises(ValueError, match="five"):
        for_each(work, range(10_000))
    assert len(seen) < 10_000
    for_each(seen.append, ["after"])
    assert seen[-1] == "after"


def test_no_gradient_is_recorded(threads):
    weight = torch.ones(3, requires_grad=True)
    results = []
    for_each(lambda _: results.append(weight * 2), range(3))
    assert not any(result.requires_grad for result in results)
