from __future__ import annotations

import pytest
from loopback import FileServer

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
