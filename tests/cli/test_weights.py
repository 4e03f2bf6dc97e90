"""`lkcfuse weights` end to end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from checkpoints import authors_pth, entry, tiny_network, write_manifest
from loopback import Answer, FileServer

PULL = [sys.executable, "-m", "lkcfuse", "weights", "pull", "tiny"]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LKCFUSE_CACHE", str(folder))
    for name in ("LKCFUSE_MANIFEST", "LKCFUSE_MIRROR", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def server():
    with FileServer().running() as running:
        yield running


@pytest.fixture(scope="module")
def pth():
    return authors_pth(tiny_network())


@pytest.fixture
def manifest(server, tmp_path, monkeypatch, pth):
    """Two entries of the user's own, in `LKCFUSE_MANIFEST`: one served and one not."""
    server.files["/best.pth"] = pth
    path = write_manifest(
        tmp_path / "own.json",
        entry("tiny", server.url("/best.pth"), pth, aliases=["pair"], notice="ask first"),
        entry("gone", server.url("/gone.pth"), pth, tasks=["mri-ct"], aliases=["pair"]),
    )
    monkeypatch.setenv("LKCFUSE_MANIFEST", str(path))
    return path


def test_list_says_where_each_stands(lkcfuse, manifest):
    def states():
        rows = json.loads(lkcfuse("weights", "list", "--json").text)
        return {row["name"]: row["state"] for row in rows}

    assert states()["tiny"] == "remote"
    lkcfuse("weights", "pull", "tiny")
    assert states()["tiny"] == "cached"
    assert states()["gone"] == "remote"
    table = lkcfuse("weights", "list").text.splitlines()
    assert table[0].split() == ["NAME", "TASKS", "SIZE", "STATE", "LICENCE"]
    assert any(
        line.split()[:4] == ["lkc-funet-mif", "mri-ct,", "mri-pet,", "mri-spect"] for line in table
    )
    assert len(table) == 1 + len(states())


def test_list_of_a_task_shows_its_own_alone(lkcfuse, manifest):
    rows = json.loads(lkcfuse("weights", "list", "--task", "mri-ct", "--json").text)
    assert [row["name"] for row in rows if row["name"] in ("tiny", "gone")] == ["gone"]
    assert rows[0]["default_for"][0] == "mri-ct"
    lkcfuse("weights", "list", "--task", "mri").assert_fails(2, "no task is called 'mri'")


def test_pull_says_the_notice_and_prints_the_path(lkcfuse, manifest):
    done = lkcfuse("weights", "pull", "tiny")
    assert done.code == 0
    assert done.err.splitlines()[0] == "lkcfuse: tiny: ask first"
    name, path = done.text.split()
    assert name == "tiny"
    assert Path(path).is_file()
    assert lkcfuse("weights", "path", "tiny").text == f"{path}\n"


def test_pull_quiet_prints_nothing_and_json_one_object(lkcfuse, manifest):
    done = lkcfuse("weights", "pull", "tiny", "--quiet")
    assert (done.code, done.out, done.err) == (0, b"", "")
    record = json.loads(lkcfuse("weights", "pull", "tiny", "--json").text)
    assert (record["name"], record["state"]) == ("tiny", "cached")


def test_pull_goes_on_after_one_that_cannot_be_had(lkcfuse, manifest):
    done = lkcfuse("weights", "pull", "gone", "tiny", "--quiet", "--json")
    assert done.code == 4
    fetched, failed = map(json.loads, done.text.splitlines())
    assert fetched["name"] == "tiny"
    assert (failed["exit_code"], "gone.pth" in failed["error"]) == (4, True)
    assert done.err.count("lkcfuse: error: ") == 1
    assert "gone.pth: the server answers 404" in done.err


def test_pull_of_an_alias_takes_all_or_the_one_of_the_task(lkcfuse, manifest, server):
    lkcfuse("weights", "pull", "pair", "--task", "ir-vis", "--quiet")
    assert [request.path for request in server.gets()] == ["/best.pth"]
    lkcfuse("weights", "pull", "pair", "--quiet")
    assert [request.path for request in server.gets()] == ["/best.pth", "/gone.pth"]
    failed = lkcfuse("weights", "pull", "tiny", "--task", "mri-ct")
    failed.assert_fails(2, "'tiny' were not made for mri-ct")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["pull"], 2, "say which weights: a name, all, or --task"),
        (["pull", "tny"], 4, "did you mean 'tiny'?"),
        (["pull", "tiny", "--offline"], 4, "lkcfuse weights import best.pth --name tiny"),
        (["path", "tiny"], 4, "run 'lkcfuse weights pull tiny'"),
        (["show", "nonsense"], 4, "no weights are called 'nonsense'"),
        (["remove", "nonsense"], 4, "no weights are called 'nonsense'"),
        (["verify", "nonsense"], 4, "no weights are called 'nonsense'"),
        (["import", "absent.pth", "--name", "tiny"], 3, "absent.pth is not a file"),
        (["import", "absent.pth"], 2, "--name"),
        (["import", "absent.pth", "--name", "pair"], 2, "or give --task"),
        (["import", "absent.pth", "--name", "pair", "-t", "ir-vis"], 3, "absent.pth is not a file"),
        (["list", "--manifest", "absent.json"], 4, "absent.json: the manifest cannot be read"),
    ],
)
def test_a_mistake_is_one_line(lkcfuse, manifest, words, code, message):
    lkcfuse("weights", *words).assert_fails(code, message)


def test_an_override_of_a_built_in_name_is_said_aloud(lkcfuse, tmp_path, server, pth):
    own = write_manifest(
        tmp_path / "override.json", entry("lkc-funet-vif", server.url("/best.pth"), pth)
    )
    done = lkcfuse("weights", "list", "--manifest", own)
    assert done.err == f"lkcfuse: {own} overrides the built-in weights 'lkc-funet-vif'\n"


def test_the_command_alone_shows_its_help(lkcfuse):
    done = lkcfuse("weights")
    assert done.code == 2
    assert "verify" in done.err


def test_show_prints_the_model_card(lkcfuse):
    text = lkcfuse("weights", "show", "lkc-funet-vif").text
    for words in (
        "Tasks          ir-vis\n",
        "Licence        none stated\n",
        "must not be passed on",
        "Channels       0 is visible, 1 is infrared\n",
        "Value ranges   in [0, 1], out [0, 1]\n",
        "1f9c4782fbe026be217cdf295c5277afc8f0e6fa28487b38baf31644a8901e77",
        "pixelwise maximum    1.04    0.71    1.63    1.39     4.5\n",
        "How to cite\n",
        "Pattern Recognition 173",
    ):
        assert words in text
    assert max(len(line) for line in text.splitlines() if "https://" not in line) <= 96
    record = json.loads(lkcfuse("weights", "show", "lkc-funet-vif", "--json").text)
    assert record["scores"][0]["metrics"]["VIF"] == 0.88
    assert record["licence"] == "none stated"


def test_the_life_of_a_file_carried_by_hand(lkcfuse, manifest, tmp_path, pth, server):
    file = tmp_path / "carried.pth"
    file.write_bytes(pth)
    imported = lkcfuse("weights", "import", file, "--name", "tiny", "--keep")
    assert imported.code == 0
    path = Path(imported.text.split()[1])
    assert lkcfuse("weights", "verify").text.splitlines()[-1] == "tiny  ok"
    assert lkcfuse("weights", "pull", "tiny", "--offline").text == imported.text
    removed = json.loads(lkcfuse("weights", "remove", "tiny", "--json").text)
    assert removed["name"] == "tiny"
    assert removed["bytes_freed"] > 2 * len(pth) - 100_000
    assert not path.exists()
    assert lkcfuse("weights", "remove", "tiny").text == "tiny  not in the cache\n"
    assert server.requests == []


def test_verify_finds_what_is_damaged(lkcfuse, manifest):
    path = Path(lkcfuse("weights", "pull", "tiny").text.split()[1])
    assert lkcfuse("weights", "verify", "tiny").text == "tiny  ok\n"
    path.write_bytes(path.read_bytes() + b"\0")
    done = lkcfuse("weights", "verify")
    assert done.code == 4
    assert done.text.endswith("tiny  damaged\n")
    assert "set aside as" in done.err
    # What was set aside is no longer there to verify.
    lkcfuse("weights", "verify", "tiny").assert_fails(4, "'tiny'", "not in the cache", "pull tiny")
    assert lkcfuse("weights", "path", "tiny").code == 4


def test_what_no_manifest_knows_any_longer_can_be_removed(lkcfuse, manifest, monkeypatch):
    lkcfuse("weights", "pull", "tiny", "--quiet")
    monkeypatch.delenv("LKCFUSE_MANIFEST")
    assert "freed" in lkcfuse("weights", "remove", "tiny").text
    lkcfuse("weights", "remove", "tiny").assert_fails(4, "no weights are called 'tiny'")


def test_remove_all_empties_the_cache(lkcfuse, manifest, cache):
    lkcfuse("weights", "pull", "tiny", "--quiet")
    assert lkcfuse("weights", "remove", "all").code == 0
    assert [path.suffix for path in (cache / "weights").iterdir()] == [".lock"]


def test_ctrl_c_leaves_a_part_to_go_on_with(lkcfuse, manifest, server, pth, cache):
    server.usual = Answer(bytes_per_second=len(pth) / 3)
    run = subprocess.Popen(PULL, stderr=subprocess.PIPE, text=True)
    for _ in range(400):
        parts = list((cache / "weights").glob("*.download"))
        if parts and parts[0].stat().st_size:
            break
        time.sleep(0.05)
    run.send_signal(signal.SIGINT)
    err = run.communicate(timeout=30)[1]
    assert run.returncode == 130
    assert err.splitlines()[-1] == "lkcfuse: interrupted"
    size = parts[0].stat().st_size
    assert 0 < size < len(pth)
    server.usual = Answer()
    assert lkcfuse("weights", "pull", "tiny").code == 0
    assert server.gets()[-1].headers["Range"] == f"bytes={size}-"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_terminal_shows_the_rate_and_the_time_left(manifest, server, pth):
    import pty

    server.usual = Answer(bytes_per_second=len(pth) / 10)
    leader, follower = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120"}
    run = subprocess.Popen(PULL, stdout=subprocess.PIPE, stderr=follower, env=environment)
    os.close(follower)
    wanted = [b"tiny", b"kB/s", b"0:00:0", b"%"]
    shown = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while not all(words in shown for words in wanted):
            shown += os.read(leader, 4096)
    run.terminate()
    run.communicate(timeout=30)
    os.close(leader)
    for words in wanted:
        assert words in shown


def test_verify_takes_names_in_the_cache_that_no_manifest_has(lkcfuse, manifest, monkeypatch):
    assert lkcfuse("weights", "pull", "tiny").code == 0
    monkeypatch.delenv("LKCFUSE_MANIFEST")
    assert lkcfuse("weights", "verify", "tiny").text == "tiny  ok\n"
    absent = lkcfuse("weights", "verify", "lkcfuse-ir-vis", "lkc-funet-vif")
    absent.assert_fails(4, "'lkc-funet-vif'", "not in the cache")


def test_a_user_that_nobody_knows(lkcfuse, monkeypatch):
    monkeypatch.setenv("LKCFUSE_CACHE", "~nobody-of-that-name/cache")
    assert lkcfuse("weights", "list").code == 0
