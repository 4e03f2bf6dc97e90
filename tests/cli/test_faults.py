"""What else can be wrong with names, numbers and the machine: one line and the right exit code."""

from __future__ import annotations

import errno
import os
import resource

import pytest

from lkcfuse.cli import failures

PAIR = ("ir/1.png", "vis/1.bmp")
HUGE = "9" * 400


@pytest.mark.parametrize(
    "words",
    [
        ("fuse", *PAIR, "-o", "loop.png", "--force"),
        ("eval", "--fused", "ir", "--a", "ir", "--b", "vis", "--gt-free", "loop.csv", "--force"),
        ("eval", "--fused", "ir", "--a", "ir", "--b", "vis", "--report", "loop.html", "--force"),
    ],
)
def test_links_that_lead_in_a_circle_are_no_outputs(lkcfuse, scene, words):
    for suffix in ("png", "csv", "html"):
        (scene / f"loop.{suffix}").symlink_to(f"loop.{suffix}")
    done = lkcfuse(*words)
    assert done.code in (2, 5)
    done.assert_fails(done.code, "loop.")
    assert "bug" not in done.err


@pytest.mark.parametrize("option", ["--memory", "--tile", "--threads"])
def test_numbers_of_400_digits(lkcfuse, scene, option):
    done = lkcfuse("fuse", *PAIR, "-o", "x.png", option, HUGE)
    done.assert_fails(2, option)
    assert len(done.err) < 200
    assert not (scene / "x.png").exists()


def test_a_shard_of_400_digits(lkcfuse, scene):
    done = lkcfuse("batch", "ir", "vis", "-o", "out", "--shard", f"1/{HUGE}")
    done.assert_fails(2, "--shard")
    assert len(done.err) < 200


@pytest.mark.parametrize("limit", ["1e3", "-5", "0", "many", HUGE])
def test_a_limit_on_pixels_that_is_no_number(lkcfuse, scene, settings, monkeypatch, limit):
    monkeypatch.setenv("LKCFUSE_MAX_PIXELS", limit)
    done = lkcfuse("fuse", *PAIR, "-o", "x.png", "-q", *settings)
    done.assert_fails(2, "LKCFUSE_MAX_PIXELS")
    assert len(done.err) < 200


@pytest.mark.parametrize("listed", [".", "..", "/", "./"])
def test_folders_in_a_list(lkcfuse, scene, listed):
    (scene / "list.txt").write_text(f"{listed},vis/1.bmp\n")
    lkcfuse("batch", "--pairs", "list.txt", "-o", "out").assert_fails(3, "is a folder")


def test_a_working_folder_that_is_gone(lkcfuse, scene, monkeypatch):
    gone = scene / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for words in (("batch", "ir", "vis", "-o", "out"), ("batch", scene / "ir", scene / "vis")):
        lkcfuse(*words).assert_fails(5, "working folder does not exist")


def test_too_many_open_files():
    """Asked for by opening as many as there may be."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    opened = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(limits[0], 200), limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files") as caught:  # noqa: PT012
            while True:
                opened.append(os.open(os.devnull, os.O_RDONLY))
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert caught.value.errno == errno.EMFILE
    message, code = failures.explain(caught.value)
    assert code == 5
    assert "ulimit -n" in message


@pytest.mark.parametrize("cache", ["file", "loop"])
def test_a_cache_that_is_no_folder(lkcfuse, scene, monkeypatch, cache):
    (scene / "file").write_text("x")
    (scene / "loop").symlink_to("loop")
    monkeypatch.setenv("LKCFUSE_CACHE", cache)
    done = lkcfuse("weights", "list")
    assert done.code == 0, done.err
    assert "packaged" in done.text
