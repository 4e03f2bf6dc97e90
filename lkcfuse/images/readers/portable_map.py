"""PGM, PPM and PBM (Netpbm): Pillow reads them, all but colour of more than 8 bits."""

from __future__ import annotations

import re
from typing import BinaryIO

import numpy as np

from lkcfuse.images.decoded import Decoded
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.limits import check_size
from lkcfuse.images.readers.pillow import read_format

# Magic number, width, height and the highest value; comments go to the end of their line.
_SPACE = rb"(?:\s|#[^\r\n]*[\r\n])+"
_DEEP_COLOUR = re.compile(rb"P6" + (_SPACE + rb"(\d{1,9})") * 3 + rb"\s")
_HEADER_BYTES = 4096


def read(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    """Read a portable map. What it calls its highest value is white.

    Raises:
        InputError: It is too large.
        Exception: It is damaged.
    """
    header = _DEEP_COLOUR.match(file.read(_HEADER_BYTES))
    width, height, highest = map(int, header.groups()) if header else (0, 0, 0)
    if header is None or not 255 < highest < 65536:
        return read_format(file, "PPM", options, name)
    check_size(width, height, name)
    file.seek(header.end())
    data = file.read(width * height * 6)
    if len(data) < width * height * 6:
        raise ValueError("rows are missing")
    samples = np.frombuffer(data, ">u2").astype(np.uint16).reshape(height, width, 3)
    if highest < 65535:
        for row in samples:
            row[:] = np.minimum((row * np.uint64(65535) + highest // 2) // highest, 65535)
    return Decoded(samples, format="PPM")
