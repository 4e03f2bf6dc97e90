"""Real HTTP servers on loopback: one that serves files and misbehaves on demand, and a proxy."""

from __future__ import annotations

import hashlib
import re
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

_PIECE = 1 << 16


@dataclass(frozen=True)
class Answer:
    """How one request is answered; the plain `Answer()` serves the file as a good server does.

    Attributes:
        status: Instead of the file, this status and an empty body (a redirect with `headers`).
        headers: Further headers, over the usual ones.
        body: Instead of the file's bytes, these.
        drop_at: Break the connection after so many bytes of the body.
        ranges: Whether a Range request is honoured.
        length: The Content-Length announced: "true", "none" (chunked), or a lie.
        bytes_per_second: Throttle.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    drop_at: int | None = None
    ranges: bool = True
    length: str | int = "true"
    bytes_per_second: float | None = None


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    headers: dict[str, str]


class FileServer(ThreadingHTTPServer):
    """Serves files by path; each answer is the next one planned, then the usual one.

    Attributes:
        files: Bytes or a file on disk, by path.
        plan: Answers to the next GET requests.
        usual: The answer once the plan is used up.
        requests: Every request that came.
    """

    daemon_threads = True
    # A client that goes away in the middle is what these tests are about.
    block_on_close = False

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes | Path] = {}
        self.plan: deque[Answer] = deque()
        self.usual = Answer()
        self.requests: list[Request] = []
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            self.socket = tls.wrap_socket(
                self.socket, server_side=True, do_handshake_on_connect=False
            )

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.server_port}{path}"

    def gets(self) -> list[Request]:
        return [request for request in self.requests if request.method == "GET"]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are no news."""

    @contextmanager
    def running(self) -> Iterator[FileServer]:
        thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, *args: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer(Answer())

    def do_GET(self) -> None:
        plan = self.server.plan
        self._answer(plan.popleft() if plan else self.server.usual)

    def _answer(self, answer: Answer) -> None:
        path = self.path.partition("?")[0]
        self.server.requests.append(Request(self.command, self.path, dict(self.headers.items())))
        file = self.server.files.get(path)
        if answer.status is not None or file is None:
            self.send_response(answer.status or 404)
            for name, value in {"Content-Length": "0", **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            return
        body = answer.body if answer.body is not None else file
        size = len(body) if isinstance(body, bytes) else body.stat().st_size
        etag = answer.headers.get("ETag", _etag(body))
        start = self._start(answer, etag)
        if start is not None and start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if start is None else 206)
        headers = {"ETag": etag, **answer.headers}
        if start is not None:
            headers.setdefault("Content-Range", f"bytes {start}-{size - 1}/{size}")
        start = start or 0
        chunked = answer.length == "none"
        if chunked:
            headers["Transfer-Encoding"] = "chunked"
        else:
            true = size - start
            headers["Content-Length"] = str(true if answer.length == "true" else answer.length)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self._send(body, start, answer, chunked)

    def _start(self, answer: Answer, etag: str) -> int | None:
        """Return where the range asked for begins, if it is to be honoured."""
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        wanted = self.headers.get("If-Range", etag)
        return int(match[1]) if match and answer.ranges and wanted == etag else None

    def _send(self, body: bytes | Path, start: int, answer: Answer, chunked: bool) -> None:
        sent = 0
        for piece in _pieces(body, start):
            if answer.drop_at is not None and sent + len(piece) >= answer.drop_at:
                self.wfile.write(piece[: answer.drop_at - sent])
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
            if answer.bytes_per_second is not None:
                time.sleep(len(piece) / answer.bytes_per_second)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()
        # With a lying length the client would wait for the rest for ever.
        self.close_connection = answer.length not in ("true", "none")


class ConnectProxy(FileServer):
    """A forward proxy for https that sends every tunnel to one loopback server.

    Attributes:
        tunnels: The "host:port" of every CONNECT.
        logins: The Proxy-Authorization of each, or None.
    """

    def __init__(self, target: FileServer) -> None:
        super().__init__()
        self.RequestHandlerClass = _TunnelHandler
        self.target = target
        self.tunnels: list[str] = []
        self.logins: list[str | None] = []


class _TunnelHandler(BaseHTTPRequestHandler):
    server: ConnectProxy

    def log_message(self, *args: object) -> None:
        pass

    def do_CONNECT(self) -> None:
        self.server.tunnels.append(self.path)
        self.server.logins.append(self.headers.get("Proxy-Authorization"))
        with socket.create_connection(("127.0.0.1", self.server.target.server_port)) as far:
            self.send_response(200)
            self.end_headers()
            near = self.connection
            while True:
                for ready in select.select([near, far], [], [])[0]:
                    data = ready.recv(_PIECE)
                    if not data:
                        self.close_connection = True
                        return
                    (far if ready is near else near).sendall(data)


def _pieces(body: bytes | Path, start: int) -> Iterator[bytes]:
    if isinstance(body, bytes):
        for offset in range(start, len(body), _PIECE):
            yield body[offset : offset + _PIECE]
        return
    with body.open("rb") as file:
        file.seek(start)
        while piece := file.read(_PIECE):
            yield piece


def _etag(body: bytes | Path) -> str:
    if isinstance(body, bytes):
        return f'"{hashlib.sha256(body).hexdigest()}"'
    status = body.stat()
    return f'"{status.st_size:x}-{status.st_mtime_ns:x}"'
