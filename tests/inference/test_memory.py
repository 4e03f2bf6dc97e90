import os
import subprocess
import sys

import psutil
import pytest
from control_groups import V1_MOUNT, V2_MOUNT, make_root

from lkcfuse.inference.memory import available_memory

FREE = psutil.virtual_memory().available


@pytest.fixture(autouse=True)
def much_memory(monkeypatch):
    """A machine with much free memory, as far as this process is told."""

    class Much:
        available = 10**12

    monkeypatch.setattr(psutil, "virtual_memory", Much)


def test_no_control_groups(tmp_path):
    assert available_memory(tmp_path) == 10**12


@pytest.mark.parametrize(
    ("limit", "usage", "stat", "rest"),
    [
        ("max", "5000", "", 10**12),
        ("9000", "5000", "anon 5000", 4000),
        # What files have left in memory is let go when it is asked for.
        ("9000", "8900", "anon 900\ninactive_file 3000\nactive_file 1000\nshmem 50", 4100),
        ("9000", "9900", "anon 9900", 0),
        ("junk", "5000", "", 10**12),
    ],
)
def test_version_2_container(tmp_path, limit, usage, stat, rest):
    files = {"memory.max": limit, "memory.current": usage, "memory.stat": stat}
    files = {f"sys/fs/cgroup/{name}": f"{text}\n" for name, text in files.items()}
    assert available_memory(make_root(tmp_path, "0::/\n", V2_MOUNT, files)) == rest


def test_version_2_the_tightest_group_above_counts(tmp_path):
    """A job's own group sets no limit, the group of all its user's jobs does."""
    files = {
        "sys/fs/cgroup/a.slice/memory.max": "3000",
        "sys/fs/cgroup/a.slice/memory.current": "1000",
        "sys/fs/cgroup/a.slice/memory.stat": "anon 1000",
        "sys/fs/cgroup/a.slice/b.scope/memory.max": "max",
        "sys/fs/cgroup/a.slice/b.scope/memory.current": "1000",
        "sys/fs/cgroup/a.slice/b.scope/memory.stat": "anon 1000",
        "sys/fs/cgroup/other.slice/memory.max": "100",
        "sys/fs/cgroup/other.slice/memory.current": "100",
        "sys/fs/cgroup/other.slice/memory.stat": "",
    }
    root = make_root(tmp_path, "0::/a.slice/b.scope\n", V2_MOUNT, files)
    assert available_memory(root) == 2000


@pytest.mark.parametrize(("limit", "rest"), [("9223372036854771712", 10**12), ("9000", 4500)])
def test_version_1(tmp_path, limit, rest):
    files = {
        "memory.limit_in_bytes": limit,
        "memory.usage_in_bytes": "5000",
        "memory.stat": "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n",
    }
    files = {f"sys/fs/cgroup/memory/docker/abc/{name}": text for name, text in files.items()}
    mount = V1_MOUNT.format(root="/", controllers="memory", folder="memory")
    root = make_root(tmp_path, "5:memory:/docker/abc\n4:cpu:/else\n", mount, files)
    assert available_memory(root) == rest


@pytest.mark.skipif(sys.platform == "win32", reason="no address-space limits there")
def test_an_address_space_limit_is_seen():
    import resource

    code = (
        "import resource, psutil\n"
        "from lkcfuse.inference.memory import available_memory\n"
        "used = psutil.Process().memory_info().vms\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)\n"
        "print(available_memory())\n"
    )
    assert resource.getrlimit(resource.RLIMIT_AS)
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert 150_000_000 < int(ran.stdout) <= 200_000_000
    assert FREE > 200_000_000
