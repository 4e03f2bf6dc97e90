"""How many CPUs this process may use: its affinity, and its container's quota."""

from __future__ import annotations

import math
import os
from pathlib import Path

from lkcfuse.control_groups import control_groups


def available_cpus(root: Path = Path("/")) -> int:
    """Return the number of CPUs this process may use, 1 or more.

    The least of the machine's CPUs, the process's affinity mask, and the quotas of its control
    groups (version 1 or 2, its own and those above it), a part of a CPU counting as one.

    Args:
        root: Where `/proc` and the control groups' file systems are found.
    """
    cpus = float(os.cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):  # Linux and some of the BSDs
        cpus = min(cpus, len(os.sched_getaffinity(0)))
    for folder in control_groups(root, "cpu"):
        cpus = min(cpus, _quota(folder))
    return max(1, math.ceil(cpus))


def _quota(folder: Path) -> float:
    """Return the CPUs a control group grants; infinity where it sets no limit."""
    try:
        if (folder / "cpu.max").exists():
            quota, period = (folder / "cpu.max").read_text().split()
        else:
            quota = (folder / "cpu.cfs_quota_us").read_text()
            period = (folder / "cpu.cfs_period_us").read_text()
        # "max" (version 2) and -1 (version 1) stand for no limit.
        limit = float(quota) / float(period) if quota != "max" else math.inf
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf
    return limit if limit > 0 else math.inf
