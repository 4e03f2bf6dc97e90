from __future__ import annotations

import subprocess
import sys

import pytest

from lkcfuse.errors import ResourceError
from lkcfuse.models.fetch import pull
from lkcfuse.models.store import Store


def test_a_disk_that_is_too_small_is_told_before_the_download(offer, store, pth, server):
    it = offer(pth, bytes=1 << 60)
    with pytest.raises(ResourceError, match=r"MB are needed and .* MB free"):
        pull(it, store, notify=print)
    assert server.requests == []


def test_a_disk_that_fills_up_is_told(offer, pth, server, tmp_path):
    """A limit on the size of files stands in for a full disk."""
    code = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "from lkcfuse.cli.app import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    offer(pth)
    command = ["weights", "pull", "tiny", "--manifest", str(tmp_path / "own.json")]
    ended = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 5, ended.stderr
    assert "cannot be written" in ended.stderr
    assert "LKCFUSE_CACHE" in ended.stderr


def test_a_cache_that_cannot_be_written_is_told(offer, pth, request):
    it = offer(pth)
    store = Store(request.getfixturevalue("unprivileged_folder") / "weights")
    with pytest.raises(ResourceError, match="set LKCFUSE_CACHE to another folder"):
        pull(it, store, notify=print)


def test_a_cache_that_is_a_file_is_told(offer, pth, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LKCFUSE_CACHE", str(tmp_path / "file"))
    with pytest.raises(ResourceError, match="set LKCFUSE_CACHE to another folder"):
        pull(offer(pth), Store(), notify=print)
