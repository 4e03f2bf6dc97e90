"""Whether a file can hold the pixels it claims, asked before a decoder takes memory for them.

A few bytes can claim 2^28 pixels, and decoders allocate what is claimed. So the claim is compared
with the bytes that are there: no more pixels are expected of a byte than its format can give.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Protocol

from lkcfuse.errors import InputError

MOST_INFLATED = 1032
"""Bytes that a byte of a deflate stream can become (zlib's technical details)."""

# Formats that predict or model can put a whole blank picture in some hundred bytes. Nobody fuses
# blank pictures, and the memory of small ones is not worth a refusal.
_PIXELS_OF_ANY_FILE = 1 << 24
_PIXELS_PER_BYTE = 1 << 14

# The most of formats that cannot do that: bits of a P4 map, runs of a BMP, strings of LZW.
_PIXELS_PER_BYTE_OF = {"PPM": 8, "BMP": 256, "GIF": 4096}

_LARGE_READ = 1 << 20
_BLOCK_BYTES = 1 << 16


class Seekable(Protocol):
    """What bytes are read from."""

    def seek(self, offset: int, /) -> int:
        """Go to a place."""

    def read(self, size: int, /) -> bytes:
        """Return some bytes."""


class BoundedFile(io.BufferedReader):
    """A file that takes no memory for more bytes than it has, however many are asked for.

    Decoders ask for as many as a header claims, and Python makes room for them first.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Return some bytes, or all that are left."""
        if size is not None and size > _LARGE_READ:
            size = min(size, max(_LARGE_READ, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def file_size(file: BinaryIO) -> int:
    """Return the size of a file in bytes; its position stays."""
    position = file.tell()
    size = file.seek(0, os.SEEK_END)
    file.seek(position)
    return size


def check_held(width: int, height: int, stored: int, name: str, *, format_name: str = "") -> None:
    """Check that so many pixels can come out of so many bytes.

    Args:
        width: Of the image, as its header says.
        height: Of the image, as its header says.
        stored: Bytes of compressed samples, or of the whole file.
        name: What messages call the file.
        format_name: Its format, as Pillow calls it.

    Raises:
        InputError: More is claimed than the format can hold in as many bytes, or than a picture
            would be compressed to.
    """
    most = max(_PIXELS_OF_ANY_FILE, _PIXELS_PER_BYTE * stored)
    if format_name in _PIXELS_PER_BYTE_OF:
        most = _PIXELS_PER_BYTE_OF[format_name] * stored
    if width * height > most:
        raise InputError(
            f"{name} claims {width}x{height} pixels and has {stored} bytes: it is damaged or made "
            "to use up memory; if it is to be trusted, save it as uncompressed TIFF"
        )


def inflated_size(blocks: Iterable[bytes], enough: int) -> int:
    """Return how many bytes a deflate stream holds, without keeping them.

    Args:
        blocks: The stream, in pieces.
        enough: Where to stop counting.

    Returns:
        The size, or any number from `enough` on.

    Raises:
        zlib.error: The stream is damaged before that.
    """
    stream, size = zlib.decompressobj(), 0
    for block in blocks:
        data = block
        while data and not stream.eof:
            size += len(stream.decompress(data, _BLOCK_BYTES * 4))
            if size >= enough:
                return size
            data = stream.unconsumed_tail
        if stream.eof:
            return size
    return size + len(stream.flush())


def blocks_of(file: Seekable, spans: Iterable[tuple[int, int]]) -> Iterator[bytes]:
    """Yield the bytes of parts of a file, a block at a time.

    Args:
        file: The file.
        spans: Offset and size of each part.
    """
    for offset, size in spans:
        file.seek(offset)
        while size > 0 and (block := file.read(min(size, _BLOCK_BYTES))):
            size -= len(block)
            yield block
