"""The log of a run: one JSON object a line, beside the checkpoint."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lkcfuse.errors import InputError, ResourceError


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


class RunLog:
    """Appends lines; what lies beyond the given length, left by a run that was killed, is cut.

    Raises:
        InputError: The log that is there is shorter: it is another run's.
        ResourceError: It cannot be written.
    """

    def __init__(self, path: Path, keep_bytes: int = 0) -> None:
        self.path = path
        try:
            self._file = path.open("r+b" if keep_bytes else "wb")
            if path.stat().st_size < keep_bytes:
                self._file.close()
                raise InputError(
                    f"{path} is shorter than the run it tells of: start again without --resume"
                )
            self._file.truncate(keep_bytes)
            self._file.seek(keep_bytes)
        except OSError as error:
            raise ResourceError(f"{path}: the log cannot be written: {error.strerror}") from None

    def write(self, kind: str, **values: Any) -> None:
        """Append a line: its kind, then the values."""
        line = json.dumps({"kind": kind, **values}) + "\n"
        try:
            self._file.write(line.encode())
            self._file.flush()
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
