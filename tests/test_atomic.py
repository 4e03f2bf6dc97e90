from __future__ import annotations

import errno
import os
import signal
import stat
import threading
from pathlib import Path

import pytest

from lkcfuse.atomic import atomic_write, check_destination
from lkcfuse.errors import ResourceError, UsageError


def names(folder):
    return sorted(path.name for path in folder.iterdir())


posix = pytest.mark.skipif(os.name != "posix", reason="POSIX files")


@pytest.fixture(params=["unnamed", "named"], autouse=True)
def kind(request, monkeypatch):
    """Whether the system has files without a name."""
    if request.param == "named":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    return request.param


def test_the_file_appears_whole(tmp_path):
    path = tmp_path / "x.bin"
    with atomic_write(path) as file:
        file.write(b"half")
        assert not path.exists()
        file.write(b" and half")
    assert path.read_bytes() == b"half and half"
    assert names(tmp_path) == ["x.bin"]


def test_relative_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    for name in ("x.bin", "folder/x.bin"):
        with atomic_write(Path(name)) as file:
            file.write(b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError, MemoryError])
@pytest.mark.parametrize("existing", [True, False])
def test_any_failure_leaves_the_place_as_it_was(tmp_path, error, existing):
    path = tmp_path / "x.bin"
    if existing:
        path.write_bytes(b"precious")
    with pytest.raises(error), atomic_write(path, overwrite=True) as file:  # noqa: PT012
        file.write(b"half")
        raise error
    assert names(tmp_path) == (["x.bin"] if existing else [])
    if existing:
        assert path.read_bytes() == b"precious"


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="files without a name")
@pytest.mark.parametrize("existing", [True, False])
def test_a_killed_process_leaves_no_file(tmp_path, kind, existing):
    path = tmp_path / "x.bin"
    if existing:
        path.write_bytes(b"precious")
    child = os.fork()
    if child == 0:
        with atomic_write(path, overwrite=True) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    left = [name for name in names(tmp_path) if name != "x.bin"]
    assert len(left) == (kind == "named")
    assert path.exists() == existing


def test_a_full_disk_is_a_resource_error(tmp_path):
    with (
        pytest.raises(ResourceError, match=r"x\.bin cannot be written: No space left"),
        atomic_write(tmp_path / "x.bin"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert names(tmp_path) == []


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "x.bin"
    with pytest.raises(UsageError, match="exists"), atomic_write(path) as file:  # noqa: PT012
        file.write(b"ours")
        path.write_bytes(b"theirs")
    assert path.read_bytes() == b"theirs"
    assert names(tmp_path) == ["x.bin"]


@pytest.mark.parametrize("theirs", [True, False])
def test_file_systems_without_hard_links(tmp_path, monkeypatch, theirs):
    def refuse(*_):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr("pathlib.Path.hardlink_to", refuse)
    path = tmp_path / "x.bin"
    if not theirs:
        with atomic_write(path) as file:
            file.write(b"ours")
    else:
        with pytest.raises(UsageError, match="exists"), atomic_write(path) as file:  # noqa: PT012
            file.write(b"ours")
            path.write_bytes(b"theirs")
    assert path.read_bytes() == (b"theirs" if theirs else b"ours")
    assert names(tmp_path) == ["x.bin"]


@posix
def test_permissions_follow_the_umask_or_the_file_replaced(tmp_path):
    path = tmp_path / "x.bin"
    before = os.umask(0o027)
    try:
        with atomic_write(path) as file:
            file.write(b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    with atomic_write(path, overwrite=True) as file:
        file.write(b"2")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_link_is_followed(tmp_path):
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.bin"
    link.symlink_to("real/x.bin")
    # It exists as a name, so that replacing what it stands for has to be asked for.
    with pytest.raises(UsageError, match="exists"):
        check_destination(link)
    with atomic_write(link, overwrite=True) as file:
        file.write(b"1")
    assert link.is_symlink()
    assert (tmp_path / "real" / "x.bin").read_bytes() == b"1"
    assert names(tmp_path / "real") == ["x.bin"]


@posix
def test_a_pipe_is_written_to_not_replaced(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    received = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    with atomic_write(path) as file:
        file.write(b"through the pipe")
    reader.join()
    assert received == [b"through the pipe"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_a_missing_folder_says_how_to_make_it(tmp_path):
    folder = tmp_path / "not there"
    with pytest.raises(UsageError, match=f"mkdir -p '{folder}'"):
        check_destination(folder / "x.bin")
    with pytest.raises(UsageError), atomic_write(folder / "x.bin"):
        pass
    assert names(tmp_path) == []


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(UsageError, match="is a folder"):
        check_destination(tmp_path, overwrite=True)
    (tmp_path / "x").touch()
    with pytest.raises(UsageError, match="is a file, not a folder"):
        check_destination(tmp_path / "x" / "y.bin")


@posix
def test_a_read_only_folder(unprivileged_folder):
    with pytest.raises(ResourceError, match="no permission"):
        check_destination(unprivileged_folder / "x.bin")


def test_a_name_no_file_system_takes(tmp_path):
    with pytest.raises(ResourceError, match="cannot be written"):
        check_destination(tmp_path / ("x" * 5000))
