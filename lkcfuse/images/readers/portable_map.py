"""PGM, PPM and PBM (Netpbm): Pillow reads them, all but colour of more than 8 bits."""

from __future__ import annotations

import os
import re
from typing import BinaryIO

import numpy as np

from lkcfuse.images.decoded import Decoded
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.limits import check_size
from lkcfuse.images.readers.pillow import probe_format, read_format

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
    header = _deep_colour(file)
    if header is None:
        return read_format(file, "PPM", options, name)
    width, height, highest, start = header
    check_size(width, height, name)
    file.seek(start)
    data = file.read(width * height * 6)
    if len(data) < width * height * 6:
        raise ValueError("rows are missing")
    samples = np.frombuffer(data, ">u2").astype(np.uint16).reshape(height, width, 3)
    if highest < 65535:
        for row in samples:
            row[:] = np.minimum((row * np.uint64(65535) + highest // 2) // highest, 65535)
    return Decoded(samples, format="PPM")


def probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    """Return the size of a portable map; see `Reader`."""
    header = _deep_colour(file)
    if header is None:
        return probe_format(file, "PPM", options, name)
    width, height, _, start = header
    check_size(width, height, name)
    if file.seek(0, os.SEEK_END) - start < width * height * 6:
        raise ValueError("rows are missing")
    return height, width


def _deep_colour(file: BinaryIO) -> tuple[int, int, int, int] | None:
    """Return width, height, highest value and where the samples begin; None for other maps."""
    header = _DEEP_COLOUR.match(file.read(_HEADER_BYTES))
    if header is None or not 255 < int(header[3]) < 65536:
        return None
    return int(header[1]), int(header[2]), int(header[3]), header.end()
