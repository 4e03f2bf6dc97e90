from __future__ import annotations

import os
import socket

import pytest

from lkcfuse.batch.files import load
from lkcfuse.errors import InputError


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"bytes")
    (tmp_path / "link.png").symlink_to(path)
    assert load(path) == load(tmp_path / "link.png") == b"bytes"


def test_a_file_that_is_not_there_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"a\.png does not exist: check the path"):
        load(tmp_path / "a.png")
    with pytest.raises(InputError, match="is a folder: name an image in it"):
        load(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "a link to a pipe", "device", "a link to a device"])
def test_what_may_never_end_is_not_read(tmp_path, kind):
    path = tmp_path / "x.png"
    if "pipe" in kind:
        os.mkfifo(tmp_path / "pipe")
    target = "/dev/zero" if "device" in kind else tmp_path / "pipe"
    if "link" in kind:
        path.symlink_to(target)
    else:
        path = type(path)(target)
    with pytest.raises(InputError, match=r"is not a regular file: a batch reads no pipes"):
        load(path)


def test_a_socket_is_not_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name has to be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("x.png")
        with pytest.raises(InputError, match=r"x\.png"):
            load(tmp_path / "x.png")
