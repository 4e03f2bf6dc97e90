"""TIFF: tifffile writes the samples of every depth, Pillow's directories hold the EXIF data."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy.typing as npt

from lkcfuse.images.metadata import Metadata
from lkcfuse.images.writers.extras import Extras

_BYTE, _ASCII, _SHORT, _LONG, _DOUBLE = 1, 2, 3, 4, 12
_ENTRY_BYTES = 12
_CLASSIC = b"II\x2a\0"

# Deflate at its fastest level, on differences of neighbours, is smaller than LZW and as fast.
_LEVEL = 1


def encode(pixels: npt.NDArray[Any], extras: Extras) -> bytes | memoryview:
    """Return a TIFF of (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) samples of any type.

    Raises:
        ValueError: They do not fit into a TIFF.
    """
    import tifffile

    size = pixels.shape[:2]
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    metadata = extras.metadata
    tags = [] if metadata is None else _extra_tags({**metadata.main_tags(), **metadata.map_grid})
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        pixels,
        byteorder="<",
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        compressionargs={"level": _LEVEL},
        predictor=pixels.dtype.kind == "u",
        iccprofile=extras.icc_profile,
        resolution=extras.resolution,
        resolutionunit="inch" if extras.resolution is not None else None,
        metadata=None,
        software=False,
        extratags=tags,
        maxworkers=1,
    )
    if metadata is not None:
        _append_directories(buffer, metadata, size)
    return buffer.getbuffer()


def _extra_tags(tags: dict[int, Any]) -> list[tuple[int, int, int, Any, bool]]:
    """Return tags as tifffile takes them."""
    found: list[tuple[int, int, int, Any, bool]] = []
    for code, value in tags.items():
        if isinstance(value, str):
            # Pillow reads bytes as Latin-1, whatever they are.
            text = value.encode("latin-1", "replace") + b"\0"
            found.append((code, _ASCII, len(text), text, True))
        elif isinstance(value, bytes):
            found.append((code, _BYTE, len(value), value, True))
        elif isinstance(value, tuple) and value:
            whole = all(isinstance(number, int) for number in value)
            found.append((code, _SHORT if whole else _DOUBLE, len(value), value, True))
    return found


def _append_directories(buffer: io.BytesIO, metadata: Metadata, size: tuple[int, int]) -> None:
    """Append the EXIF and GPS directories to a TIFF of one page.

    The page's own directory, which tifffile leaves no room in for what points to them, is written
    anew at the end, and the header points to that.
    """
    with buffer.getbuffer() as file:
        length = len(file)
        place = length + length % 2
        data, places = metadata.directories(size, place)
        if not places:
            return
        if bytes(file[:4]) != _CLASSIC:
            raise ValueError("it would take more than 4 GiB")
        (directory,) = struct.unpack_from("<I", file, 4)
        (count,) = struct.unpack_from("<H", file, directory)
        start = directory + 2
        entries = [
            bytes(file[entry : entry + _ENTRY_BYTES])
            for entry in range(start, start + count * _ENTRY_BYTES, _ENTRY_BYTES)
        ]
        struct.pack_into("<I", file, 4, place + len(data))
    entries += [struct.pack("<HHII", code, _LONG, 1, where) for code, where in places.items()]
    entries.sort(key=lambda entry: struct.unpack_from("<H", entry))
    buffer.seek(0, io.SEEK_END)
    buffer.write(bytes(place - length) + data)
    buffer.write(struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4))
