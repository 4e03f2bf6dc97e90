import threading

import torch

from lkcfuse.ops.parallel import for_each
from lkcfuse.ops.workspace import Workspace, use_workspace, workspace


def test_a_workspace_hands_out_the_same_memory_again():
    owned = Workspace()
    first = owned.take("a", 10, 10)
    assert owned.take("a", 5, 7).data_ptr() == first.data_ptr()
    assert owned.take("b", 5, 7).data_ptr() != first.data_ptr()
    assert owned.take("a", 20, 10).shape == (20, 10)
    owned.clear()
    assert owned.nbytes == 0
    assert owned.take("a", 2).shape == (2,)


def test_two_owners_do_not_meet():
    one, other = Workspace(), Workspace()
    with use_workspace(one):
        first = workspace.take("a", 100)
        with use_workspace(other):
            assert workspace.take("a", 100).data_ptr() != first.data_ptr()
        assert workspace.take("a", 100).data_ptr() == first.data_ptr()
    assert (one.nbytes, other.nbytes) == (400, 400)
    one.clear()
    assert (one.nbytes, other.nbytes) == (0, 400)


def test_shared_out_work_takes_from_the_callers_workspace():
    owned, threads = Workspace(), set()

    def work(_item):
        threads.add(threading.get_ident())
        workspace.take("a", 50)

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with use_workspace(owned):
            for_each(work, range(40))
    finally:
        torch.set_num_threads(before)
    assert owned.nbytes == 200 * len(threads)
    owned.clear()
    assert owned.nbytes == 0


def test_another_thread_has_buffers_of_its_own():
    owned, found = Workspace(), []
    mine = owned.take("a", 10).data_ptr()
    thread = threading.Thread(target=lambda: found.append(owned.take("a", 10).data_ptr()))
    thread.start()
    thread.join()
    assert found[0] != mine
