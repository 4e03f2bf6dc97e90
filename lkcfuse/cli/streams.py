"""Standard streams that the caller has closed, as cron jobs and services do."""

from __future__ import annotations

import os
import sys

from lkcfuse.errors import UsageError

_closed: set[str] = set()


def open_closed() -> None:
    """Give each standard stream that is closed to the null device.

    Python leaves None in its place, and the next file to be opened would get its number: a
    library's message to stderr would end up in an image.
    """
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        if getattr(sys, name) is not None:
            continue
        _closed.add(name)
        null = os.open(os.devnull, os.O_RDWR)
        if null != number:
            os.dup2(null, number)
            os.close(null)
        setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


def check_stdout() -> None:
    """Check that what is written to standard output goes anywhere.

    Raises:
        UsageError: It was closed when the program started.
    """
    if "stdout" in _closed:
        raise UsageError("standard output is closed: redirect it, or name a file")
