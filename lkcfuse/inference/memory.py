"""How much memory this process may still take."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import psutil

from lkcfuse.control_groups import control_groups


def available_memory(root: Path = Path("/")) -> int:
    """Return the bytes this process can still take without swapping or being stopped.

    The least of what the machine has free, what the process's control groups leave (version 1 or
    2, its own and those above it: a container, a service, a job), and what its address-space limit
    (`ulimit -v`) leaves.

    Args:
        root: Where `/proc` and the control groups' file systems are found.
    """
    rests = [_control_group_rest(folder) for folder in control_groups(root, "memory")]
    return int(min(psutil.virtual_memory().available, _address_space_rest(), *rests))


def _control_group_rest(folder: Path) -> float:
    """Return what a control group leaves; infinity where it sets no limit."""
    version_2 = (folder / "memory.max").exists()
    names = (
        ("memory.max", "memory.current", "")
        if version_2
        else ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_")
    )
    try:
        limit, usage = ((folder / name).read_text().strip() for name in names[:2])
        if limit == "max":
            return math.inf
        # What files have left in memory counts as used, and is let go when memory is asked for.
        lines = (folder / "memory.stat").read_text().splitlines()
        stat = dict(line.split() for line in lines)
        cached = sum(int(stat.get(f"{names[2]}{kind}_file", 0)) for kind in ("active", "inactive"))
        return max(0, int(limit) - max(0, int(usage) - cached))
    except (OSError, ValueError):
        return math.inf


def _address_space_rest() -> float:
    if sys.platform == "win32":
        return math.inf
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return math.inf
    return max(0, soft - psutil.Process().memory_info().vms)
