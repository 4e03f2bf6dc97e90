from __future__ import annotations

import os

import pytest
from control_groups import V1_MOUNT, V2_MOUNT, make_root

from lkcfuse.cpus import available_cpus

MINE = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


@pytest.fixture
def many_cpus(monkeypatch):
    """A machine with 64 CPUs, as far as this process is told."""
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)


def test_this_machine():
    assert 1 <= available_cpus() <= MINE


def test_no_control_groups(tmp_path, many_cpus):
    assert available_cpus(tmp_path) == 64


def test_affinity_counts(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert available_cpus(tmp_path) == 3


@pytest.mark.parametrize(
    ("limit", "cpus"),
    [
        ("max 100000", 64),
        ("400000 100000", 4),
        ("150000 100000", 2),
        ("10000 100000", 1),
        ("junk", 64),
        ("0 100000", 64),
        ("100000 0", 64),
    ],
)
def test_version_2_container(tmp_path, many_cpus, limit, cpus):
    """Its own group is the root of what it sees."""
    root = make_root(tmp_path, "0::/\n", V2_MOUNT, {"sys/fs/cgroup/cpu.max": f"{limit}\n"})
    assert available_cpus(root) == cpus


def test_version_2_the_tightest_group_above_counts(tmp_path, many_cpus):
    files = {
        "sys/fs/cgroup/a.slice/cpu.max": "300000 100000",
        "sys/fs/cgroup/a.slice/b.scope/cpu.max": "max 100000",
        "sys/fs/cgroup/other.slice/cpu.max": "100000 100000",
    }
    root = make_root(tmp_path, "0::/a.slice/b.scope\n", V2_MOUNT, files)
    assert available_cpus(root) == 3


@pytest.mark.parametrize(("quota", "cpus"), [("-1", 64), ("250000", 3)])
@pytest.mark.parametrize(
    ("mounted", "folder"), [("/", "docker/abc/"), ("/docker/abc", ""), ("/elsewhere", "")]
)
def test_version_1(tmp_path, many_cpus, quota, cpus, mounted, folder):
    """The mount shows the whole tree, or only the container's own part of it."""
    files = {
        f"sys/fs/cgroup/cpu/{folder}cpu.cfs_quota_us": f"{quota}\n",
        f"sys/fs/cgroup/cpu/{folder}cpu.cfs_period_us": "100000\n",
    }
    cgroup = "5:memory:/else\n4:cpu,cpuacct:/docker/abc\n0::/\n"
    root = make_root(
        tmp_path,
        cgroup,
        V1_MOUNT.format(root=mounted, controllers="cpu,cpuacct", folder="cpu"),
        files,
    )
    assert available_cpus(root) == cpus
