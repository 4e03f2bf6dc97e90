"""Work shared out over threads of our own, each computing alone.

Torch's operators share every single call out over threads and wait for the last of them. With calls
of a fraction of a millisecond the waiting takes as long as the work, and far longer on a machine
that has other work to do. Where there are many independent pieces, whole pieces are shared out
instead: nobody waits before the end, and what a piece works on stays in one core's cache.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import TypeVar

import torch

from lkcfuse.ops.workspace import use_workspace, workspace

Item = TypeVar("Item")

MOST_WORKERS = 16
"""More do not help at the size of our pieces, and each has buffers of its own."""

_STARTING = threading.Lock()


def worker_count() -> int:
    """How many threads `for_each` works with: torch's own number, within reason."""
    return min(torch.get_num_threads(), MOST_WORKERS)


def for_each(work: Callable[[Item], object], items: Iterable[Item]) -> None:
    """Call a function for every item, on `worker_count()` threads, in no particular order.

    Gradients are not recorded, and buffers are taken from the caller's workspace. The first
    exception is raised, and no item is begun after it.
    """
    workers = worker_count()
    if workers == 1:
        with torch.no_grad():
            for item in items:
                work(item)
        return
    remaining = iter(list(items))
    callers = workspace.workspace

    def take_items() -> None:
        try:
            with torch.no_grad(), use_workspace(callers):
                for item in remaining:
                    work(item)
        except BaseException:
            for _ in remaining:
                pass
            raise

    running = [_pool(workers).submit(take_items) for _ in range(workers)]
    try:
        for future in running:
            future.result()
    except BaseException:
        for _ in remaining:
            pass
        raise


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads in which torch's operators run on one thread."""
    with _STARTING:
        count = torch.get_num_threads()
        barrier = threading.Barrier(workers + 1)

        def start() -> None:
            # A thread takes the common number over when torch first asks it: have that behind us.
            torch.get_num_threads()
            torch.set_num_threads(1)
            barrier.wait()

        pool = ThreadPoolExecutor(workers, "lkcfuse")
        for _ in range(workers):
            pool.submit(start)
        barrier.wait()
        # Setting the number in a thread also sets what threads yet to come start with.
        torch.set_num_threads(count)
    return pool
