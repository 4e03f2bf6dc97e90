"""Where a report goes: checked before the work, written whole, told apart from others' files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

from lkcfuse.atomic import atomic_write, check_destination, check_not_used, may_replace
from lkcfuse.errors import UsageError
from lkcfuse.remote import Location, is_url
from lkcfuse.report.content import Report
from lkcfuse.report.page import render

MAX_PAIRS = 10_000
"""Pairs that a page holds: more would be too much for a browser."""

_SUFFIXES = (".html", ".htm")

# The last line of a report: a hash of all that stands before it.
_SEAL = re.compile(rb"<!-- lkcfuse report, sha256 ([0-9a-f]{64}) -->\n")
_SEAL_BYTES = 97


def check_report(
    path: Location,
    *,
    used: Iterable[Location] = (),
    force: bool = False,
    to_be_made: object = None,
) -> None:
    """Check, before any work is done, that a report can be written there.

    Args:
        path: The file to write.
        used: Files that the same run reads or writes: none of them may be replaced.
        force: Whether any file that exists may be replaced.
        to_be_made: A folder that the run makes; it need not exist yet.

    Raises:
        UsageError: The name does not end in `.html` or is a URL, it is one of `used`, its folder
            does not exist, or a file exists that is not a report, or one that was changed, and
            `force` is false.
        ResourceError: The folder cannot be written to.
    """
    if is_url(str(path)) or not isinstance(path, Path):
        raise UsageError(f"{path} is a URL: a report is a file of this machine")
    if path.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"the report {path} is an HTML page: give it a name that ends in .html")
    check_not_used(path, used)
    check_destination(path, overwrite=force or _may_replace(path), to_be_made=to_be_made)


def check_report_size(pairs: int) -> None:
    """Check that so many pairs go into one page.

    Raises:
        UsageError: They are too many.
    """
    if pairs > MAX_PAIRS:
        raise UsageError(
            f"a report holds at most {MAX_PAIRS} pairs, and there are {pairs}: leave out "
            "--report, or make a report of a part"
        )


def write_report(
    report: Report,
    path: Path,
    *,
    force: bool = False,
    progress: Callable[[float, float], None] | None = None,
) -> int:
    """Write a report, whole or not at all.

    Args:
        report: What it shows; images are read as the page is written.
        path: The file to write.
        force: Whether any file that exists may be replaced.
        progress: Called with (pairs done, pairs in all).

    Returns:
        Its length in bytes.

    Raises:
        UsageError: As `check_report` and `check_report_size`.
        ResourceError: The file cannot be written: disk full, no permission.
    """
    check_report(path, force=force)
    check_report_size(len(report.pairs))
    digest = hashlib.sha256()
    length = 0
    with atomic_write(path, overwrite=force or _may_replace(path)) as file:
        for piece in render(report, progress):
            data = piece.encode()
            digest.update(data)
            length += len(data)
            file.write(data)
        seal = f"<!-- lkcfuse report, sha256 {digest.hexdigest()} -->\n".encode()
        file.write(seal)
    return length + len(seal)


def is_own_report(data: bytes) -> bool:
    """Whether these are the bytes of a report as `write_report` left it, down to the last one."""
    page, seal = data[:-_SEAL_BYTES], data[-_SEAL_BYTES:]
    found = _SEAL.fullmatch(seal)
    return found is not None and hashlib.sha256(page).hexdigest().encode() == found[1]


def _may_replace(path: Path) -> bool:
    return may_replace(path, is_own_report, "is not a report")
