"""The Hub's protocol from loopback: `huggingface_hub` itself is what runs."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from http.server import BaseHTTPRequestHandler

import pytest
from checkpoints import authors_pth, entry, safetensors, tiny_network, write_manifest
from loopback import FileServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class HubHandler(BaseHTTPRequestHandler):
    """Resolves files of repositories as the Hub does; large ones lie at another address."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        server = self.server
        server.seen.append((self.command, self.path, self.headers.get("Authorization")))
        if self.path.startswith("/cdn/"):
            return self.send(200, server.files[self.path.removeprefix("/cdn")])
        if server.error:
            return self.send(server.error[0], b"", {"X-Error-Code": server.error[1]})
        repo, _, rest = self.path.partition("/resolve/")
        revision, _, file = rest.partition("/")
        data = server.files.get(f"{repo}/{file}")
        if revision not in ("main", "v1", COMMIT):
            return self.send(404, b"", {"X-Error-Code": "RevisionNotFound"})
        if data is None:
            known = any(path.startswith(f"{repo}/") for path in server.files)
            return self.send(
                404, b"", {"X-Error-Code": "EntryNotFound" if known else "RepoNotFound"}
            )
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(data)),
            "X-Linked-Etag": f'"{hashlib.sha256(data).hexdigest()}"',
            # As on the Hub, another host: redirects within one are followed before asking the size.
            "Location": server.url(f"/cdn{repo}/{file}", host="localhost"),
            **server.headers,
        }
        return self.send(302, b"", headers)

    def send(self, status, data, headers=None):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)


class Hub(FileServer):
    def __init__(self):
        super().__init__()
        self.RequestHandlerClass = HubHandler
        self.seen = []
        self.error = None
        self.headers = {}

    def fetched(self):
        return [path for method, path, _ in self.seen if method == "GET" and "/cdn/" in path]


@pytest.fixture(scope="module")
def running_hub():
    with Hub().running() as running:
        yield running


@pytest.fixture(scope="module")
def hub_home(tmp_path_factory):
    """The Hub's own cache, shared by the tests: each asks for a repository of its own."""
    return tmp_path_factory.mktemp("hf")


@pytest.fixture
def hub(running_hub, hub_home, monkeypatch):
    running_hub.files, running_hub.seen = {}, []
    running_hub.error, running_hub.headers = None, {}
    monkeypatch.setenv("HF_ENDPOINT", running_hub.url(""))
    monkeypatch.setenv("HF_HOME", str(hub_home))
    return running_hub


@pytest.fixture
def repo(request):
    """The path of a repository of the test's own."""
    return "/me/" + re.sub(r"\W+", "-", request.node.name).strip("-")


@pytest.fixture(scope="module")
def network():
    return tiny_network()


@pytest.fixture
def run():
    """Run a command line as a process: `huggingface_hub` reads its settings when imported."""

    def call(*words, code=0):
        ended = subprocess.run(
            [sys.executable, "-m", "lkcfuse", *map(str, words)],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ended.returncode == code, ended.stderr
        if code:
            assert len(ended.stderr.splitlines()) == 1, ended.stderr
            assert ended.stderr.startswith("lkcfuse: error: ")
        return ended

    return call


ANSWERS = """
import json, sys
from lkcfuse.models import resolve
from lkcfuse.errors import LkcfuseError
for line in sys.stdin:
    said = []
    address, offline = json.loads(line)
    try:
        found = resolve(address, "ir-vis", offline=offline, notify=said.append)
        answer = [str(found.path), found.name, found.sha256, said]
    except LkcfuseError as error:
        answer = [type(error).__name__, str(error)]
    print(json.dumps(answer), flush=True)
"""


class Resolver:
    """A process that resolves one address after the other, in the environment it began in."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-c", ANSWERS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, address, offline=False):
        self._process.stdin.write(json.dumps([address, offline]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self):
        self._process.communicate(timeout=20)
        assert self._process.returncode == 0


@pytest.fixture(scope="module")
def long_resolver(running_hub, hub_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_ENDPOINT", running_hub.url(""))
        patch.setenv("HF_HOME", str(hub_home))
        resolver = Resolver()
    yield resolver
    resolver.close()


@pytest.fixture
def resolve(hub, long_resolver):
    """Resolve in a process where the Hub is the stand-in."""
    return long_resolver


@pytest.fixture
def resolve_afresh(hub):
    """Resolve in a process that sees the test's own environment."""

    def call(address):
        resolver = Resolver()
        answer = resolver(address)
        resolver.close()
        return answer

    return call


def manifest_for(hub, repo, tmp_path, data, file, **fields):
    hub.files[f"{repo}/{file}"] = data
    source = {"hub": repo[1:], "file": file, "revision": COMMIT}
    return write_manifest(tmp_path / "own.json", entry("tiny", "", data, source=source, **fields))


def test_an_entry_of_the_hub_is_fetched_converted_and_used_offline(
    hub, repo, run, tmp_path, network
):
    manifest = manifest_for(
        hub, repo, tmp_path, authors_pth(network), "deep/best.pth", notice="ask"
    )
    pulled = run("weights", "pull", "tiny", "--manifest", manifest)
    assert "lkcfuse: tiny: ask\n" in pulled.stderr
    path = pulled.stdout.split()[1]
    assert path.startswith(os.environ["LKCFUSE_CACHE"])
    assert hub.fetched() == [f"/cdn{repo}/deep/best.pth"]
    again = run("weights", "pull", "tiny", "--manifest", manifest, "--offline")
    assert again.stdout == pulled.stdout
    verified = run("weights", "verify", "--manifest", manifest, "--json")
    assert '{"name": "tiny", "status": "ok", "problem": null}' in verified.stdout
    assert len(hub.fetched()) == 1


def test_safetensors_of_the_hub_are_loaded_from_its_own_cache(
    hub, repo, run, tmp_path, network, hub_home
):
    data = safetensors(network, tmp_path)
    manifest = manifest_for(hub, repo, tmp_path, data, "tiny.safetensors")
    run("weights", "pull", "tiny", "--manifest", manifest)
    listed = json.loads(run("weights", "list", "--manifest", manifest, "--json").stdout)
    (tiny,) = (it for it in listed if it["name"] == "tiny")
    assert tiny["state"] == "cached"
    assert tiny["path"].startswith(str(hub_home))
    shutil.rmtree(hub_home)
    listed = run("weights", "list", "--manifest", manifest, "--json").stdout
    assert json.loads(listed)[-1]["state"] == "remote"


def test_a_file_of_the_hub_that_the_manifest_does_not_describe_is_refused(
    hub, repo, run, tmp_path, network
):
    data = authors_pth(network)
    manifest = manifest_for(hub, repo, tmp_path, data, "best.pth", sha256="0" * 64)
    ended = run("weights", "pull", "tiny", "--manifest", manifest, code=4)
    assert "is not the file the manifest describes" in ended.stderr
    assert "set aside as" in ended.stderr
    # What was set aside does not stay in the Hub's cache, to be found again.
    run("weights", "pull", "tiny", "--manifest", manifest, code=4)
    assert len(hub.fetched()) == 2


def test_an_entry_of_the_hub_offline_says_what_to_bring(hub, repo, run, tmp_path, network):
    manifest = manifest_for(hub, repo, tmp_path, authors_pth(network), "best.pth")
    ended = run("weights", "pull", "tiny", "--manifest", manifest, "--offline", code=4)
    assert f"{repo}/resolve/{COMMIT}/best.pth" in ended.stderr
    assert "weights import best.pth --name tiny" in ended.stderr
    assert hub.seen == []


def test_a_hub_address_is_accepted_where_a_name_is(hub, repo, resolve, hub_home, network):
    data = authors_pth(network)
    hub.files[f"{repo}/best.pth"] = data
    path, name, sha256, said = resolve(f"hf:/{repo}/best.pth@v1")
    assert path.startswith(str(hub_home))
    assert name == f"hf:/{repo}/best.pth@v1"
    assert sha256 == hashlib.sha256(data).hexdigest()
    assert "assuming [0, 1]" in said[0]
    assert resolve(f"hf:/{repo}/best.pth@v1", offline=True)[0] == path
    assert len(hub.fetched()) == 1


def test_a_commit_that_is_cached_is_not_asked_for_again(hub, repo, resolve, network):
    hub.files[f"{repo}/best.pth"] = authors_pth(network)
    first = resolve(f"hf:/{repo}/best.pth@{COMMIT}")
    hub.seen.clear()
    assert resolve(f"hf:/{repo}/best.pth@{COMMIT}") == first
    assert not [path for _, path, _ in hub.seen if "best.pth" in path]


def test_the_token_is_the_hubs_own(hub, repo, resolve_afresh, network, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.files[f"{repo}/best.pth"] = authors_pth(network)
    resolve_afresh(f"hf:/{repo}/best.pth")
    sent = {token for _, path, token in hub.seen if "/resolve/" in path}
    assert sent == {"Bearer hf_secret"}


def test_hf_hub_offline_is_obeyed_for_an_address(hub, repo, resolve_afresh, network, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub.files[f"{repo}/best.pth"] = authors_pth(network)
    kind, message = resolve_afresh(f"hf:/{repo}/best.pth@v1")
    assert kind == "NotCachedError"
    assert "the network is off: fetch" in message
    assert f"{repo}/resolve/v1/best.pth" in message
    assert hub.seen == []


@pytest.mark.parametrize(
    ("file", "error", "words"),
    [
        ("absent.pth", None, "has no file 'absent.pth' at revision 'main'"),
        ("best.pth@v9", None, "has no revision 'v9'"),
        ("best.pth", (404, "RepoNotFound"), "does not exist, or needs 'hf auth login'"),
        ("best.pth", (403, "GatedRepo"), "access has to be granted"),
        ("best.pth", (401, ""), "401"),
        ("best.pth", (500, ""), "500"),
    ],
)
def test_what_the_hub_refuses_is_explained(hub, repo, resolve, file, error, words):
    hub.files[f"{repo}/best.pth"] = b"data"
    hub.error = error
    kind, message = resolve(f"hf:/{repo}/{file}")
    assert kind == "WeightsError"
    assert message.startswith(f"hf:/{repo}/{file.partition('@')[0]}@")
    assert words in message
    assert "\n" not in message


def test_a_hub_that_cannot_be_reached_is_told(hub, repo, resolve_afresh, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    kind, message = resolve_afresh(f"hf:/{repo}/best.pth")
    assert kind == "WeightsError"
    assert "cannot be reached" in message


def test_a_hub_that_cannot_be_reached_leaves_what_is_cached(
    hub, repo, resolve, resolve_afresh, monkeypatch
):
    hub.files[f"{repo}/best.pth"] = b"PK, if only in name"
    found = resolve(f"hf:/{repo}/best.pth")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = resolve_afresh(f"hf:/{repo}/best.pth")
    assert again[:3] == found[:3]
    assert "cannot be reached" in again[3][0]
    assert again[3][0].endswith(f"taking {found[0]}")


def test_a_hub_over_plain_http_elsewhere_is_refused(hub, repo, resolve_afresh, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.example")
    kind, message = resolve_afresh(f"hf:/{repo}/best.pth")
    assert kind == "WeightsError"
    assert "HF_ENDPOINT: 'http://hub.example' is plain http" in message


@pytest.mark.parametrize(
    "headers", [{"X-Linked-Etag": '"../../../../owned"'}, {"X-Repo-Commit": "../../../owned"}]
)
def test_names_from_the_server_cannot_leave_the_cache(hub, repo, resolve, hub_home, headers):
    hub.files[f"{repo}/best.pth"] = b"data"
    hub.headers = headers
    kind, message = resolve(f"hf:/{repo}/best.pth")
    assert kind == "WeightsError"
    assert message.endswith("refused")
    assert not list(hub_home.parent.rglob("owned*"))
    assert hub.fetched() == []


def test_a_cache_of_the_hub_that_cannot_be_written_is_told(
    hub, repo, resolve_afresh, tmp_path, monkeypatch
):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "file"))
    hub.files[f"{repo}/best.pth"] = b"data"
    kind, message = resolve_afresh(f"hf:/{repo}/best.pth")
    assert kind == "ResourceError"
    assert "set HF_HOME to another folder" in message
