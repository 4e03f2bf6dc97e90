"""Memory kept from call to call."""

from __future__ import annotations

import math
import threading
from weakref import WeakSet

import torch
from torch import Tensor


class _Buffers(dict[str, Tensor]):
    """Buffers of one thread, by name."""

    __hash__ = object.__hash__  # type: ignore[assignment]


_EVERY_THREAD: WeakSet[_Buffers] = WeakSet()


class Workspace(threading.local):
    """Buffers kept from call to call, one set a thread.

    Fresh large tensors are mapped and zeroed by the system at every allocation; that alone can
    take as long as the arithmetic.
    """

    def __init__(self) -> None:
        self._buffers = _Buffers()
        _EVERY_THREAD.add(self._buffers)

    def take(self, name: str, *shape: int) -> Tensor:
        """Return an uninitialised float32 tensor, valid until the same name is taken again."""
        size = math.prod(shape)
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < size:
            self._buffers.pop(name, None)
            buffer = self._buffers[name] = new_tensor(size)
        return buffer[:size].view(shape)

    def clear(self) -> None:
        """Give the memory back."""
        self._buffers.clear()

    @property
    def nbytes(self) -> int:
        """Bytes of all threads' buffers."""
        return sum(
            buffer.nbytes for buffers in list(_EVERY_THREAD) for buffer in list(buffers.values())
        )


def new_tensor(*shape: int) -> Tensor:
    """Return an uninitialised float32 tensor that every thread may write to.

    One made in inference mode could not be written to by threads that are not in it.
    """
    with torch.inference_mode(False):
        return torch.empty(shape)


workspace = Workspace()
