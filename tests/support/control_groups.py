"""Control groups laid out in a folder, as Linux shows them."""

from __future__ import annotations

V2_MOUNT = "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNT = "33 24 0:29 {root} /sys/fs/cgroup/{folder} rw - cgroup cgroup rw,{controllers}\n"


def make_root(root, cgroup, mountinfo, files):
    """Lay out /proc/self and the control groups' file system in a folder."""
    proc = root / "proc/self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(cgroup)
    (proc / "mountinfo").write_text(mountinfo)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root
