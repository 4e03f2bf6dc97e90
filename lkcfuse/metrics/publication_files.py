"""Tables of a paper on disk; each ends in a hash by which it is known to be unchanged."""

from __future__ import annotations

import hashlib
from pathlib import Path

from lkcfuse.atomic import atomic_write, check_destination, may_replace
from lkcfuse.errors import UsageError
from lkcfuse.metrics.comparison import Comparison
from lkcfuse.metrics.publication import FORMATS

SUFFIXES = {".tex": "latex", ".md": "markdown", ".html": "html", ".csv": "csv"}
"""Format by suffix."""

_COMMENTS = {"latex": ("% ", ""), "markdown": ("<!-- ", " -->"), "html": ("<!-- ", " -->")}
_MARK = "unchanged since lkcfuse wrote it if SHA-256 of the lines above is "


def check_publication(path: Path, *, force: bool = False) -> None:
    """Check, before any work is done, that a table can be written there.

    Raises:
        UsageError: The suffix is not one of `SUFFIXES`, or the file exists, is not one that
            `write_publication` wrote and left as it was, and `force` is false.
        ResourceError: The folder cannot be written to.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(
            f"{path} does not say which kind of table it is: end its name in " + ", ".join(SUFFIXES)
        )
    check_destination(path, overwrite=force or _may_replace(path))


def write_publication(comparison: Comparison, path: Path, *, force: bool = False) -> None:
    """Write a table in the format of its suffix.

    Raises:
        UsageError: As `check_publication`.
        ResourceError: It cannot be written: disk full, no permission.
    """
    check_publication(path, force=force)
    kind = SUFFIXES[path.suffix.lower()]
    data = FORMATS[kind](comparison).encode("utf-8", "surrogateescape")
    with atomic_write(path, overwrite=True) as file:
        file.write(data + _signature(data, kind))


def is_own(data: bytes) -> bool:
    """Whether these are the bytes of a table as it was written."""
    lines = data.splitlines(keepends=True)
    text = b"".join(lines[:-1])
    return bool(text) and any(data == text + _signature(text, kind) for kind in _COMMENTS)


def _signature(data: bytes, kind: str) -> bytes:
    if kind not in _COMMENTS:
        return b""
    before, after = _COMMENTS[kind]
    return f"{before}{_MARK}{hashlib.sha256(data).hexdigest()}{after}\n".encode()


def _may_replace(path: Path) -> bool:
    if path.suffix.lower() == ".csv":
        return False  # it has no place for a hash
    return may_replace(path, is_own, "was not written by eval")
