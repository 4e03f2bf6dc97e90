"""The one door through which image files come in.

Pillow reads everything it can hold; 16-bit colour, which it would cut to 8 bits, goes through
OpenCV after Pillow has found the file whole, and so does float colour, which it does not know.
Transparent pixels count as black, as if the image
lay on a black ground: nothing is known of what lies beneath, and black adds nothing to a fusion.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ExifTags
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from lkcfuse.errors import InputError
from lkcfuse.images.image import Image, image_from_samples
from lkcfuse.images.samples import (
    Samples,
    full_scale,
    has_colour,
    is_grey,
    row_bands,
    swap_red_and_blue,
)
from lkcfuse.remote import RemotePath

MAX_PIXELS = 1 << 28
"""Pixels beyond which a file is taken for a decompression bomb; `LKCFUSE_MAX_PIXELS` moves it."""

_PILLOW_FORMATS = ("PNG", "JPEG", "BMP", "TIFF", "WEBP")
_FORMAT_NAMES = "PNG, JPEG, BMP, TIFF or WebP"
_MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM")

# A camera with 10 to 14 bits, or one that writes temperatures, fills no more of a 16-bit file.
_SENSOR_SPAN = (1 << 14) - 1

_TIFF_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_BITS, _TIFF_PHOTOMETRIC = 256, 257, 258, 262
_TIFF_PLANAR, _TIFF_SAMPLE_FORMAT, _TIFF_PROFILE = 284, 339, 34675
_WHITE_IS_ZERO, _RGB, _SEPARATE_PLANES, _FLOAT = 0, 2, 2, 3
_BIG_TIFF = 43

_SEVERAL_FRAMES = "{} has several frames or pages: only the first is read"

_pillow_limit = threading.Lock()


@dataclass
class _Decoded:
    """What Pillow makes of a file; `samples` as they stand in it, None if they need OpenCV."""

    samples: Samples | None
    orientation: int
    icc_profile: bytes | None
    notes: list[str] = field(default_factory=list)


def read_image(
    source: str | os.PathLike[str] | RemotePath | BinaryIO, *, name: str | None = None
) -> Image:
    """Read an image file.

    PNG, JPEG, BMP, TIFF and WebP; grey, palette, 1-bit, RGB, with or without alpha, and CMYK; 8 or
    16 bits a sample, and float TIFF in [0, 1], grey or RGB. The EXIF orientation is applied. RGB
    whose three channels are equal is grey. Of several frames or pages the first is read.

    Args:
        source: A path, an object at a URL, or a file open for reading bytes (a pipe will do).
        name: What messages call it; left out, the path.

    Returns:
        The image, with `notes` on what the user may not expect.

    Raises:
        InputError: The file is missing, no image, damaged, cut off, too large, or of a kind that
            is not read. The message names the file and the cure.
    """
    if isinstance(source, RemotePath):
        name = name or str(source)
        with _reading(name):
            data = source.read_bytes()
        return _read(io.BytesIO(data), name)
    if isinstance(source, (str, os.PathLike)):
        name = name or os.fspath(source)
        with _open_path(Path(source), name) as file:
            return _read(file, name)
    return _read(source, name or getattr(source, "name", None) or "the stream")


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


def _read(file: BinaryIO, name: str) -> Image:
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
            samples = _decode_deep_colour(file, name)
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
    return _to_image(_upright(samples, decoded.orientation), decoded, name)


@contextmanager
def _pillow_open(file: BinaryIO) -> Iterator[PIL.Image.Image]:
    with _no_pillow_limit():
        opened = PIL.Image.open(file, formats=_PILLOW_FORMATS)
    with opened:
        yield opened


@contextmanager
def _no_pillow_limit() -> Iterator[None]:
    """Let this module's limit on pixels hold instead of Pillow's own lower one."""
    with _pillow_limit:
        pillows = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = pillows


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
    return _Decoded(None, 1, profile or None, notes)


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
    opened.load()
    samples = None
    if not deep_colour:
        samples = _decode_with_pillow(opened, name)
        if samples.dtype == np.uint16 and tags.get(_TIFF_PHOTOMETRIC) == _WHITE_IS_ZERO:
            np.invert(samples, out=samples)  # 65535 minus each
    profile = opened.info.get("icc_profile")
    # Pillow and OpenCV turn TIFF themselves; Pillow then takes the tag away.
    return _Decoded(samples, _orientation(opened), profile or None, notes)


def _decode_with_pillow(opened: PIL.Image.Image, name: str) -> npt.NDArray[Any]:
    """Return what Pillow has decoded: (H, W), or (H, W, 2 to 4) with colour or alpha."""
    mode = opened.mode
    if mode.startswith("I;16"):
        return _copy(opened, None, np.uint16)
    if mode == "I":
        # Older versions of Pillow keep 16-bit PNG this way.
        whole = _copy(opened, None, np.int32)
        if whole.min() < 0 or whole.max() > 65535:
            raise InputError(
                f"{name} has integers from {whole.min()} to {whole.max()}: "
                "scale them to 0..65535 and save them as 16-bit"
            )
        return whole.astype(np.uint16)
    if mode == "F":
        return _copy(opened, None, np.float32)
    transparent = "transparency" in opened.info
    if mode == "1" or (mode == "L" and not transparent):
        return _copy(opened, "L", np.uint8)
    if mode in ("L", "LA", "La"):
        return _copy(opened, "LA", np.uint8)
    has_alpha = transparent or mode in ("PA", "RGBA", "RGBa")
    return _copy(opened, "RGBA" if has_alpha else "RGB", np.uint8)


def _copy(opened: PIL.Image.Image, mode: str | None, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Copy an image out of Pillow, converted to a mode of one channel a letter unless it is None.

    Asked for all at once, Pillow would make three copies of the whole on the way.
    """
    width, height = opened.size
    channels = len(mode or "L")
    samples = np.empty((height, width) if channels == 1 else (height, width, channels), dtype)
    for rows in row_bands(height, width):
        with _no_pillow_limit():
            band = opened.crop((0, rows.start, width, rows.stop))
        samples[rows] = np.asarray(band if mode is None else band.convert(mode))
    return samples


def _decode_deep_colour(file: BinaryIO, name: str) -> npt.NDArray[Any]:
    import cv2

    file.seek(0)
    decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    kinds = (np.uint16, np.float32, np.float64)
    if decoded is None or decoded.dtype not in kinds or decoded.ndim != 3:
        raise InputError(
            f"{name} is damaged, or a kind of 16-bit or float colour image that is not read: "
            "save it upright as 16-bit PNG, or with 8 bits"
        )
    swap_red_and_blue(decoded)
    return decoded


def _to_image(samples: Samples, decoded: _Decoded, name: str) -> Image:
    notes = decoded.notes
    dtype = samples.dtype
    has_alpha = samples.ndim == 3 and samples.shape[2] in (2, 4)
    if has_alpha and samples[..., -1].min() == full_scale(dtype):
        has_alpha = False
        samples = samples[..., :-1] if samples.shape[2] == 4 else samples[..., 0]
    if has_alpha:
        notes.append(f"{name} is transparent in places: they count as black")
    if dtype == np.uint16:
        levels = samples[..., :-1] if has_alpha else samples
        darkest, brightest = int(levels.min()), int(levels.max())
        if 0 < brightest - darkest <= _SENSOR_SPAN:
            notes.append(
                f"{name} fills less than a quarter of its 16-bit range ({darkest} to {brightest}): "
                "stretch its contrast for a fusion that is not dark or flat"
            )
    if has_colour(samples) and is_grey(samples):
        # A copy, so that the other channels' memory is given back.
        samples = (samples[..., ::3] if has_alpha else samples[..., 0]).copy()
    profile = decoded.icc_profile if has_colour(samples) else None
    return replace(image_from_samples(samples, name=name), icc_profile=profile, notes=tuple(notes))


def _orientation(opened: PIL.Image.Image) -> int:
    with suppress(Exception):  # EXIF data is often broken, and then says nothing
        return int(opened.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _upright(samples: Samples, orientation: int) -> Samples:
    """Turn and mirror rows and columns as EXIF's orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples


def _max_pixels() -> int:
    with suppress(KeyError, ValueError):
        return int(os.environ["LKCFUSE_MAX_PIXELS"])
    return MAX_PIXELS


def _damaged(name: str, reason: str) -> InputError:
    return InputError(f"{name} is damaged or cut off ({reason}): copy or download it again")
