"""PNG: grey and 8-bit colour by Pillow, 16-bit colour by OpenCV, and our own chunks beside them."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import PIL.Image

from lkcfuse.images.samples import swap_red_and_blue
from lkcfuse.images.writers.extras import Extras

# The signature, and IHDR, which comes first and always has 13 bytes of data.
_HEADER_BYTES = 8 + 4 + 4 + 13 + 4
_INCHES_PER_METRE = 1 / 0.0254
_PER_METRE = 1


def encode(pixels: npt.NDArray[Any], extras: Extras) -> bytes:
    """Return a PNG of (H, W), (H, W, 2), (H, W, 3) or (H, W, 4) samples; they are used up.

    Raises:
        ValueError: A codec refuses them.
    """
    size = pixels.shape[:2]
    if pixels.ndim == 3 and pixels.dtype != np.uint8:
        encoded = _encode_deep_colour(pixels)
    else:
        buffer = io.BytesIO()
        PIL.Image.fromarray(pixels).save(buffer, "PNG")
        encoded = buffer.getbuffer()
    chunks = b"".join(_chunk(*chunk) for chunk in _chunks(extras, size))
    return b"".join((encoded[:_HEADER_BYTES], chunks, encoded[_HEADER_BYTES:]))


def _encode_deep_colour(pixels: npt.NDArray[Any]) -> memoryview:
    """Encode 16-bit colour, which Pillow cannot hold."""
    import cv2

    if pixels.shape[2] == 2:
        pixels = pixels[..., [0, 0, 0, 1]]  # OpenCV writes no grey with alpha
    swap_red_and_blue(pixels)
    done, encoded = cv2.imencode(".png", pixels)
    if not done:
        raise ValueError("OpenCV refuses it")
    return encoded.data


def _chunks(extras: Extras, size: tuple[int, int]) -> Iterator[tuple[bytes, bytes]]:
    """Yield the chunks that go between the header and the samples."""
    if extras.icc_profile is not None:
        # A name, of which there need be none better, and the method of compression, 0.
        yield b"iCCP", b"ICC Profile\0\0" + zlib.compress(extras.icc_profile)
    if extras.resolution is not None:
        across, down = (round(value * _INCHES_PER_METRE) for value in extras.resolution)
        yield b"pHYs", struct.pack(">IIB", across, down, _PER_METRE)
    if extras.metadata is not None and extras.metadata.software is not None:
        yield b"tEXt", b"Software\0" + extras.metadata.software.encode("ascii")
    exif = extras.exif(size)
    if exif is not None:
        yield b"eXIf", exif


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
