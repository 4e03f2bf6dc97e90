"""Processes that share the scoring, and end when they should."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import Pipe, get_context, resource_tracker
from multiprocessing.connection import Connection
from types import FrameType, TracebackType
from typing import ParamSpec, TypeVar

import cv2

P = ParamSpec("P")
T = TypeVar("T")

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class WorkerPool(ProcessPoolExecutor):
    """Fresh processes of one thread each, that end with their parent.

    They do not see Ctrl-C, which reaches a terminal's whole group: the parent answers it. Leaving
    the `with` block by an exception ends them in the middle of their tasks, which therefore must
    not leave anything half done. The main module must be importable, as `multiprocessing`'s spawn
    has it.

    Args:
        workers: Most processes; one is started when a task finds the others busy.
    """

    def __init__(self, workers: int) -> None:
        # Nothing is ever sent: the workers hold one end, and see when the other is closed.
        lifeline, self._lifeline = Pipe(duplex=False)
        super().__init__(workers, get_context("spawn"), _start_worker, (lifeline,))
        # It lifts the block that `submit` sets where it is started there.
        resource_tracker.ensure_running()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand a task over, starting a process if need be: see `Executor.submit`."""
        with _interrupts_after():
            return super().submit(fn, *args, **kwargs)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Wait for the tasks that have begun, or end them after an exception; drop the others."""
        if kind is not None:
            self._lifeline.close()
        self.shutdown(cancel_futures=True)
        self._lifeline.close()


def _start_worker(lifeline: Connection) -> None:
    """Make a worker of a fresh process: one thread, and no life of its own."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """End this process when the other end is closed: by the pool, or by its process's death."""
    lifeline.poll(None)
    os._exit(1)


@contextmanager
def _interrupts_after() -> Iterator[None]:
    """Answer an interrupt only after the block, in which a process may be started.

    An exception in the middle of that would leave a process that its pool knows nothing of, and
    the program would wait for it for ever.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # Python answers signals on the main thread alone
        return
    received: list[int] = []

    def note(signum: int, _frame: FrameType | None) -> None:
        received.append(signum)

    with ExitStack() as restoring:
        for signum in _INTERRUPTS:
            if signal.getsignal(signum) not in (signal.SIG_IGN, None):
                restoring.callback(signal.signal, signum, signal.signal(signum, note))
        if hasattr(signal, "pthread_sigmask"):  # not on Windows
            # A process inherits this. Its own `_start_worker` comes too late to spare it an
            # interrupt, whose traceback would be seen.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
            restoring.callback(signal.pthread_sigmask, signal.SIG_SETMASK, before)
        yield
    for number in received:
        signal.raise_signal(number)
