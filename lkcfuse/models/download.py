"""Downloads a file of known length: resumed where it stopped, retried, hashed while it streams."""

from __future__ import annotations

import errno
import hashlib
import http.client
import json
import os
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from lkcfuse import strict_json
from lkcfuse.errors import WeightsError
from lkcfuse.models.hashing import Progress
from lkcfuse.models.manifest import Notify
from lkcfuse.models.transport import get
from lkcfuse.plain_files import create, open_own, read_plain, write_new

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_PIECE = 1 << 18
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True)
class Retries:
    """How often and after how long a failed request is made again.

    Attributes:
        attempts: Requests in a row that get no further than those before; then it gives up.
        first_wait: Seconds before the second attempt; doubled each time, with some jitter so
            that many clients do not come back at once.
        longest_wait: Most seconds to wait, whoever asks for more.
    """

    attempts: int = 5
    first_wait: float = 0.5
    longest_wait: float = 120.0

    def wait(self, failures: int) -> float:
        """Return the seconds to wait after so many failures in a row."""
        backoff: float = self.first_wait * 2 ** (failures - 1)
        return min(self.longest_wait, backoff * random.uniform(1, 1.25))


@dataclass(frozen=True)
class Received:
    """What a download left on disk.

    Attributes:
        sha256: Hash of the whole file.
        resumed: Whether the file was put together from more than one response.
    """

    sha256: str
    resumed: bool


class _TryAgainError(Exception):
    """A failure that may pass; carries the wait the server asked for, if it did."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def download(
    url: str,
    partial: Path,
    size: int,
    *,
    notify: Notify,
    headers: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    retries: Retries | None = None,
) -> Received:
    """Fetch a file of `size` bytes into `partial`, going on with what is there already.

    What arrived stays in `partial` whatever happens, for the next call to go on with; a second
    file beside it keeps the server's validator, so that a file that changed on the server is
    fetched anew. The caller compares the hash.

    Args:
        url: The address, https or loopback http.
        partial: The file to write; its folder exists.
        size: Exact length of the file, in bytes.
        notify: Told of retries.
        headers: Further request headers.
        progress: Called with (done, total) bytes.
        retries: How to retry; `Retries()` if left out.

    Returns:
        The hash of the file, now complete.

    Raises:
        WeightsError: The server does not have the file, or another one; or it cannot be reached.
        OSError: The disk is full or not writable.
    """
    retries = retries or Retries()
    resumed = _size_of_own(partial) > 0
    failures = furthest = 0
    while True:
        transfer = _Transfer(url, partial, size, headers or {}, progress)
        try:
            return Received(transfer.run(), resumed)
        except _TryAgainError as problem:
            # A server that ignores Range and always breaks off gains bytes but gets no further.
            failures = 1 if transfer.done > furthest else failures + 1
            furthest = max(furthest, transfer.done)
            resumed = True
            if failures >= retries.attempts:
                raise WeightsError(
                    f"{url}: {problem} (tried {failures} times): try again later, or fetch the "
                    "file by other means and use 'lkcfuse weights import'"
                ) from None
            wait = retries.wait(failures) if problem.wait is None else problem.wait
            if wait > retries.longest_wait:
                raise WeightsError(
                    f"{url}: {problem}, and the server asks to wait {wait:.0f} s: try again "
                    "after that"
                ) from None
            notify(f"{urlsplit(url).hostname}: {problem}; trying again in {wait:.1f} s")
            time.sleep(wait)


class _Transfer:
    """One request, and its body appended to the partial file."""

    def __init__(
        self,
        url: str,
        partial: Path,
        size: int,
        headers: Mapping[str, str],
        progress: Progress | None,
    ) -> None:
        self.url = url
        self.done = 0
        self._partial = partial
        self._validator_file = partial.with_name(f"{partial.name}.json")
        self._size = size
        self._common_headers = headers
        self._progress = progress or (lambda _done, _total: None)
        self._digest = hashlib.sha256()

    def run(self) -> str:
        """Fetch what is missing and return the hash of the whole."""
        offset = self._hash_what_is_there()
        if offset < self._size:
            with _passing_failures(), get(self.url, self._headers(offset)) as response:
                offset = self._accept(response, offset)
                self._receive(response, offset)
        self._validator_file.unlink(missing_ok=True)
        return self._digest.hexdigest()

    def _hash_what_is_there(self) -> int:
        if not 0 < _size_of_own(self._partial) <= self._size:
            self._partial.unlink(missing_ok=True)
            return 0
        done = 0
        with os.fdopen(open_own(self._partial), "rb") as file:
            while piece := file.read(_PIECE):
                self._digest.update(piece)
                done += len(piece)
        return done

    def _headers(self, offset: int) -> dict[str, str]:
        if offset == 0:
            return dict(self._common_headers)
        headers = {**self._common_headers, "Range": f"bytes={offset}-"}
        validator = self._stored_validator()
        if validator is not None:
            headers["If-Range"] = validator
        return headers

    def _accept(self, response: BaseHTTPResponse, offset: int) -> int:
        """Check status and announced length; return the offset at which the body begins."""
        status = response.status
        if status == 416 and offset > 0:
            # The server's file is shorter than what is here: of another file, so start anew.
            self._partial.unlink()
            raise _TryAgainError("the file on the server has changed")
        if status in (408, 425, 429) or status >= 500:
            raise _TryAgainError(f"the server answers {_status(response)}", _retry_after(response))
        if status not in (200, 206):
            raise WeightsError(
                f"{self.url}: the server answers {_status(response)}: check the address, or fetch "
                "the file by other means and use 'lkcfuse weights import'"
            )
        if status == 206:
            match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
            if match is None or int(match[1]) != offset:
                self._partial.unlink()
                raise _TryAgainError("the server sent a different part than requested")
            self._check_length(None if match[3] == "*" else int(match[3]))
        else:
            announced = response.headers.get("Content-Length", "")
            self._check_length(int(announced) if announced.isdecimal() else None)
            offset = 0
            self._digest = hashlib.sha256()
        self._store_validator(response)
        return offset

    def _check_length(self, length: int | None) -> None:
        if length is not None and length != self._size:
            raise WeightsError(
                f"{self.url}: the server offers {length} bytes where the manifest says "
                f"{self._size}: it is a different file"
            )

    def _receive(self, response: BaseHTTPResponse, offset: int) -> None:
        self.done = offset
        descriptor = open_own(self._partial, os.O_RDWR) if offset else create(self._partial)
        with os.fdopen(descriptor, "r+b") as file:
            file.seek(offset)
            self._progress(self.done, self._size)
            while self.done < self._size:
                # What has arrived, without waiting for more: on a slow line too, progress moves
                # and an interruption loses next to nothing.
                piece = response.read1(min(_PIECE, self._size - self.done))
                if not piece:
                    raise _TryAgainError(
                        f"the connection ended after {self.done} of {self._size} bytes"
                    )
                file.write(piece)
                self._digest.update(piece)
                self.done += len(piece)
                self._progress(self.done, self._size)
            # A chunked body announces no length: what goes on past the end is another file.
            if response.read(1):
                raise WeightsError(f"{self.url}: the server sends more than {self._size} bytes")

    def _stored_validator(self) -> str | None:
        """Return the validator of the partial file, if this address gave it."""
        try:
            stored = strict_json.loads(read_plain(self._validator_file))
            return str(stored["validator"]) if stored["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _store_validator(self, response: BaseHTTPResponse) -> None:
        """Keep a strong ETag, or else the date, which If-Range accepts; a weak one it does not."""
        etag = response.headers.get("ETag")
        strong = etag if etag is not None and etag.startswith('"') else None
        validator = strong or response.headers.get("Last-Modified")
        if validator is None:
            self._validator_file.unlink(missing_ok=True)
        else:
            record = json.dumps({"url": self.url, "validator": validator})
            write_new(self._validator_file, record.encode())


def _size_of_own(path: Path) -> int:
    """Return the bytes of an unfinished download of this user; 0 for what somebody else put there.

    Raises:
        OSError: The folder cannot be looked into.
    """
    try:
        descriptor = open_own(path)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP, errno.EINVAL, errno.EPERM, errno.EACCES):
            return 0
        raise
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


@contextmanager
def _passing_failures() -> Iterator[None]:
    """Turn what the network does to a connection into a failure that may pass."""
    from urllib3.exceptions import HTTPError

    try:
        yield
    except HTTPError as error:
        raise _TryAgainError(_reason(error)) from None


def _reason(error: BaseException) -> str:
    """Say what broke a connection in the words of its innermost cause, not of its wrappers."""
    from urllib3 import exceptions

    # Refused connections and unknown hosts are time-outs to urllib3, so those come last.
    if isinstance(error, exceptions.NameResolutionError):
        return "the host is not found: is the network up?"
    while error.args and isinstance(error.args[-1], BaseException):
        error = error.args[-1]
    if isinstance(error, http.client.IncompleteRead):
        return "the connection was lost"
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return f"the connection failed ({cause.strerror})"
    if isinstance(error, (exceptions.TimeoutError, TimeoutError)):
        return "the server does not answer in time"
    return f"the connection failed ({error})"


def _status(response: BaseHTTPResponse) -> str:
    return f"{response.status} {response.reason or ''}".rstrip()


def _retry_after(response: BaseHTTPResponse) -> float | None:
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return Retry().get_retry_after(response)
    except InvalidHeader:
        return None
