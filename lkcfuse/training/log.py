"""The log of a run: one JSON object a line, beside the checkpoint."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lkcfuse.errors import ResourceError


def log_path(output: Path) -> Path:
    """Return where the log of the run that makes `output` is written."""
    return output.with_suffix(".log.jsonl")


def is_finished(output: Path) -> bool:
    """Return whether the log beside `output` tells of a run that came to its end."""
    path = log_path(output)
    if not path.is_file():
        return False
    last = path.read_bytes().rstrip().rsplit(b"\n", 1)[-1]
    return last.startswith(b'{"kind": "finished"')


def is_unimproved(output: Path) -> bool:
    """Return whether the log beside `output` tells of a run that left no checkpoint."""
    path = log_path(output)
    if not is_finished(output):
        return False
    return path.read_bytes().rstrip().endswith(b'"checkpoint": null}')


class RunLog:
    """Appends lines; what lies beyond the given length, left by a run that was killed, is cut.

    Attributes:
        is_short: Some of what the run had logged is gone, by a power failure or by hand.

    Raises:
        ResourceError: It cannot be written.
    """

    def __init__(self, path: Path, keep_bytes: int = 0) -> None:
        self.path = path
        try:
            kept = _whole_lines(path, keep_bytes)
            self._file = path.open("r+b" if kept else "wb")
            self._file.truncate(kept)
            self._file.seek(kept)
        except OSError as error:
            raise ResourceError(f"{path}: the log cannot be written: {error.strerror}") from None
        self.is_short = kept < keep_bytes

    def write(self, kind: str, **values: Any) -> None:
        """Append a line: its kind, then the values."""
        self._write(json.dumps({"kind": kind, **values}).encode() + b"\n")

    def sync(self) -> None:
        """Wait until all is on the disk: a state that counts on it may be written."""
        self._write(b"", sync=True)

    def _write(self, data: bytes, *, sync: bool = False) -> None:
        try:
            self._file.write(data)
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())
        except OSError as error:
            raise ResourceError(
                f"{self.path}: the log cannot be written: {error.strerror}"
            ) from None

    @property
    def bytes(self) -> int:
        """Length so far."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _whole_lines(path: Path, keep_bytes: int) -> int:
    """Return how many of a log's first bytes are there, as far as its last whole line."""
    if not keep_bytes or not path.exists():
        return 0
    data = path.read_bytes()[:keep_bytes]
    return data.rfind(b"\n") + 1
