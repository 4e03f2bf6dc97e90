from __future__ import annotations

import pytest
from checkpoints import authors_pth, entry, tiny_network, write_manifest

from lkcfuse.atomic import temporary_name
from lkcfuse.errors import ResourceError
from lkcfuse.models import load_manifest
from lkcfuse.models.fetch import pull
from lkcfuse.models.store import CACHED, PARTIAL, REMOTE, Store, cache_folder


@pytest.fixture(scope="module")
def pth():
    return authors_pth(tiny_network())


@pytest.fixture
def store():
    return Store()


@pytest.fixture
def cached(server, tmp_path, store, pth):
    """Return a function that pulls an entry of a name."""

    def call(name="tiny", keep=False):
        server.files["/best.pth"] = pth
        described = entry(name, server.url("/best.pth"), pth)
        it = load_manifest(write_manifest(tmp_path / "own.json", described)).get(name)
        pull(it, store, notify=print, keep=keep)
        return it

    return call


def files(store):
    return sorted(path.name for path in store.folder.rglob("*") if path.suffix != ".lock")


def verify(store):
    return {record.name: store.verify(path, record) for path, record in store.records()}


def test_the_cache_is_where_the_environment_says(cache, tmp_path, monkeypatch):
    assert cache_folder() == cache
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LKCFUSE_CACHE", "relative")
    assert cache_folder() == tmp_path / "relative"
    monkeypatch.delenv("LKCFUSE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "lkcfuse"


def test_what_is_intact_verifies(cached, store):
    cached()
    cached("kept", keep=True)
    assert verify(store) == {"tiny": None, "kept": None}


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes instead of"),
        (lambda path: path.write_bytes(b"\0" + path.read_bytes()[1:]), "does not match its hash"),
    ],
)
def test_a_damaged_file_is_set_aside_when_verified(cached, store, damage, words):
    it = cached()
    path = store.path(it)
    damage(path)
    problem = verify(store)["tiny"]
    assert words in problem
    assert problem.endswith(f"set aside as {store.folder / 'rejected' / path.name}")
    assert store.state(it) == REMOTE
    assert verify(store) == {}


def test_a_file_that_is_gone_is_told(cached, store):
    store.path(cached()).unlink()
    assert verify(store)["tiny"].endswith("is missing")


def test_a_damaged_source_that_was_kept_is_set_aside_and_the_rest_stays(cached, store):
    it = cached(keep=True)
    source = store.places(it).source
    source.write_bytes(source.read_bytes()[:-1] + b"\0\0")
    assert "bytes instead of" in verify(store)["tiny"]
    assert not source.exists()
    assert store.state(it) == CACHED
    assert verify(store) == {"tiny": None}


def test_an_earlier_refused_file_makes_way(cached, store):
    path = store.path(cached())
    for content in (b"one", b"two"):
        path.write_bytes(content)
        store.set_aside(path)
    assert (store.folder / "rejected" / path.name).read_bytes() == b"two"


def test_removing_takes_everything_of_a_name_and_nothing_else(cached, store):
    it = cached(keep=True)
    other = cached("tiny-two")
    store.places(it).download.write_bytes(b"half")
    (store.folder / f".{store.places(it).stem}.safetensors.7.part").write_bytes(b"half")
    temporary = temporary_name(store.places(it).ready.name, "0123456789ab")
    (store.folder / temporary).write_bytes(b"half")
    before = sum(path.stat().st_size for path in store.folder.glob("*tiny-[0-9a-f]*"))
    stays = [name for name in files(store) if name.startswith("tiny-two")]
    freed = store.remove("tiny")
    assert freed <= before
    assert freed > it.bytes
    assert files(store) == stays
    assert (store.state(it), store.state(other)) == (REMOTE, CACHED)
    assert store.remove("tiny") == 0


def test_what_a_killed_conversion_left_is_swept_up(cached, store, monkeypatch):
    it = cached()
    name = store.places(it).ready.name
    own = store.folder / temporary_name(name, "0123456789ab")
    others = store.folder / temporary_name(name.replace("tiny", "tiny-two"), "0123456789ab")
    for path in (own, others):
        path.write_bytes(b"half")
    store.places(it).record.unlink()
    cached()
    assert not own.exists()
    assert others.exists()


def test_removing_all_takes_the_refused_files_too(cached, store):
    it = cached()
    store.set_aside(store.path(it))
    cached()
    (store.folder / "notes.txt").write_text("mine")
    store.remove("all")
    assert files(store) == ["notes.txt"]


def test_removing_from_no_cache_is_nothing(store):
    assert store.remove("all") == 0


def test_a_state_follows_the_files(cached, store):
    it = cached()
    assert store.state(it) == CACHED
    store.places(it).record.unlink()
    assert store.state(it) == REMOTE
    store.places(it).download.write_bytes(b"half")
    assert store.state(it) == PARTIAL


def test_space_is_required(store):
    with store.locked("anything-000000000000"):
        store.require_space(1)
        with pytest.raises(ResourceError, match="LKCFUSE_CACHE to a folder on another disk"):
            store.require_space(1 << 62)
