from __future__ import annotations

import json
import pickle
import struct
import zipfile
from io import BytesIO

import pytest
import torch
from caches import listing, same, set_aside
from checkpoints import authors_pth, tiny_network

from lkcfuse.architectures.lkc_funet import NetworkConfig
from lkcfuse.errors import WeightsError
from lkcfuse.models.fetch import import_file, pull
from lkcfuse.models.store import REMOTE


def test_a_wrong_hash_is_refused_and_set_aside_and_the_good_copy_stays(
    offer, store, pth, server, network
):
    good = pull(offer(pth), store, notify=print)
    bad = offer(pth, "bad.pth", sha256="0" * 64)
    with pytest.raises(WeightsError, match="does not match the hash") as caught:
        pull(bad, store, notify=print)
    assert server.url("/bad.pth") in str(caught.value)
    assert str(store.folder / "rejected") in str(caught.value)
    assert set_aside(store) == ["tiny-000000000000.pth"]
    assert store.state(bad) == REMOTE
    assert same(good, network)


def test_a_wrong_length_is_refused(offer, store, pth, server):
    it = offer(pth, bytes=len(pth) + 1)
    with pytest.raises(WeightsError, match="it is a different file"):
        pull(it, store, notify=print)
    assert store.state(it) == REMOTE


class Attack:
    """A pickle that writes a file when it is loaded."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def poisoned(tmp_path):
    """A PyTorch archive whose pickle wants to run code."""
    buffer = BytesIO()
    torch.save({"model.init_conv.weight": torch.zeros(2)}, buffer)
    result = BytesIO()
    with zipfile.ZipFile(buffer) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            payload = pickle.dumps(Attack(tmp_path / "owned"), protocol=2)
            new.writestr(name, payload if name.endswith("data.pkl") else old.read(name))
    return result.getvalue()


def header_of(tensors, data=b""):
    text = json.dumps(tensors).encode()
    return struct.pack("<Q", len(text)) + text + data


def unfit(kind, tmp_path):
    """A file whose hash is right and whose content is not."""
    network = tiny_network()
    if kind == "code":
        return poisoned(tmp_path), "that could run code"
    if kind == "raw pickle":
        return pickle.dumps(Attack(tmp_path / "owned")), "neither a safetensors"
    if kind == "cut archive":
        return authors_pth(network)[:20_000], "damaged"
    if kind == "text":
        return b"<html>not found</html>", "neither a safetensors"
    if kind == "nan":
        network.state_dict()["head.conv.weight"][0, 0, 0, 0] = torch.nan
        return authors_pth(network), "NaN or infinite"
    if kind == "infinite":
        network.state_dict()["head.conv.weight"][0, 0, 0, 0] = torch.inf
        return authors_pth(network), "NaN or infinite"
    if kind == "width":
        return authors_pth(tiny_network(config=NetworkConfig(4, (5, 3, 3)))), "has width 4"
    if kind == "shape":
        renamed = torch.load(BytesIO(authors_pth(network)), weights_only=True)
        renamed["model.final_conv.block.3.weight"] = torch.zeros(1, 8, 1, 1)
        buffer = BytesIO()
        torch.save(renamed, buffer)
        return buffer.getvalue(), "has shape"
    if kind == "other network":
        buffer = BytesIO()
        torch.save({"conv1.weight": torch.zeros(3)}, buffer)
        return buffer.getvalue(), "not a checkpoint of a known network"
    raise AssertionError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        *["code", "raw pickle", "cut archive", "text", "nan", "infinite", "width", "shape"],
        "other network",
    ],
)
def test_an_unfit_file_with_the_right_hash_is_refused_and_set_aside(offer, store, tmp_path, kind):
    data, words = unfit(kind, tmp_path)
    it = offer(data)
    with pytest.raises(WeightsError, match=words) as caught:
        pull(it, store, notify=print)
    assert "set aside as" in str(caught.value)
    assert len(set_aside(store)) == 1
    assert listing(store) == ["rejected"]
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff" * 8,
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 100) + b"{}",
        header_of({"a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}, b"\0" * 8),
        header_of({"a": {"dtype": "F32", "shape": [9], "data_offsets": [0, 16]}}, b"\0" * 16),
        header_of(
            {
                "a": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]},
                "b": {"dtype": "F32", "shape": [4], "data_offsets": [8, 24]},
            },
            b"\0" * 24,
        ),
        header_of({"a": {"dtype": "F32", "shape": [2, -2], "data_offsets": [0, 16]}}, b"\0" * 16),
    ],
    ids=["empty", "ones", "huge", "short", "cut", "lying shape", "overlap", "negative"],
)
def test_a_safetensors_file_that_lies_is_refused(offer, store, data):
    it = offer(data or b"\0", "tiny.safetensors")
    with pytest.raises(WeightsError, match="neither a safetensors file"):
        pull(it, store, notify=print)
    assert listing(store) == ["rejected"]


def test_a_damaged_cached_file_is_set_aside_and_fetched_anew(
    offer, store, pth, server, said, network
):
    it = offer(pth)
    path = pull(it, store, notify=print)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert same(pull(it, store, notify=said.append), network)
    assert "does not match its hash: set aside as" in said[0]
    assert len(server.gets()) == 2


def test_a_damaged_cached_file_is_not_loaded_offline(offer, store, pth, said):
    it = offer(pth)
    path = pull(it, store, notify=print)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="not in the cache and the network is off"):
        pull(it, store, notify=said.append, offline=True)
    assert "has " in said[0]
    assert "set aside as" in said[0]


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"name": "tiny"}'])
def test_a_damaged_record_means_fetching_anew(offer, store, pth, server, damage, network):
    it = offer(pth)
    pull(it, store, notify=print)
    store.places(it).record.write_bytes(damage)
    assert same(pull(it, store, notify=print), network)


def test_a_record_cannot_point_out_of_the_cache(offer, store, pth, tmp_path, network):
    it = offer(pth)
    pull(it, store, notify=print)
    record = store.places(it).record
    fields = json.loads(record.read_text())
    record.write_text(json.dumps({**fields, "file": "../../elsewhere.safetensors"}))
    assert store.path(it) is None


def test_an_unfit_file_carried_by_hand_is_refused(offer, store, tmp_path):
    data, words = unfit("code", tmp_path)
    file = tmp_path / "carried.pth"
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=words) as caught:
        import_file(offer(data), file, store, notify=print)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "owned").exists()
