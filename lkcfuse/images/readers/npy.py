"""NumPy's own files: one array, which is an image or a stack of grey ones."""

from __future__ import annotations

import math
import os
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.decoded import Decoded
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.limits import check_size
from lkcfuse.images.readers.pages import page_notes

_CHANNELS = (1, 2, 3, 4)
_MOST_HEADER_BYTES = 1 << 16


def read(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    """Read an array: (H, W), (H, W, 1 to 4), or (N, H, W), of which page N is taken.

    Its header is checked before anything is allocated, and no objects are unpickled.

    Raises:
        InputError: Its shape or type is not an image's, it is too large, or it has no such page.
        ValueError: It is damaged.
    """
    shape, is_stack = _check_header(file, name)
    pages = shape[0] if is_stack else 1
    notes = page_notes(options, pages, name)
    file.seek(0)
    if is_stack:
        array = _read_page(file, options.page - 1 if pages > 1 else 0)
    else:
        array = np.load(file, allow_pickle=False)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    samples = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return Decoded(samples, format="NPY", notes=notes)


def probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    """Return the size of an array; see `Reader`."""
    shape, is_stack = _check_header(file, name)
    page_notes(options, shape[0] if is_stack else 1, name)
    height, width = shape[1:] if is_stack else shape[:2]
    return height, width


def count_pages(file: BinaryIO, name: str) -> int:
    """Return how many images an array holds; see `Reader`."""
    shape, is_stack = _check_header(file, name)
    return shape[0] if is_stack else 1


def _check_header(file: BinaryIO, name: str) -> tuple[tuple[int, ...], bool]:
    """Return the shape, and whether it is a stack's, of an array that is an image or several."""
    shape, dtype, _ = _read_header(file)
    if dtype.kind not in "biuf":
        raise InputError(f"{name} has values of type {dtype}: save integers or floats")
    if len(shape) not in (2, 3):
        raise InputError(
            f"{name} has shape {shape}: save (H, W), (H, W, 3), or (N, H, W) for several pages"
        )
    is_stack = len(shape) == 3 and shape[2] not in _CHANNELS
    height, width = shape[1:] if is_stack else shape[:2]
    check_size(width, height, name)
    start = file.tell()
    if file.seek(0, os.SEEK_END) - start < int(np.prod(shape, dtype=object)) * dtype.itemsize:
        raise ValueError("fewer values than its header says")
    return shape, is_stack


def _read_page(file: BinaryIO, page: int) -> npt.NDArray[Any]:
    """Read one image of a stack, without the others where they lie one after another."""
    shape, dtype, by_columns = _read_header(file)
    if by_columns:
        file.seek(0)
        array: npt.NDArray[Any] = np.load(file, allow_pickle=False)[page]
        return array
    size = math.prod(shape[1:]) * dtype.itemsize
    file.seek(page * size, os.SEEK_CUR)
    return np.frombuffer(bytearray(file.read(size)), dtype).reshape(shape[1:])


def _read_header(file: BinaryIO) -> tuple[tuple[int, ...], np.dtype[np.generic], bool]:
    major, _ = np.lib.format.read_magic(file)
    if major > 1:
        # NumPy reads as many bytes as are claimed before it looks at them.
        length = int.from_bytes(file.read(4), "little")
        if length > _MOST_HEADER_BYTES:
            raise ValueError(f"a header of {length} bytes")
        file.seek(-4, os.SEEK_CUR)
    read_header = (
        np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    )
    shape, by_columns, dtype = read_header(file)
    return shape, dtype, by_columns
