import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from lkcfuse.errors import ResourceError
from lkcfuse.inference.storage import MemoryMap, MemoryPool, Scratch
from lkcfuse.ops.regions import Region, cut


@pytest.fixture(params=["memory", "scratch", "scratch written out soon", "half scratch"])
def new_map(request, tmp_path):
    if request.param == "memory":
        yield lambda *shape: MemoryMap(*shape, MemoryPool())
    else:
        dtype = torch.float16 if "half" in request.param else torch.float32
        with Scratch(tmp_path, dtype, write_out="soon" in request.param) as scratch:
            yield lambda *shape: scratch.new_map(*shape, "a map")


def test_what_is_written_by_regions_is_read_by_others(new_map):
    values = torch.arange(13 * 17 * 3).view(13, 17, 3) % 2048 / 2  # exact in float16 too
    stored = new_map(13, 17, 3)
    for region in cut(13, 17, 5, 6):
        with stored.writing(region) as place:
            place.copy_(values[region.top : region.bottom, region.left : region.right])
    for region in (Region(0, 13, 0, 17), Region(3, 9, 2, 17), Region(12, 13, 16, 17)):
        expected = values[region.top : region.bottom, region.left : region.right]
        assert torch.equal(stored.read(region), expected.float())


def test_scratch_has_no_name_and_goes_with_the_context(tmp_path):
    with Scratch(tmp_path) as scratch:
        stored = scratch.new_map(50, 50, 4, "a map")
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        stored.read(Region(0, 1, 0, 1))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks into /proc")
def test_files_go_from_map_to_map_and_no_more_are_kept_than_are_in_use(tmp_path):
    whole = [Region(0, rows, 0, 100) for rows in (100, 30, 200)]
    with Scratch(tmp_path) as scratch:
        kept, released = (scratch.new_map(100, 100, 4, name) for name in ("kept", "released"))
        with kept.writing(whole[0]) as place:
            place.fill_(7)
        files = _open_files_in(tmp_path)
        released.release()
        for region in whole:  # as large, smaller by far, larger
            values = torch.rand(region.height, 100, 4)
            again = scratch.new_map(region.height, 100, 4, "again")
            with again.writing(region) as place:
                place.copy_(values)
            assert torch.equal(again.read(region), values)
            assert _open_files_in(tmp_path).keys() == files.keys()
            allowed = 2 * values.nbytes + 100 * 100 * 4 * 4
            assert sum(_open_files_in(tmp_path).values()) <= allowed
            again.release()
        assert (kept.read(whole[0]) == 7).all()
    assert _open_files_in(tmp_path) == {}


def _open_files_in(folder):
    """Inode and size of the files without a name that this process holds open there."""
    sizes = {}
    for link in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if str(link.readlink()).startswith(f"{folder}/"):
                status = link.stat()
                sizes[status.st_ino] = status.st_size
    return sizes


def test_scratch_of_a_killed_process_is_given_back(tmp_path):
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from lkcfuse.inference.storage import Scratch\n"
        "maps = Scratch(Path(sys.argv[1])).new_map(1000, 1000, 50, 'a map')\n"
        "print('ready', flush=True)\n"
        "time.sleep(60)\n"
    )
    before = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        assert list(tmp_path.iterdir()) == []
        process.send_signal(signal.SIGKILL)
    assert list(tmp_path.iterdir()) == []
    # 200 MB were reserved; give the file system a moment to hand them back.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
        if free > before - 150_000_000:
            break
        time.sleep(0.1)
    else:
        pytest.fail("the space was not given back")


def test_a_missing_folder_and_too_little_room_are_told(tmp_path):
    with pytest.raises(ResourceError, match="does not exist"):
        Scratch(tmp_path / "absent").check(1)
    with pytest.raises(ResourceError, match="GB are free"):
        Scratch(tmp_path).check(10**18)


def test_a_disk_that_has_no_room_is_told(tmp_path):
    # A file larger than any file system holds is refused as a full disk is.
    with Scratch(tmp_path) as scratch, pytest.raises(ResourceError, match="no room"):
        scratch.new_map(2**20, 2**20, 2**10, "a map")


def test_a_folder_that_cannot_be_written_to_is_told(unprivileged_folder):
    with (
        Scratch(unprivileged_folder) as scratch,
        pytest.raises(ResourceError, match="cannot be written"),
    ):
        scratch.new_map(2, 2, 2, "a map")


def test_memory_goes_from_map_to_map():
    pool = MemoryPool()
    first = MemoryMap(10, 10, 4, pool)
    place = first.read(Region(0, 1, 0, 1)).data_ptr()
    first.release()
    assert MemoryMap(10, 10, 4, pool).read(Region(0, 1, 0, 1)).data_ptr() == place


def test_room_for_a_wider_map_is_made_from_the_start():
    pool = MemoryPool()
    narrow = MemoryMap(10, 10, 4, pool, room=6)
    place = narrow.read(Region(0, 1, 0, 1)).data_ptr()
    narrow.release()
    assert MemoryMap(10, 10, 6, pool).read(Region(0, 1, 0, 1)).data_ptr() == place


def test_a_narrowed_map_takes_the_rows_over_one_by_one(new_map):
    wide = torch.arange(6 * 5 * 4).view(6, 5, 4).float()
    stored = new_map(6, 5, 4)
    with stored.writing(Region(0, 6, 0, 5)) as place:
        place.copy_(wide)
    narrow = stored.narrowed(3)
    for top in (0, 4):
        rows = Region(top, top + 2, 0, 5)
        with narrow.writing(rows) as place:
            place.copy_(stored.read(rows)[..., :3] + 1)
    assert torch.equal(stored.read(Region(2, 4, 0, 5)), wide[2:4])
    with narrow.writing(Region(2, 4, 0, 5)) as place:
        place.copy_(wide[2:4, :, :3] + 1)
    for region in (Region(0, 6, 0, 5), Region(1, 5, 2, 4)):
        expected = wide[region.top : region.bottom, region.left : region.right, :3] + 1
        assert torch.equal(narrow.read(region), expected)
