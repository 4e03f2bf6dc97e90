"""Linux's control groups: what a container, or a service's or job's slice, grants a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of the control groups that may limit this process.

    Those of version 1 or 2, its own and those above it; none where there are no such groups.

    Args:
        root: Where `/proc` and the control groups' file systems are found.
        controller: What they limit: `cpu` or `memory`.
    """
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
        elif kinds[0] == "cgroup" and controller in kinds[-1].split(","):
            group = groups.get(controller)
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
