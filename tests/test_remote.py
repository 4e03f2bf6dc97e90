from __future__ import annotations

import pickle
import sys
from pathlib import Path, PurePosixPath

import pytest
import s3fs
from object_store import s3_server

from lkcfuse.errors import InputError, ResourceError, UsageError
from lkcfuse.images import read_image
from lkcfuse.pairs.pairing import list_images
from lkcfuse.remote import RemotePath, as_location, is_url, read_objects, relative_to


@pytest.fixture(scope="module")
def server():
    with s3_server() as started:
        yield started


@pytest.fixture(params=["s3", "memory"])
def top(request, server, tmp_path):
    """A folder of its own, in a real server and in fsspec's memory."""
    return RemotePath(f"{request.param}://bucket{tmp_path}")


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("ir", Path("ir")),
        ("a:b/c", Path("a:b/c")),
        ("C:\\ir", Path("C:\\ir")),
        ("s3://bucket/ir/", RemotePath("s3://bucket/ir")),
        ("file:///data/my%20images", Path("/data/my images")),
        (Path("x"), Path("x")),
    ],
)
def test_words_are_paths_or_urls(word, expected):
    assert as_location(word) == expected
    assert is_url(str(word)) == str(word).startswith(("s3:", "file:"))


def test_names():
    path = RemotePath("s3://bucket/ir") / "day/7.tar.png"
    assert (path.name, path.suffix, str(path.parent)) == (
        "7.tar.png",
        ".png",
        "s3://bucket/ir/day",
    )
    assert [str(place) for place in path.parents] == [
        "s3://bucket/ir/day",
        "s3://bucket/ir",
        "s3://bucket",
    ]
    assert path.absolute() == pickle.loads(pickle.dumps(path)) == path
    assert relative_to(path, RemotePath("s3://bucket/ir")) == PurePosixPath("day/7.tar.png")
    assert relative_to(Path("a/b"), Path("a")) == PurePosixPath("b")
    with pytest.raises(ValueError, match="not below"):
        relative_to(path, RemotePath("s3://bucket/i"))


def test_objects_are_written_listed_and_read(top):
    names = ["1.png", "day/2.png", "day/deep/3.png"]
    assert top.find() == []
    for name in names:
        (top / name).write_bytes(name.encode())
    assert [relative_to(path, top).as_posix() for path in top.find()] == names
    assert read_objects(top.find()) == [name.encode() for name in names]
    assert read_objects(top.find()[:1]) == [b"1.png"]
    assert read_objects([]) == []
    one = top / "1.png"
    assert (one.exists(), one.size(), (top / "day").exists()) == (True, 5, False)
    with pytest.raises(FileExistsError):
        one.write_bytes(b"theirs", new=True)
    one.write_bytes(b"longer than before")
    assert one.read_bytes() == b"longer than before"
    with one.open() as file:
        file.seek(7)
        assert file.read(4) == b"than"
    one.unlink()
    one.unlink()
    assert not one.exists()
    for call in (one.read_bytes, one.size, one.open):
        with pytest.raises(FileNotFoundError):
            call()


def test_images_of_a_url(top):
    for name in ("10.png", "2.png", "day/1.JPG", ".hidden/3.png", "notes.txt"):
        (top / name).write_bytes(b"no image")
    assert list(list_images(top)) == ["2", "10", "day/1"]
    with pytest.raises(InputError, match=r"2\.png is .*not an image"):
        read_image(top / "2.png")
    with pytest.raises(InputError, match=r"3\.png does not exist"):
        read_image(top / "3.png")
    (top / "day" / "1.png").write_bytes(b"")
    with pytest.raises(InputError, match="the same stem, 'day/1'"):
        list_images(top)


def test_what_cannot_be_reached(server, monkeypatch):
    with pytest.raises(InputError, match=r"s3://absent/x does not exist"):
        list_images(RemotePath("s3://absent/x"))
    with pytest.raises(OSError, match="make the bucket"):
        RemotePath("s3://absent/x").write_bytes(b"")
    with pytest.raises(UsageError, match="Protocol not known"):
        RemotePath("foo://bucket/x").read_bytes()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(ResourceError, match=r"gs://bucket/x .* not installed \(pip install"):
        RemotePath("gs://bucket/x").read_bytes()


def test_without_credentials_the_cure_is_named(server, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # Nobody's own are found either, and no cloud's machine is asked.
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(InputError, match=r"s3://bucket/x cannot be read: .* 'aws configure'"):
        list_images(RemotePath("s3://bucket/x"))
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.parametrize("word", ["s3://", "s3:///x", "ftp://host/x", "http://host/x", "foo://x/y"])
def test_urls_that_cannot_be_used(word):
    with pytest.raises(UsageError, match=r"names no bucket|an s3:// or gs:// URL"):
        as_location(word)
