"""The journal of an output folder at a URL, where objects are written whole and never added to.

It is a series of objects, `.lkcfuse/run-<time>-<run>-<number>.jsonl`, which read one after the
other as the one file of a folder on disk reads. A run writes its latest one anew with each line it
adds, until that is long enough.
"""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from lkcfuse.batch.journal import FOLDER, JournalWriter
from lkcfuse.batch.lease import Lease
from lkcfuse.errors import ResourceError
from lkcfuse.remote import RemotePath

SEGMENT_BYTES = 1 << 16
"""A segment that is longer gets no more lines: some hundred pairs."""


class Segments(JournalWriter):
    """A journal of segments, open for writing; threads may write side by side.

    Args:
        folder: The output folder.
        lease: That makes it this run's own.
    """

    def __init__(self, folder: RemotePath, lease: Lease) -> None:
        self._lease = lease
        self._start = folder / FOLDER / f"run-{time.time_ns() // 10**6:013d}-{secrets.token_hex(4)}"
        self._number = 1
        self._lines = b""
        self._unwritten = b""
        self._lock = threading.Lock()

    def __exit__(self, *_error: object) -> None:
        with suppress(ResourceError):
            self.append_all([])

    def append_all(self, records: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
        """Write several lines at once, all of them or none.

        Args:
            records: The lines' objects.
            sync: Wait until they are in the store; else they go with the next ones that are.

        Raises:
            ResourceError: They cannot be written, or another run has taken the folder over.
        """
        lines = b"".join(json.dumps(record).encode() + b"\n" for record in records)
        with self._lock:
            if not sync:
                self._unwritten += lines
                return
            self._lease.check()
            content = self._lines + self._unwritten + lines
            if len(content) == len(self._lines):
                return
            path = RemotePath(f"{self._start}-{self._number:06d}.jsonl")
            try:
                path.write_bytes(content)
            except OSError as error:
                raise ResourceError(f"{path} cannot be written: {error}") from None
            self._lines, self._unwritten = content, b""
            if len(content) >= SEGMENT_BYTES:
                self._number += 1
                self._lines = b""
