"""Standard streams: closed ones, those that cannot hold every name, and terminals.

A terminal obeys control characters, and names of files may have some.
"""

from __future__ import annotations

import codecs
import os
import re
import sys

from lkcfuse.errors import UsageError

_closed: set[str] = set()

ERRORS = "lkcfuse.names"
"""How standard output takes a name that its encoding cannot hold (see `codecs.register_error`).

A file name that is not valid text comes out as the bytes it went in; a character that the encoding
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


# What moves the cursor, colours or renames a terminal, or turns the direction of text: the control
# characters of ASCII and of ISO 6429 (C1), the bytes of names that are not text, and Unicode's
# directional overrides.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\udc80-\udcff]")


def escape(text: str, *, keep: str = "") -> str:
    r"""Return a text with the characters that steer a terminal as Python writes them.

    Args:
        text: Anything that may have a file's name in it.
        keep: Control characters that are meant.

    Example:
        >>> escape("\x1b[2Jname\n")
        '\\x1b[2Jname\\n'
    """
    return _CONTROLS.sub(lambda m: m[0] if m[0] in keep else ascii(m[0])[1:-1], text)


def for_stdout(text: str, *, keep: str = "\t\n") -> str:
    """Return what standard output gets of a text: on a terminal `escape`, elsewhere all of it."""
    return escape(text, keep=keep) if sys.stdout.isatty() else text


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
