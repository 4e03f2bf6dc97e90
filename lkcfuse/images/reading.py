"""The one door through which image files come in.

A file is recognised by its first bytes, decoded by the reader of its format (`readers/`), and made
an image of (`values.py`).
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy.typing as npt

from lkcfuse.errors import InputError, LkcfuseError
from lkcfuse.images.decoded import Decoded
from lkcfuse.images.image import Image
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.holding import BoundedFile
from lkcfuse.images.readers.kinds import describe_kind
from lkcfuse.images.readers.registry import HEAD_BYTES, Reader, find_reader, shown_formats
from lkcfuse.images.values import sample_data, to_image
from lkcfuse.remote import RemotePath


def read_image(
    source: str | os.PathLike[str] | RemotePath | BinaryIO,
    options: ReadOptions | None = None,
    *,
    name: str | None = None,
) -> Image:
    """Read an image file.

    PNG, JPEG, BMP, TIFF, WebP, GIF, PGM, PPM, JPEG 2000, AVIF and NPY; grey, palette, 1-bit, RGB,
    with or without alpha, and CMYK; integers and floats. What a file is, its first bytes tell, not
    its name. The EXIF orientation is applied. RGB whose three channels are equal is grey. Of
    several frames or pages one is read, the first unless `options` name another.

    Args:
        source: A path, an object at a URL, or a file open for reading bytes (a pipe will do).
        options: How to read it; left out, as `ReadOptions()`.
        name: What messages call it; left out, the path.

    Returns:
        The image, with `notes` on what the user may not expect.

    Raises:
        InputError: The file is missing, no image, damaged, cut off, too large, or of a kind that
            is not read. The message names the file and the cure.
    """
    options = options or ReadOptions()
    if isinstance(source, RemotePath):
        name = name or str(source)
        with _reading(name):
            data = source.read_bytes()
        return _read(io.BytesIO(data), options, name)
    if isinstance(source, (str, os.PathLike)):
        name = name or os.fspath(source)
        with _open_path(Path(source), name) as file:
            return _read(file, options, name)
    return _read(source, options, name or getattr(source, "name", None) or "the stream")


def probe_image(
    source: str | os.PathLike[str] | RemotePath, options: ReadOptions | None = None
) -> tuple[int, int]:
    """Read as much of an image file as tells its size, to check many before work begins.

    Args:
        source: A path, or an object at a URL.
        options: How it would be read; left out, as `ReadOptions()`.

    Returns:
        (height, width) in pixels, as `read_image` would return it.

    Raises:
        InputError: The file is missing, no image, too large, or of a kind that is not read. Damage
            behind its header shows when it is read.
    """
    options = options or ReadOptions()
    name = str(source)
    if isinstance(source, RemotePath):
        with _reading(name), source.open() as file:
            return _probe(file, options, name)
    with _open_path(Path(source), name) as file:
        return _probe(file, options, name)


def count_pages(source: str | os.PathLike[str] | RemotePath) -> int:
    """Return how many pages or frames an image file has; 1 where its format has no others.

    Args:
        source: A path, or an object at a URL.

    Raises:
        InputError: The file is missing, no image, or of a kind that is not read.
    """
    name = str(source)
    with ExitStack() as stack:
        if isinstance(source, RemotePath):
            stack.enter_context(_reading(name))
            file = stack.enter_context(source.open())
        else:
            file = stack.enter_context(_open_path(Path(source), name))
        reader = _recognise(file, name)
        with _decoding(name):
            return reader.count_pages(file, name)


def radiometric_kind(source: str | os.PathLike[str] | RemotePath) -> str | None:
    """Return whose radiometric JPEG a file is, that of a thermal camera: `FLIR` or `DJI`.

    Args:
        source: A path, or an object at a URL.

    Returns:
        The maker; None where it is another file.

    Raises:
        InputError: The file is missing, or cannot be read.
    """
    from lkcfuse.images.readers import radiometric

    name = str(source)
    if isinstance(source, RemotePath):
        with _reading(name), source.open() as file:
            return radiometric.radiometric_kind(file)
    with _open_path(Path(source), name) as file:
        return radiometric.radiometric_kind(file)


@contextmanager
def _open_path(path: Path, name: str) -> Iterator[BinaryIO]:
    with _reading(name):
        if path.is_dir():
            raise InputError(f"{name} is a folder: name an image in it")
        with BoundedFile(path.open("rb", buffering=0)) as file:
            yield file


@contextmanager
def _reading(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"{name} does not exist: check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{name} cannot be read: {reason}") from None


def _read(file: BinaryIO, options: ReadOptions, name: str) -> Image:
    return to_image(_decode(file, options, name), options, name)


def _decode(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    if not file.seekable():
        file = io.BytesIO(file.read())
    reader = _recognise(file, name)
    with _decoding(name):
        return reader.read(file, options, name)


def sample_values(
    source: Path | RemotePath, options: ReadOptions, *, count: int
) -> npt.NDArray[Any]:
    """Return about so many values of an image file, in its own numbers; see `sample_data`.

    Raises:
        InputError: As `read_image`.
    """
    name = str(source)
    if isinstance(source, RemotePath):
        with _reading(name):
            data = source.read_bytes()
        return sample_data(_decode(io.BytesIO(data), options, name), options, name, count)
    with _open_path(source, name) as file:
        return sample_data(_decode(file, options, name), options, name, count)


def _probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    reader = _recognise(file, name)
    with _decoding(name):
        return reader.probe(file, options, name)


def _recognise(file: BinaryIO, name: str) -> Reader:
    head = file.read(HEAD_BYTES)
    if not head:
        raise InputError(f"{name} is empty: it has no bytes")
    file.seek(0)
    reader = find_reader(head)
    if reader is None:
        raise _not_an_image(head, name)
    return reader


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    try:
        yield
    except (LkcfuseError, MemoryError):
        raise
    except Exception as error:
        # A broken file can make a decoder fail in any way: struct.error, IndexError, zlib.error.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{name} is damaged or cut off ({reason}): copy or download it again"
        ) from None


def _not_an_image(head: bytes, name: str) -> InputError:
    known = describe_kind(head)
    if known is None:
        return InputError(f"{name} is not an image of a kind that is read: give {shown_formats()}")
    what, cure = known
    return InputError(
        f"{name} is {what}, not an image of a kind that is read ({shown_formats()}): "
        f"{cure.replace('{name}', name)}"
    )
