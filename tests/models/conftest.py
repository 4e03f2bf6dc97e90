from __future__ import annotations

import pytest
from checkpoints import authors_pth, entry, tiny_network, write_manifest
from loopback import FileServer

from lkcfuse.models import load_manifest
from lkcfuse.models.store import Store

SETTINGS = [
    *["LKCFUSE_MANIFEST", "LKCFUSE_MIRROR", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_TOKEN"],
    *["SSL_CERT_FILE", "SSL_CERT_DIR"],
    *["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"],
    *["http_proxy", "https_proxy", "all_proxy", "no_proxy"],
]


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """A cache of the test's own, and none of the user's settings."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("LKCFUSE_CACHE", str(folder))
    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def server():
    with FileServer().running() as running:
        yield running


@pytest.fixture
def said():
    """What was said aloud, line by line; its `append` is a `notify`."""
    return []


@pytest.fixture(scope="session")
def network():
    return tiny_network()


@pytest.fixture(scope="session")
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
