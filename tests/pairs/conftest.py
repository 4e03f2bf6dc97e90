from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import ImageCms


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.fixture
def make_png():
    """Write a PNG by the letter of its standard: any colour type with 8 or 16 bits."""
    colour_types = {1: 0, 2: 4, 3: 2, 4: 6}

    def make(array, extra=b""):
        array = array[..., None] if array.ndim == 2 else array
        height, width, channels = array.shape
        depth = array.dtype.itemsize * 8
        rows = array.astype(array.dtype.newbyteorder(">")).reshape(height, -1)
        header = struct.pack(">IIBBBBB", width, height, depth, colour_types[channels], 0, 0, 0)
        data = b"".join(b"\0" + row.tobytes() for row in rows)
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + extra
            + _chunk(b"IDAT", zlib.compress(data))
            + _chunk(b"IEND", b"")
        )

    return make


@pytest.fixture
def make_grey_png():
    """Write a grey PNG of one row with 1 to 16 bits a sample, and a level that is transparent."""

    def make(levels, bits, transparent):
        row = "".join(f"{level:0{bits}b}" for level in levels)
        row += "0" * (-len(row) % 8)
        header = struct.pack(">IIBBBBB", len(levels), 1, bits, 0, 0, 0, 0)
        data = b"\0" + int(row, 2).to_bytes(len(row) // 8, "big")
        return (
            b"\x89PNG\r\n\x1a\n"
            + _chunk(b"IHDR", header)
            + _chunk(b"tRNS", struct.pack(">H", transparent))
            + _chunk(b"IDAT", zlib.compress(data))
            + _chunk(b"IEND", b"")
        )

    return make


@pytest.fixture(scope="session")
def rgb_profile():
    """The ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def noise():
    """Random samples, (H, W) or (H, W, C)."""

    def make(*shape, dtype=np.uint8):
        high = np.iinfo(dtype).max + 1
        return np.random.default_rng(3).integers(0, high, shape).astype(dtype)

    return make
