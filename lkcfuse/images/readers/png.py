"""PNG: whether a file has all the rows that it claims.

Decoders fill up what is missing with black where the deflate stream ends early, and allocate what
the header claims before they look for it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

from lkcfuse.images.readers.holding import MOST_INFLATED, blocks_of, file_size, inflated_size
from lkcfuse.images.readers.limits import check_size

_SIGNATURE_BYTES = 8
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

# Left, top, and steps of the passes of an interlaced file (PNG specification, 8.2).
_WHOLE = ((0, 0, 1, 1),)
_ADAM7 = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)

# Below, or where a byte becomes fewer, a decoder may be asked at once.
_SMALL_BYTES = 1 << 24
_PICTURE_LIKE = 64


@dataclass(frozen=True)
class PngRows:
    """Where the compressed rows of a PNG are, and how many bytes they have to become.

    Attributes:
        needed: Bytes of all rows with their filter types.
        spans: Offset and size of the data of each IDAT chunk.
        is_interlaced: Whether the rows come in seven passes.
    """

    needed: int
    spans: tuple[tuple[int, int], ...]
    is_interlaced: bool

    def check(self, file: BinaryIO) -> None:
        """Check that the file holds all rows, by inflating them; nothing is kept.

        Raises:
            ValueError: Rows are missing.
            zlib.error: The stream is damaged.
        """
        if inflated_size(blocks_of(file, self.spans), self.needed) < self.needed:
            raise ValueError("rows are missing")


def find_rows(file: BinaryIO, name: str) -> PngRows:
    """Look through the chunks of a PNG, and check its claim as far as that costs nothing.

    Args:
        file: The file; its position changes.
        name: What messages call it.

    Raises:
        InputError: It has more pixels than may be read.
        ValueError: Its chunks do not lie in the file, or fewer bytes can come out of them than the
            rows have.
    """
    size = file_size(file)
    width, height, bits, interlaced = read_header(file, name)
    spans = []
    place = _SIGNATURE_BYTES + 8 + 13 + 4
    while place + 8 <= size:
        file.seek(place)
        length, kind = struct.unpack(">I4s", file.read(8))
        if kind == b"IDAT":
            if place + 8 + length > size:
                raise ValueError("a chunk does not end")
            spans.append((place + 8, length))
        elif spans:
            break
        place += 12 + length
    needed = _size_of_rows(width, height, bits, interlaced)
    rows = PngRows(needed, tuple(spans), interlaced)
    stored = sum(length for _, length in spans)
    if needed > MOST_INFLATED * stored:
        raise ValueError("rows are missing")
    if needed > max(_SMALL_BYTES, _PICTURE_LIKE * stored):
        rows.check(file)
    return rows


def read_header(file: BinaryIO, name: str) -> tuple[int, int, int, bool]:
    """Return width, height, bits of a pixel, and whether a PNG is interlaced.

    Raises:
        InputError: It has more pixels than may be read.
        ValueError: It has no header.
    """
    file.seek(_SIGNATURE_BYTES)
    length, kind, *header = struct.unpack(">I4sIIBBBBB", file.read(21))
    width, height, bits, colour, _, _, interlaced = header
    if kind != b"IHDR" or length != 13 or colour not in _CHANNELS:
        raise ValueError("no header")
    check_size(width, height, name)
    return width, height, bits * _CHANNELS[colour], bool(interlaced)


def _size_of_rows(width: int, height: int, bits: int, interlaced: bool) -> int:
    total = 0
    for left, top, step_x, step_y in _ADAM7 if interlaced else _WHOLE:
        columns = -(-(width - left) // step_x) if width > left else 0
        rows = -(-(height - top) // step_y) if height > top else 0
        if columns:
            total += rows * (1 + -(-columns * bits // 8))
    return total
