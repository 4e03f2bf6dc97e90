"""How many pixels a file may have, and Pillow's own idea of that."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import PIL.Image

from lkcfuse.errors import InputError, UsageError

MAX_PIXELS = 1 << 28
"""Pixels beyond which a file is taken for a decompression bomb; `LKCFUSE_MAX_PIXELS` moves it."""


_DIGITS = 18


def check_size(width: int, height: int, name: str) -> None:
    """Check that an image is not larger than may be read.

    Raises:
        InputError: It is, or has no pixels at all.
        UsageError: `LKCFUSE_MAX_PIXELS` is no number of pixels.
    """
    if width < 1 or height < 1:
        raise InputError(f"{name} has no pixels ({width}x{height}): name another file")
    limit = _max_pixels()
    if width * height > limit:
        raise InputError(
            f"{name} has {width}x{height} pixels, more than {limit}: scale it down, or set "
            f"LKCFUSE_MAX_PIXELS={width * height} if you trust the file"
        )


def _max_pixels() -> int:
    text = os.environ.get("LKCFUSE_MAX_PIXELS", "")
    if not text:
        return MAX_PIXELS
    if not text.isdecimal() or not 0 < len(text) <= _DIGITS or int(text) < 1:
        raise UsageError(
            f"LKCFUSE_MAX_PIXELS is '{text[:40]}': set it to a number of pixels, or unset it"
        )
    return int(text)


class _Lifted:
    """How many threads are reading images that are too large for Pillow's own limit."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.pillows: int | None = None


_lifted = _Lifted()


@contextmanager
def pillow_may_read(pixels: int) -> Iterator[None]:
    """Let our limit on pixels, which was checked, hold instead of Pillow's lower one.

    Pillow's is one variable of the process. It is left alone for images that it allows; for larger
    ones it is lifted while any thread needs that, and is then what it was.

    Args:
        pixels: How many the image has.
    """
    with _lifted.lock:
        limit = _lifted.pillows if _lifted.users else PIL.Image.MAX_IMAGE_PIXELS
        needed = limit is not None and pixels > limit
        if needed:
            if not _lifted.users:
                _lifted.pillows = limit
                PIL.Image.MAX_IMAGE_PIXELS = None
            _lifted.users += 1
    try:
        yield
    finally:
        if needed:
            with _lifted.lock:
                _lifted.users -= 1
                if not _lifted.users:
                    PIL.Image.MAX_IMAGE_PIXELS = _lifted.pillows
