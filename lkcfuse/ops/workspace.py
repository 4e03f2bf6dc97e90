"""Memory kept from call to call, and whose it is."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import Tensor


class _Buffers(dict[str, Tensor]):
    """Buffers of one thread, by name."""

    __hash__ = object.__hash__  # type: ignore[assignment]


class _OfThread(threading.local):
    """What a thread has: made anew, with the same argument, in every thread that asks."""

    def __init__(self, every_thread: WeakSet[_Buffers]) -> None:
        self.buffers = _Buffers()
        every_thread.add(self.buffers)


class Workspace:
    """Buffers kept from call to call by one owner, a set for every thread.

    Fresh large tensors are mapped and zeroed by the system at every allocation; that alone can
    take as long as the arithmetic.
    """

    def __init__(self) -> None:
        self._every_thread: WeakSet[_Buffers] = WeakSet()
        self._of_thread = _OfThread(self._every_thread)

    def take(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor, valid until the same name is taken again."""
        size = math.prod(shape)
        buffers = self._of_thread.buffers
        buffer = buffers.get(name)
        if buffer is None or buffer.numel() < size:
            buffers.pop(name, None)
            buffer = buffers[name] = new_tensor(size)
        return buffer[:size].view(shape)

    def clear(self) -> None:
        """Give the memory back; no thread may be at work with it."""
        for buffers in list(self._every_thread):
            buffers.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all threads' buffers."""
        return sum(
            buffer.nbytes
            for buffers in list(self._every_thread)
            for buffer in list(buffers.values())
        )


class _Current(threading.local):
    """The workspace that a thread works with: that of nobody in particular, unless one is set."""

    def __init__(self, nobodys: Workspace) -> None:
        self.workspace = nobodys

    def take(self, name: str, *shape: int) -> Tensor:
        """See `Workspace.take`."""
        return self.workspace.take(name, *shape)


workspace = _Current(Workspace())
"""Where operators take their buffers from, in the thread that runs them."""


@contextmanager
def use_workspace(owned: Workspace) -> Iterator[None]:
    """Have operators take their buffers from a workspace, in this thread and those it shares with.

    Args:
        owned: The workspace; what it holds stays with its owner.
    """
    before, workspace.workspace = workspace.workspace, owned
    try:
        yield
    finally:
        workspace.workspace = before


def new_tensor(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor that every thread may write to.

    One made in inference mode could not be written to by threads that are not in it.
    """
    with torch.inference_mode(False):
        return torch.empty(shape)
