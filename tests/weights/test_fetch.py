from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
import subprocess
import sys
import threading
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
import torch
from checkpoints import authors_pth, entry, safetensors, tiny_network, write_manifest
from loopback import Answer

from lkcfuse.errors import InputError, ResourceError, WeightsError
from lkcfuse.network import NetworkConfig, load_checkpoint, load_network
from lkcfuse.weights import load_manifest
from lkcfuse.weights.download import Retries
from lkcfuse.weights.fetch import import_file, pull
from lkcfuse.weights.store import CACHED, PARTIAL, REMOTE, Store

QUICK = Retries(attempts=3, first_wait=0.01)


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture(scope="module")
def pth(network):
    return authors_pth(network)


@pytest.fixture
def store(cache):
    return Store()


@pytest.fixture
def offer(server, tmp_path):
    """Serve bytes and return the manifest's entry for them."""

    def call(data, file="best.pth", name="tiny", **fields):
        server.files[f"/{file}"] = data
        described = entry(name, server.url(f"/{file}"), data, **fields)
        return load_manifest(write_manifest(tmp_path / "own.json", described)).get(name)

    return call


def listing(store):
    """The files of the cache by suffix, without locks."""
    names = [path.name for path in store.folder.iterdir() if path.suffix != ".lock"]
    return sorted(name.partition("-")[2][12:] if "-" in name else name for name in names)


def set_aside(store):
    return sorted(path.name for path in (store.folder / "rejected").iterdir())


def same(path, network):
    loaded = load_network(path).state_dict()
    return all(torch.equal(loaded[key], tensor) for key, tensor in network.state_dict().items())


# -- what goes well ------------------------------------------------------------------------------


def test_a_pth_is_fetched_verified_and_converted_once(offer, store, network, pth, said, server):
    it = offer(pth, notice="ask first")
    assert store.state(it) == REMOTE
    path = pull(it, store, notify=said.append)
    assert store.state(it) == CACHED
    assert path.suffix == ".safetensors"
    assert same(path, network)
    assert said == ["tiny: ask first", "tiny: converting to safetensors"]
    assert listing(store) == [".json", ".safetensors"]
    record = json.loads(next(store.folder.glob("*.json")).read_text())
    assert record["source_sha256"] == hashlib.sha256(pth).hexdigest()
    assert record["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert record["source"] == server.url("/best.pth")
    before = path.stat().st_mtime_ns
    assert pull(it, store, notify=said.append) == path
    assert path.stat().st_mtime_ns == before
    assert len(server.gets()) == 1


def test_the_converted_file_says_its_ranges_and_provenance(offer, store, pth):
    it = offer(pth, input_range=[-1, 1], output_range=[-1, 2])
    metadata = load_checkpoint(pull(it, store, notify=print)).metadata
    assert metadata["input_range"] == "[-1.0, 1.0]"
    assert metadata["output_range"] == "[-1.0, 2.0]"
    assert metadata["source_sha256"] == it.sha256
    assert metadata["licence"] == "CC0-1.0"


def test_safetensors_are_used_as_they_are(offer, store, network, tmp_path):
    data = safetensors(network, tmp_path)
    path = pull(offer(data, "tiny.safetensors"), store, notify=print)
    assert path.read_bytes() == data
    assert listing(store) == [".json", ".safetensors"]


def test_keep_leaves_the_source_and_it_is_used_again(offer, store, pth, server, said):
    it = offer(pth)
    path = pull(it, store, notify=print, keep=True)
    assert listing(store) == [".json", ".safetensors", ".source.pth"]
    assert store.places(it).source.read_bytes() == pth
    path.write_bytes(b"damaged")
    assert pull(it, store, notify=said.append, offline=True) == path
    assert "set aside as" in said[0]
    assert len(server.gets()) == 1


def test_a_file_put_into_the_cache_by_hand_is_taken_offline(offer, store, pth, network):
    it = offer(pth)
    with pytest.raises(WeightsError, match="or put the file at ") as caught:
        pull(it, store, notify=print, offline=True)
    Path(str(caught.value).rpartition("put the file at ")[2]).write_bytes(pth)
    assert same(pull(it, store, notify=print, offline=True), network)


def test_two_sources_of_one_name_live_side_by_side(offer, store, pth, network):
    first = offer(pth)
    first_path = pull(first, store, notify=print)
    other = tiny_network(seed=1)
    second = offer(authors_pth(other), "other.pth")
    second_path = pull(second, store, notify=print)
    assert first_path != second_path
    assert same(first_path, network)
    assert same(second_path, other)


def test_a_mirror_is_asked_for_the_bare_file_name(offer, store, pth, server, monkeypatch):
    it = offer(pth, "deep/down/best.pth")
    server.files = {"/mirror/best.pth": pth}
    monkeypatch.setenv("LKCFUSE_MIRROR", server.url("/mirror/"))
    pull(it, store, notify=print)
    assert [request.path for request in server.gets()] == ["/mirror/best.pth"]


def test_a_mirror_over_plain_http_is_refused(offer, store, pth, monkeypatch):
    monkeypatch.setenv("LKCFUSE_MIRROR", "http://mirror.example/x")
    with pytest.raises(WeightsError, match=r"LKCFUSE_MIRROR: .*plain http"):
        pull(offer(pth), store, notify=print)


def test_a_name_the_server_gives_is_not_used(offer, store, pth, server, cache):
    server.plan.append(Answer(headers={"Content-Disposition": 'attachment; filename="../../x"'}))
    pull(offer(pth), store, notify=print)
    assert [path.name for path in cache.iterdir()] == ["weights"]
    assert listing(store) == [".json", ".safetensors"]


# -- offline -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["1", "true", "YES", "On"])
def test_hf_hub_offline_never_touches_the_network(offer, store, pth, server, monkeypatch, value):
    monkeypatch.setenv("HF_HUB_OFFLINE", value)
    it = offer(pth)
    with pytest.raises(WeightsError) as caught:
        pull(it, store, notify=print)
    for word in (server.url("/best.pth"), f"{len(pth)} bytes", "weights import best.pth --name"):
        assert word in str(caught.value)
    assert server.requests == []


def test_what_is_cached_is_used_offline(offer, store, pth, server):
    it = offer(pth)
    path = pull(it, store, notify=print)
    assert pull(it, store, notify=print, offline=True) == path
    assert len(server.requests) == 1


def test_a_cache_that_others_filled_may_be_read_only(offer, pth, unprivileged_folder):
    """The fixture's user may read and not write; the folder is filled as who owns it."""
    user = os.geteuid()
    os.seteuid(os.getuid())
    unprivileged_folder.chmod(0o755)
    it = offer(pth)
    path = pull(it, Store(unprivileged_folder), notify=print)
    unprivileged_folder.chmod(0o555)
    os.seteuid(user)
    assert pull(it, Store(unprivileged_folder), notify=print) == path


# -- interrupted ---------------------------------------------------------------------------------


def test_an_unfinished_download_goes_on(offer, store, pth, server, network):
    it = offer(pth)
    server.plan.extend([Answer(drop_at=10_000), *[Answer(status=503)] * 3])
    with pytest.raises(WeightsError, match="503"):
        pull(it, store, notify=print, retries=QUICK)
    assert store.state(it) == PARTIAL
    path = pull(it, store, notify=print)
    assert server.gets()[-1].headers["Range"] == "bytes=10000-"
    assert same(path, network)
    assert listing(store) == [".json", ".safetensors"]


def test_parts_of_two_versions_are_fetched_anew(offer, store, pth, server, said, network):
    it = offer(pth)
    store.folder.mkdir(parents=True)
    store.places(it).download.write_bytes(bytes(10_000))
    assert same(pull(it, store, notify=said.append), network)
    assert any("the parts do not make the file" in line for line in said)
    assert [request.headers.get("Range") for request in server.gets()] == ["bytes=10000-", None]


def test_an_interruption_between_download_and_conversion_costs_no_download(
    offer, store, pth, server, network
):
    it = offer(pth)
    store.folder.mkdir(parents=True)
    store.places(it).source.write_bytes(pth)
    (store.folder / f".{store.places(it).stem}.safetensors.123.part").write_bytes(b"half")
    assert same(pull(it, store, notify=print), network)
    assert server.requests == []
    assert listing(store) == [".json", ".safetensors"]


def test_an_interruption_before_the_record_costs_no_download(
    offer, store, network, tmp_path, server
):
    data = safetensors(network, tmp_path)
    it = offer(data, "tiny.safetensors")
    store.folder.mkdir(parents=True)
    store.places(it).ready.write_bytes(data)
    assert store.state(it) != CACHED
    assert pull(it, store, notify=print).read_bytes() == data
    assert server.requests == []


def test_two_processes_pull_once(offer, store, pth, server, tmp_path):
    offer(pth)
    server.usual = Answer(bytes_per_second=len(pth))
    command = [sys.executable, "-m", "lkcfuse", "weights", "pull", "tiny"]
    command += ["--manifest", str(tmp_path / "own.json")]
    runs = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    ends = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], ends
    assert len(server.gets()) == 1
    assert ends[0][0] == ends[1][0]
    assert sum("another process is at work" in err for _, err in ends) == 1


def test_a_second_thread_waits_for_the_first(offer, store, pth, server, said):
    it = offer(pth)
    server.usual = Answer(bytes_per_second=2 * len(pth))
    paths = []
    threads = [
        threading.Thread(target=lambda: paths.append(pull(it, Store(), notify=said.append)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(paths)) == 1
    assert len(paths) == 3
    assert len(server.gets()) == 1


# -- refused -------------------------------------------------------------------------------------


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
    with pytest.raises(WeightsError, match="it is not that file"):
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
        return poisoned(tmp_path), "it could run code"
    if kind == "raw pickle":
        return pickle.dumps(Attack(tmp_path / "owned")), "neither a safetensors"
    if kind == "cut archive":
        return authors_pth(network)[:20_000], "damaged"
    if kind == "text":
        return b"<html>not found</html>", "neither a safetensors"
    if kind == "nan":
        network.state_dict()["head.conv.weight"][0, 0, 0, 0] = torch.nan
        return authors_pth(network), "not finite"
    if kind == "infinite":
        network.state_dict()["head.conv.weight"][0, 0, 0, 0] = torch.inf
        return authors_pth(network), "not finite"
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
        return buffer.getvalue(), "no LKC-FUNet"
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


# -- the disk ------------------------------------------------------------------------------------


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


# -- carried by hand -----------------------------------------------------------------------------


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
    assert said == ["tiny is in the cache already"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: data[:-1], "it is another file, or cut short"),
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


def test_an_unfit_file_carried_by_hand_is_refused(offer, store, tmp_path):
    data, words = unfit("code", tmp_path)
    file = tmp_path / "carried.pth"
    file.write_bytes(data)
    with pytest.raises(WeightsError, match=words) as caught:
        import_file(offer(data), file, store, notify=print)
    assert str(file) in str(caught.value)
    assert not (tmp_path / "owned").exists()


def test_a_file_that_is_not_there_cannot_be_imported(offer, store, pth, tmp_path):
    with pytest.raises(InputError, match="is not a file"):
        import_file(offer(pth), tmp_path / "absent.pth", store, notify=print)


def test_no_torch_is_needed_to_fetch_what_is_cached(offer, store, pth, tmp_path):
    offer(pth)
    manifest = str(tmp_path / "own.json")
    code = (
        "import sys\n"
        "from lkcfuse.cli.app import run\n"
        f"code = run(['weights', 'pull', 'tiny', '--manifest', {manifest!r}, '--quiet'])\n"
        "print(code, 'torch' in sys.modules)"
    )
    for expected in ("0 True\n", "0 False\n"):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env=dict(os.environ),
            check=True,
        )
        assert ended.stdout == expected
