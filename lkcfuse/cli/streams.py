"""Standard streams: those that the caller has closed, and those that cannot hold every name."""

from __future__ import annotations

import codecs
import os
import sys

from lkcfuse.errors import UsageError

_closed: set[str] = set()

ERRORS = "lkcfuse.names"
"""How standard output takes a name that its encoding cannot hold (see `codecs.register_error`).

A file name that is no valid text comes out as the bytes it went in; a character that the encoding
lacks comes out escaped, as Python has it on stderr.
"""


def _encode_anyway(error: UnicodeError) -> tuple[bytes | str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = ord(error.object[error.start])
    end = error.start + 1
    if 0xDC80 <= character <= 0xDCFF:
        return bytes([character - 0xDC00]), end
    return ascii(chr(character))[1:-1], end


codecs.register_error(ERRORS, _encode_anyway)


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
