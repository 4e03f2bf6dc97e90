from __future__ import annotations

import pytest
from caches import listing, same

from lkcfuse.errors import InputError, WeightsError
from lkcfuse.models.fetch import import_file, pull


def test_a_file_carried_by_hand_is_verified_and_stays(offer, store, pth, network, tmp_path, server):
    it = offer(pth)
    file = tmp_path / "carried.pth"
    file.write_bytes(pth)
    path = import_file(it, file, store, notify=print)
    assert same(path, network)
    assert file.read_bytes() == pth
    assert listing(store) == [".json", ".safetensors"]
    assert server.requests == []
    assert pull(it, store, notify=print, offline=True) == path


def test_importing_again_changes_nothing(offer, store, pth, tmp_path, said):
    it = offer(pth)
    file = tmp_path / "carried.pth"
    file.write_bytes(pth)
    path = import_file(it, file, store, notify=print, keep=True)
    before = path.stat().st_mtime_ns
    assert import_file(it, file, store, notify=said.append) == path
    assert path.stat().st_mtime_ns == before
    assert said == ["tiny is already in the cache"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "it is a different file, or was cut off"),
        (lambda data: b"\0" + data[1:], "does not match the hash"),
    ],
)
def test_another_file_carried_by_hand_is_refused(offer, store, pth, tmp_path, change, words):
    file = tmp_path / "carried.pth"
    file.write_bytes(change(pth))
    with pytest.raises(WeightsError, match=words) as caught:
        import_file(offer(pth), file, store, notify=print)
    assert str(file) in str(caught.value)
    assert file.exists()
    assert not store.folder.exists() or listing(store) == []


def test_a_file_of_the_hub_can_be_carried_by_hand(offer, store, pth, network, tmp_path):
    source = {"hub": "me/fusion", "file": "deep/best.pth", "revision": "v1"}
    it = offer(pth, source=source)
    file = tmp_path / "best.pth"
    file.write_bytes(pth)
    path = import_file(it, file, store, notify=print)
    assert same(path, network)
    assert pull(it, store, notify=print, offline=True) == path


def test_a_file_that_is_not_there_cannot_be_imported(offer, store, pth, tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        import_file(offer(pth), tmp_path / "absent.pth", store, notify=print)
