"""How many CPUs this process may use: its affinity, and its container's quota."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path


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
    for folder in _control_groups(root):
        cpus = min(cpus, _quota(folder))
    return max(1, math.ceil(cpus))


def _control_groups(root: Path) -> Iterator[Path]:
    """Yield the folders of the control groups that may limit this process's CPU time."""
    try:
        memberships = (root / "proc/self/cgroup").read_text().splitlines()
        mounts = (root / "proc/self/mountinfo").read_text().splitlines()
    except OSError:
        return  # not Linux
    groups = {}  # from controller to path; version 2 has one path, under no controller's name
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        groups.update(dict.fromkeys(controllers.split(","), path))
    for line in mounts:
        # "id parent device root mount options... - kind source super-options"
        place, _, kind = line.partition(" - ")
        kinds = kind.split()
        if kinds[0] == "cgroup2":
            group = groups.get("")
        elif kinds[0] == "cgroup" and "cpu" in kinds[-1].split(","):
            group = groups.get("cpu")
        else:
            continue
        if group is None:
            continue
        mounted, mount = place.split()[3:5]
        # In a container the mount may show a part of the tree that starts at the group itself.
        inside = os.path.relpath(group, mounted) if group.startswith(mounted) else group
        top = root / mount.lstrip("/")
        folder = top / inside.lstrip("/")
        while folder != top and top in folder.parents:
            yield folder
            folder = folder.parent
        yield top


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
