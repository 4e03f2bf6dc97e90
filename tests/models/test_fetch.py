from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from caches import listing, same
from checkpoints import authors_pth, safetensors, tiny_network
from loopback import Answer

from lkcfuse.errors import WeightsError
from lkcfuse.models.checkpoint import load_checkpoint
from lkcfuse.models.download import Retries
from lkcfuse.models.fetch import pull
from lkcfuse.models.store import CACHED, PARTIAL, REMOTE, Store
from lkcfuse.notes import Note

QUICK = Retries(attempts=3, first_wait=0.01)


def test_a_pth_is_fetched_verified_and_converted_once(offer, store, network, pth, said, server):
    it = offer(pth, notice="ask first")
    assert store.state(it) == REMOTE
    path = pull(it, store, notify=said.append)
    assert store.state(it) == CACHED
    assert path.suffix == ".safetensors"
    assert same(path, network)
    assert said == ["tiny: ask first", "tiny: converting to safetensors"]
    assert [isinstance(line, Note) for line in said] == [False, True]
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


def test_a_mirror_may_ask_for_a_login_which_is_kept_nowhere(
    offer, store, pth, server, monkeypatch, cache
):
    it = offer(pth, "best.pth")
    server.files = {"/m/best.pth": pth}
    server.plan += [Answer(drop_at=1000), Answer(status=404)]
    monkeypatch.setenv("LKCFUSE_MIRROR", server.url("/m").replace("//", "//me:secret@"))
    told = []
    with pytest.raises(WeightsError, match="404") as refused:
        pull(it, store, notify=told.append, retries=QUICK)
    given = [request.headers["Authorization"] for request in server.gets()]
    assert given == ["Basic bWU6c2VjcmV0"] * 2
    assert told
    kept = [path.read_text() for path in cache.rglob("*.json")]
    assert kept
    assert not [text for text in (*told, *kept, str(refused.value)) if "secret" in text]


def test_a_mirror_over_plain_http_is_refused(offer, store, pth, monkeypatch):
    monkeypatch.setenv("LKCFUSE_MIRROR", "http://mirror.example/x")
    with pytest.raises(WeightsError, match=r"LKCFUSE_MIRROR: .*plain http"):
        pull(offer(pth), store, notify=print)


def test_a_name_the_server_gives_is_not_used(offer, store, pth, server, cache):
    server.plan.append(Answer(headers={"Content-Disposition": 'attachment; filename="../../x"'}))
    pull(offer(pth), store, notify=print)
    assert [path.name for path in cache.iterdir()] == ["weights"]
    assert listing(store) == [".json", ".safetensors"]


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
    assert sum("another process is using" in err for _, err in ends) == 1


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
