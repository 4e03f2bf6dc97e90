"""A cache that others may write to: what they have planted is not followed, moved or kept."""

from __future__ import annotations

import os

import pytest
from caches import same

from lkcfuse.errors import ResourceError
from lkcfuse.models.fetch import import_file, pull
from lkcfuse.models.store import PARTIAL

VICTIM = b"somebody's work, which is longer than nothing"


@pytest.fixture
def victim(tmp_path):
    path = tmp_path / "victim"
    path.write_bytes(VICTIM)
    return path


@pytest.mark.parametrize("kind", ["link", "dangling", "hard link", "pipe"])
@pytest.mark.parametrize("place", ["download", "validator"])
def test_a_planted_download_is_replaced(offer, store, pth, victim, network, kind, place):
    it = offer(pth)
    store.folder.mkdir(parents=True)
    planted = store.places(it).download
    if place == "validator":
        planted.write_bytes(pth[:1000])
        planted = planted.with_name(f"{planted.name}.json")
    if kind == "link":
        planted.symlink_to(victim)
    elif kind == "dangling":
        planted.symlink_to(victim.with_name("absent"))
    elif kind == "hard link":
        planted.hardlink_to(victim)
    else:
        os.mkfifo(planted)
    path = pull(it, store, notify=print)
    assert same(path, network)
    assert not path.is_symlink()
    assert victim.read_bytes() == VICTIM
    assert not victim.with_name("absent").exists()
    assert not planted.exists()


def test_a_wrong_file_behind_a_planted_link_stays_where_it_is(offer, store, pth, victim):
    it = offer(pth)
    store.folder.mkdir(parents=True)
    store.places(it).source.symlink_to(victim)
    pull(it, store, notify=print)
    assert victim.read_bytes() == VICTIM
    assert not victim.is_symlink()


def test_a_copy_does_not_go_where_a_planted_link_leads(
    offer, store, pth, victim, tmp_path, network
):
    it = offer(pth)
    (tmp_path / "mine.pth").write_bytes(pth)
    store.folder.mkdir(parents=True)
    store.places(it).download.symlink_to(victim)
    assert same(import_file(it, tmp_path / "mine.pth", store, notify=print), network)
    assert victim.read_bytes() == VICTIM


def test_a_planted_record_is_none(offer, store, pth, network):
    """A pipe at its name would be waited for."""
    it = offer(pth)
    store.folder.mkdir(parents=True)
    os.mkfifo(store.places(it).record)
    store.places(it).download.write_bytes(b"")
    assert store.state(it) == PARTIAL
    assert list(store.records()) == []
    assert same(pull(it, store, notify=print), network)


def test_a_planted_lock_is_refused(offer, store, pth, victim):
    it = offer(pth)
    store.folder.mkdir(parents=True)
    (store.folder / f"{store.places(it).stem}.lock").symlink_to(victim)
    with pytest.raises(ResourceError, match="lock"):
        pull(it, store, notify=print)
    assert victim.read_bytes() == VICTIM


def test_refused_files_do_not_go_where_a_planted_link_leads(offer, store, pth, tmp_path):
    it = offer(pth)
    path = pull(it, store, notify=print)
    path.write_bytes(b"damaged")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (store.folder / "rejected").symlink_to(elsewhere)
    with pytest.raises(ResourceError, match=r"rejected.*link"):
        pull(it, store, notify=print)
    assert list(elsewhere.iterdir()) == []
