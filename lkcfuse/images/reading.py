"""The one door through which image files come in.

Pillow reads everything it can hold; 16-bit colour, which it would cut to 8 bits, goes through
OpenCV after Pillow has found the file whole, and so does float colour, which it does not know.
Transparent pixels count as black, as if the image lay on a black ground: nothing is known of what
lies beneath, and black adds nothing to a fusion.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ExifTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lkcfuse.errors import InputError
from lkcfuse.images.decoded import Decoded
from lkcfuse.images.decoding import (
    decode_deep_colour,
    decode_with_pillow,
    no_pillow_limit,
    transparent_level,
)
from lkcfuse.images.image import Image, check_float_range
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.samples import Samples, full_scale
from lkcfuse.images.values import TRANSPARENT, to_image
from lkcfuse.remote import RemotePath

MAX_PIXELS = 1 << 28
"""Pixels beyond which a file is taken for a decompression bomb; `LKCFUSE_MAX_PIXELS` moves it."""

_PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_FORMAT_NAMES = "PNG, JPEG, BMP, TIFF or WebP"
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
_TIFF_PLANAR, _TIFF_EXTRA_SAMPLES, _TIFF_SAMPLE_FORMAT, _TIFF_PROFILE = 284, 338, 339, 34675
_WHITE_IS_ZERO, _RGB, _SEPARATE_PLANES, _FLOAT = 0, 2, 2, 3
_UNSPECIFIED, _PREMULTIPLIED_ALPHA, _ALPHA = 0, 1, 2
_BIG_TIFF = 43

_SEVERAL_FRAMES = "{} has several frames or pages: only the first is read"


@dataclass
class _Decoded:
    """What Pillow makes of a file.

    Attributes:
        samples: As they stand in the file; None if they need OpenCV.
        orientation: What EXIF says of it, 1 to 8.
        icc_profile: The file's colour profile, of whatever colour space.
        notes: What the user should know, a line each.
        fourth_channel: What OpenCV's fourth channel is, in the terms of TIFF's ExtraSamples.
    """

    samples: Samples | None
    orientation: int
    icc_profile: bytes | None
    notes: list[str] = field(default_factory=list)
    fourth_channel: int = _ALPHA


def read_image(
    source: str | os.PathLike[str] | RemotePath | BinaryIO,
    options: ReadOptions | None = None,
    *,
    name: str | None = None,
) -> Image:
    """Read an image file.

    PNG, JPEG, BMP, TIFF and WebP; grey, palette, 1-bit, RGB, with or without alpha, and CMYK; 8 or
    16 bits a sample, and float TIFF in [0, 1], grey or RGB. The EXIF orientation is applied. RGB
    whose three channels are equal is grey. Of several frames or pages the first is read.

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


@contextmanager
def _open_path(path: Path, name: str) -> Iterator[BinaryIO]:
    with _reading(name):
        if path.is_dir():
            raise InputError(f"{name} is a folder: name an image in it")
        with path.open("rb") as file:
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
    if not file.seekable():
        file = io.BytesIO(file.read())
    head = file.read(16)
    if not head:
        raise InputError(f"{name} is empty: it has no bytes")
    file.seek(0)
    try:
        decoded = _find_float_colour(file, head, name)
        if decoded is None:
            with _pillow_open(file) as opened:
                decoded = _decode(opened, name)
            del opened  # its memory goes before OpenCV's comes
        samples = decoded.samples
        if samples is None:
            samples = _without_bare_fourth(decode_deep_colour(file, name), decoded, name)
    except (InputError, MemoryError):
        raise
    except PIL.UnidentifiedImageError:
        known = head.startswith(_MAGIC + _TIFF_MAGIC)
        if known or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
            raise InputError(
                f"{name} is damaged, cut off, or of a rare kind that is not read: "
                "copy or download it again, or save it as PNG"
            ) from None
        raise InputError(
            f"{name} is not an image of a kind that is read: give {_FORMAT_NAMES}"
        ) from None
    except Exception as error:
        # A broken file can make a decoder fail in any way: struct.error, IndexError, zlib.error.
        raise _damaged(name, str(error) or type(error).__name__) from None
    whole = Decoded(
        samples,
        decoded.orientation,
        decoded.icc_profile,
        notes=decoded.notes,
    )
    return to_image(whole, options, name)


@contextmanager
def _pillow_open(file: BinaryIO) -> Iterator[PIL.Image.Image]:
    with no_pillow_limit():
        opened = PIL.Image.open(file, formats=_PILLOW_FORMATS)
    with opened:
        yield opened


def _find_float_colour(file: BinaryIO, head: bytes, name: str) -> _Decoded | None:
    """Return what a TIFF of float RGB says of itself; None for any other file, damaged or not."""
    if not head.startswith(_TIFF_MAGIC):
        return None
    try:
        tags = ImageFileDirectory_v2(head if _BIG_TIFF in head[2:4] else head[:8])
        file.seek(tags.next)
        tags.load(file)
        formats, interpretation = tags.get(_TIFF_SAMPLE_FORMAT), tags.get(_TIFF_PHOTOMETRIC)
        width, height = int(tags[_TIFF_WIDTH]), int(tags[_TIFF_HEIGHT])
    except Exception:
        # Pillow says what is wrong with it.
        return None
    finally:
        file.seek(0)
    if interpretation != _RGB or not formats or formats[0] != _FLOAT:
        return None
    _check_size(width, height, name)
    _check_planes(tags, name)
    profile = tags.get(_TIFF_PROFILE)
    # OpenCV turns it upright, and reads the first page alone.
    notes = [_SEVERAL_FRAMES.format(name)] if tags.next else []
    return _Decoded(None, 1, profile or None, notes, _fourth_channel(tags))


def _fourth_channel(tags: Any) -> int:
    return int((tags.get(_TIFF_EXTRA_SAMPLES) or (_UNSPECIFIED,))[0])


def _without_bare_fourth(samples: Samples, decoded: _Decoded, name: str) -> Samples:
    """Leave out a fourth channel that the colours must not be multiplied by.

    Either it is no alpha, but a band of its own (near infrared, most often), or the file has the
    colours multiplied by it already, and so on black.
    """
    if samples.shape[-1] != 4 or decoded.fourth_channel not in (_UNSPECIFIED, _PREMULTIPLIED_ALPHA):
        return samples
    is_alpha = decoded.fourth_channel == _PREMULTIPLIED_ALPHA
    if is_alpha and samples[..., 3].min() < full_scale(samples.dtype):
        decoded.notes.append(TRANSPARENT.format(name))
    return samples[..., :3]


def _check_size(width: int, height: int, name: str) -> None:
    limit = _max_pixels()
    if width * height > limit:
        raise InputError(
            f"{name} has {width}x{height} pixels, more than {limit}: scale it down, "
            f"or set LKCFUSE_MAX_PIXELS={width * height} if it is to be trusted"
        )


def _check_planes(tags: Any, name: str) -> None:
    # OpenCV would take the planes for interleaved channels.
    if tags.get(_TIFF_PLANAR) == _SEPARATE_PLANES:
        raise InputError(
            f"{name} keeps 16-bit or float colour in separate planes, which is not read: "
            "save it with interleaved channels"
        )


def _decode(opened: PIL.Image.Image, name: str) -> _Decoded:
    _check_size(*opened.size, name)
    notes = []
    # The frames of an MPO are other views or previews that cameras add to a JPEG.
    if opened.format != "MPO" and getattr(opened, "n_frames", 1) > 1:
        notes.append(_SEVERAL_FRAMES.format(name))
    tags = getattr(opened, "tag_v2", {})
    # A TIFF's planes of 16 bits each look like 8-bit ones to Pillow; its tags tell.
    deep = max(tags.get(_TIFF_BITS, (8,))) > 8 or any(
        ";16" in str(tile[3]) for tile in getattr(opened, "tile", ())
    )
    deep_colour = deep and opened.mode in ("RGB", "RGBA", "LA")
    if deep and opened.mode == "CMYK":
        notes.append(f"{name} is CMYK of 16 bits a channel: 8 of them are read")
    if deep_colour:
        _check_planes(tags, name)
    level = transparent_level(opened)  # loading forgets the bits a sample had
    opened.load()
    samples = None
    if not deep_colour:
        samples = decode_with_pillow(opened, name, level)
        # Of 8 bits and fewer Pillow takes care itself.
        if samples.dtype != np.uint8 and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
            _swap_black_and_white(samples, name)
    profile = opened.info.get("icc_profile")
    # Pillow and OpenCV turn TIFF themselves; Pillow then takes the tag away.
    fourth = _fourth_channel(tags) if deep_colour and opened.format == "TIFF" else _ALPHA
    return _Decoded(samples, _orientation(opened), profile or None, notes, fourth)


def _swap_black_and_white(samples: npt.NDArray[Any], name: str) -> None:
    if samples.dtype.kind == "f":
        check_float_range(samples, name)  # the message shall name the values that the file has
    np.subtract(full_scale(samples.dtype), samples, out=samples)


def _orientation(opened: PIL.Image.Image) -> int:
    with suppress(Exception):  # EXIF data is often broken, and then says nothing
        return int(opened.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _max_pixels() -> int:
    with suppress(KeyError, ValueError):
        return int(os.environ["LKCFUSE_MAX_PIXELS"])
    return MAX_PIXELS


def _damaged(name: str, reason: str) -> InputError:
    return InputError(f"{name} is damaged or cut off ({reason}): copy or download it again")
