"""An S3 server on the loopback address, with one bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
import pytest
import s3fs
from moto.server import ThreadedMotoServer

from lkcfuse.remote import RemotePath


@contextmanager
def s3_server() -> Iterator[ThreadedMotoServer]:
    """Serve, and tell every S3 client of this process and its children where."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "testing")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # A server that is gone is to be noticed at once.
        patch.setenv("AWS_MAX_ATTEMPTS", "1")
        # Clients are kept from one use to the next, with the address of a server that was.
        s3fs.S3FileSystem.clear_instance_cache()
        boto3.client("s3").create_bucket(Bucket="bucket")
        try:
            yield server
        finally:
            server.stop()
            s3fs.S3FileSystem.clear_instance_cache()


def upload(folder: Path, url: RemotePath) -> RemotePath:
    """Put all files of a folder below a URL."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            (url / path.relative_to(folder).as_posix()).write_bytes(path.read_bytes())
    return url


def objects(url: RemotePath) -> dict[str, bytes]:
    """The bytes of every object below a URL, what a batch keeps for itself left out."""
    found = {path.url[len(url.url) + 1 :]: path for path in url.find()}
    return {
        name: path.read_bytes() for name, path in found.items() if not name.startswith(".lkcfuse")
    }
