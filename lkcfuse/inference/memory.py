"""How much memory this process may still take."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import psutil


def available_memory() -> int:
    """Return the bytes this process can still take without swapping or being stopped.

    The least of what the machine has free, what the process's control group (a container) leaves,
    and what its address-space limit (`ulimit -v`) leaves.
    """
    return int(min(psutil.virtual_memory().available, _control_group_rest(), _address_space_rest()))


def _control_group_rest(root: Path = Path("/sys/fs/cgroup")) -> float:
    for limit, usage in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            allowed, used = (root / limit).read_text(), (root / usage).read_text()
        except OSError:
            continue
        if allowed.strip() != "max":
            return max(0, int(allowed) - int(used))
    return math.inf


def _address_space_rest() -> float:
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    return max(0, soft - psutil.Process().memory_info().vms)
