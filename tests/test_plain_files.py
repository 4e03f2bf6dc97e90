from __future__ import annotations

import errno
import os
import socket

import psutil
import pytest

from lkcfuse.plain_files import create, open_own, open_plain, read_plain, write_new


def plant(path, target, kind):
    """Put something at a name that is not a file of its own."""
    if kind == "link":
        path.symlink_to(target)
    elif kind == "dangling link":
        path.symlink_to(target.with_name("absent"))
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as opened:
            opened.bind(str(path))
    else:
        path.mkdir()


@pytest.fixture
def target(tmp_path):
    path = tmp_path / "target"
    path.write_bytes(b"somebody's work")
    return path


KINDS = ["link", "dangling link", "pipe", "device", "socket", "folder"]


@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT | os.O_APPEND])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_but_a_file_is_opened(tmp_path, target, kind, flags, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    path = tmp_path / "x"
    plant(path if kind != "socket" else path.relative_to(tmp_path), target, kind)
    process = psutil.Process()
    before = process.num_fds()
    with pytest.raises(OSError):  # noqa: PT011 - what it says depends on the kind
        open_plain(path, flags)
    assert process.num_fds() == before
    assert target.read_bytes() == b"somebody's work"
    assert not (tmp_path / "absent").exists()


def test_a_file_is_opened_and_read(target):
    assert read_plain(target) == b"somebody's work"
    with os.fdopen(open_own(target, os.O_RDWR), "r+b") as file:
        file.write(b"S")
    assert target.read_bytes() == b"Somebody's work"


def test_a_file_of_two_names_is_not_our_own(tmp_path, target):
    os.link(target, tmp_path / "x")
    with pytest.raises(OSError, match="somebody else") as caught:
        open_own(tmp_path / "x")
    assert caught.value.errno == errno.EPERM
    os.close(open_plain(tmp_path / "x"))


def test_a_file_of_another_user_is_not_our_own(target, monkeypatch):
    """Only root can give files away: this user becomes another instead."""
    user = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: user + 1)
    with pytest.raises(OSError, match="somebody else"):
        open_own(target)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "folder"])
def test_a_new_file_takes_the_place_of_a_planted_one(tmp_path, target, kind, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x"
    plant(path if kind != "socket" else path.relative_to(tmp_path), target, kind)
    write_new(path, b"ours")
    assert path.read_bytes() == b"ours"
    assert not path.is_symlink()
    assert target.read_bytes() == b"somebody's work"
    with pytest.raises(OSError):  # noqa: PT011 - the system's words
        create(tmp_path)
