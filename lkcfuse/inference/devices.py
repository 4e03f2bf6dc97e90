"""Where the network runs: the device, and how many threads a CPU gives it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from lkcfuse.cpus import available_cpus
from lkcfuse.errors import ResourceError
from lkcfuse.inference.options import check_device_name, check_threads

__all__ = ["available_cpus", "describe", "select_device", "thread_count", "use_threads"]


def select_device(name: str = "auto") -> torch.device:
    """Return the device of that name, or the best there is.

    Args:
        name: `cpu`, `cuda` (the first GPU), `cuda:N`, `mps`, or `auto`: CUDA if there is one, then
            MPS, then the CPU.

    Raises:
        UsageError: No kind of device has that name.
        ResourceError: The device is absent; nothing is ever put in its place.
    """
    asked = check_device_name(name)
    if asked == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    if asked == "cpu":
        return torch.device("cpu")
    if asked == "mps":
        _require_mps()
        return torch.device("mps")
    return _cuda(int(asked.removeprefix("cuda").removeprefix(":") or 0))


def describe(device: torch.device, *, threads: int | None = None) -> str:
    """Return a device's name for people: `cpu (4 threads)`, `cuda:0 (NVIDIA A100)`.

    Args:
        device: The device.
        threads: Threads that a CPU uses; None for torch's present number.
    """
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        count = threads or torch.get_num_threads()
        return f"cpu ({count} thread{'s' if count > 1 else ''})"
    return str(device)


def thread_count(threads: int | None = None) -> int:
    """Return how many threads to compute with on the CPU.

    Args:
        threads: The number asked for; None takes torch's own default (which honours
            `OMP_NUM_THREADS`), but no more than the CPUs this process may use: torch knows nothing
            of a container's quota, and threads beyond it only wait for each other.

    Raises:
        UsageError: The number is below 1.
    """
    return check_threads(threads) or min(torch.get_num_threads(), available_cpus())


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Let torch compute with that many threads inside the block, and as before after it."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _cuda(index: int) -> torch.device:
    if not torch.cuda.is_available():
        reason = (
            "this build of torch has no CUDA support"
            if torch.version.cuda is None and torch.version.hip is None
            else "torch finds no CUDA device, or no driver for it"
        )
        raise ResourceError(f"device cuda is absent: {reason}; use --device cpu or auto")
    count = torch.cuda.device_count()
    if index >= count:
        last = f" to cuda:{count - 1}" if count > 1 else " alone"
        raise ResourceError(f"device cuda:{index} is absent: there is cuda:0{last}")
    return torch.device("cuda", index)


def _require_mps() -> None:
    if not torch.backends.mps.is_available():
        reason = (
            "macOS 12.3 or later on a Mac with a Metal GPU is needed"
            if torch.backends.mps.is_built()
            else "this build of torch has no MPS support"
        )
        raise ResourceError(f"device mps is absent: {reason}; use --device cpu or auto")
