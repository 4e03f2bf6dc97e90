"""What Pillow decodes: PNG, JPEG, BMP, WebP, GIF, JPEG 2000 and AVIF.

16-bit colour, which Pillow would cut to 8 bits, goes through OpenCV after Pillow has found the file
whole. Of TIFF, `tiff.py` leaves to Pillow what has to be converted to grey or RGB.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import PIL.Image
from PIL import ExifTags, ImageFile

from lkcfuse.errors import InputError, LkcfuseError
from lkcfuse.images.decoded import Decoded, upright_size
from lkcfuse.images.metadata import from_pillow
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.holding import check_held, file_size
from lkcfuse.images.readers.jpeg import complete_jpeg
from lkcfuse.images.readers.limits import check_size, pillow_may_read
from lkcfuse.images.readers.opencv import decode_with_opencv
from lkcfuse.images.readers.pages import page_notes
from lkcfuse.images.readers.png import find_rows, read_header
from lkcfuse.images.readers.registry import HEAD_BYTES, READERS, find_reader
from lkcfuse.images.readers.webp import webp_size
from lkcfuse.images.samples import full_scale, row_bands
from lkcfuse.notes import CodedWarning

_NO_END = "{} lacks its last bytes (the end marker of JPEG): its last block of pixels may be wrong"


def read(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    """Read a file that is recognised as one of Pillow's formats.

    Raises:
        InputError: It is too large, has no such page, or is of a kind that is not read.
        Exception: What Pillow raises for a damaged file.
    """
    reader = find_reader(file.read(HEAD_BYTES))
    file.seek(0)
    format_name = reader.name if reader else "TIFF"
    try:
        return read_format(file, format_name, options, name)
    except (LkcfuseError, MemoryError):
        raise
    except Exception:
        completed = complete_jpeg(file, _load_jpeg) if format_name == "JPEG" else None
        if completed is None:
            raise
        decoded = read_format(completed, format_name, options, name)
        decoded.notes.append(CodedWarning("file", _NO_END.format(name)))
        return decoded


def read_format(file: BinaryIO, format_name: str, options: ReadOptions, name: str) -> Decoded:
    """Read a file of a format that Pillow calls by this name; see `read`."""
    stored = file_size(file)
    rows = find_rows(file, name) if format_name == "PNG" else None
    with _open_checked(file, format_name, name) as opened:
        notes = _turn_to_page(opened, format_name, options, name)
        width, height = opened.size
        check_size(width, height, name)
        if rows is None:
            check_held(width, height, stored, name, format_name=format_name)
        with pillow_may_read(height * width):
            bits = _bits_of_colour(opened, file)
            level = _transparent_level(opened)  # loading forgets the bits a sample had
            opened.load()
            if rows is not None and (rows.is_interlaced or _ends_in_black(opened)):
                rows.check(file)
            samples = _copy_samples(opened, level) if bits < 16 else None
        if 8 < bits < 16:
            notes.append(f"{name} has colour of {bits} bits a channel: 8 of them are read")
        orientation, profile = orientation_of(opened), opened.info.get("icc_profile")
        metadata = from_pillow(opened)
    del opened  # its memory goes before OpenCV's comes
    if samples is None:
        samples = decode_with_opencv(file)
    return Decoded(
        samples,
        orientation,
        profile if isinstance(profile, bytes) and profile else None,
        format=format_name,
        notes=notes,
        metadata=metadata,
    )


def probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    """Return the size of a file that is recognised as one of Pillow's formats; see `Reader`."""
    reader = find_reader(file.read(HEAD_BYTES))
    return probe_format(file, reader.name if reader else "TIFF", options, name)


def count_pages(file: BinaryIO, name: str) -> int:
    """Return how many frames a file has; see `Reader`."""
    reader = find_reader(file.read(HEAD_BYTES))
    with open_with_pillow(file, reader.name if reader else "TIFF", name) as opened:
        return int(getattr(opened, "n_frames", 1))


def probe_format(
    file: BinaryIO, format_name: str, options: ReadOptions, name: str
) -> tuple[int, int]:
    """Return the size of a file of a format that Pillow calls by this name; see `probe`."""
    stored = file_size(file)
    with _open_checked(file, format_name, name) as opened:
        _turn_to_page(opened, format_name, options, name)
        width, height = opened.size
        check_size(width, height, name)
        if format_name != "PNG":
            check_held(width, height, stored, name, format_name=format_name)
        return upright_size(height, width, orientation_of(opened))


@contextmanager
def _open_checked(file: BinaryIO, format_name: str, name: str) -> Iterator[ImageFile.ImageFile]:
    """Open a file whose size was checked, as far as opening it takes memory for its pixels."""
    pixels = 0
    if format_name == "PNG":
        read_header(file, name)
    if format_name == "WEBP":
        file.seek(0)
        width, height = webp_size(file.read(30))
        check_size(width, height, name)
        check_held(width, height, file_size(file), name)
        pixels = width * height
    with pillow_may_read(pixels), open_with_pillow(file, format_name, name) as opened:
        check_size(opened.size[0], opened.size[1], name)
        with pillow_may_read(opened.size[0] * opened.size[1]):
            yield opened


def _ends_in_black(opened: PIL.Image.Image) -> bool:
    """Whether the last row of a loaded image is zero, as rows are that a file lacks."""
    width, height = opened.size
    return opened.crop((0, height - 1, width, height)).getbbox(alpha_only=False) is None


def _turn_to_page(
    opened: ImageFile.ImageFile, format_name: str, options: ReadOptions, name: str
) -> list[str]:
    """Go to the page that is to be read, and return what the user should know about others."""
    # The frames of an MPO are other views or previews that cameras add to a JPEG.
    if not READERS[format_name].has_pages:
        return []
    frames = getattr(opened, "n_frames", 1)
    notes = page_notes(options, frames, name)
    if options.page > 1 and frames > 1:
        opened.seek(options.page - 1)
    return notes


def open_with_pillow(file: BinaryIO, format_name: str, name: str) -> ImageFile.ImageFile:
    """Open a file as one of a format, without Pillow's own limit on pixels.

    `PIL.Image.open` would try one format after another, and check the size against a variable of
    the process.

    Raises:
        InputError: This Pillow is built without the format.
    """
    PIL.Image.init()
    if format_name not in PIL.Image.OPEN:
        raise InputError(
            f"{name} is {format_name}, which the installed Pillow cannot read: update it"
        )
    factory, accept = PIL.Image.OPEN[format_name]
    file.seek(0)
    accepted = accept(file.read(16)) if accept else True
    file.seek(0)
    if isinstance(accepted, str):
        raise InputError(f"{name} cannot be read: {accepted}; update Pillow")
    return factory(file, "")


def _bits_of_colour(opened: PIL.Image.Image, file: BinaryIO) -> int:
    """Return the bits that a sample has in the file, where it is colour or has alpha; else 8."""
    if opened.mode not in ("RGB", "RGBA", "LA"):
        return 8
    if any(";16" in str(tile[3]) for tile in getattr(opened, "tile", ())):
        return 16
    if opened.format != "JPEG2000":
        return 8
    file.seek(0)
    head = file.read(HEAD_BYTES)
    file.seek(0)
    # ISO/IEC 15444-1, A.5.1: 38 bytes after the SIZ marker come each component's bits, less one.
    size = head.find(b"\xff\x4f\xff\x51")
    return (head[size + 42] & 0x7F) + 1 if 0 <= size < len(head) - 42 else 8


def _transparent_level(opened: PIL.Image.Image) -> int | None:
    """Return the sample that a grey PNG's tRNS chunk makes transparent, None where there is none.

    Args:
        opened: The image, not yet loaded.

    Returns:
        The sample as it is decoded: on the scale of 8 bits if the file has fewer.
    """
    key, mode = opened.info.get("transparency"), opened.mode
    if not isinstance(key, int) or not (mode in ("1", "L", "I") or mode.startswith("I;16")):
        return None
    if mode == "1":
        return 255 if key else 0
    # Pillow stretches samples of 2 and 4 bits to 8, but not the key.
    kinds = [tile[3] for tile in getattr(opened, "tile", ())]
    if "L;2" in kinds:
        return key * 85
    return key * 17 if "L;4" in kinds else key


def _copy_samples(opened: PIL.Image.Image, transparent: int | None) -> npt.NDArray[Any]:
    """Return what Pillow has decoded.

    Args:
        opened: The image, loaded.
        transparent: The sample that stands for transparent, in a grey image.

    Returns:
        (H, W), or (H, W, 2 to 4) with colour or alpha; uint8, uint16, int32 or float32.
    """
    mode = opened.mode
    if mode in ("1", "L"):
        return _with_alpha(_copy(opened, "L", np.uint8), transparent)
    if mode.startswith("I;16"):
        return _with_alpha(_copy(opened, None, np.uint16), transparent)
    if mode == "I":
        whole = _copy(opened, None, np.int32)
        if opened.format in ("PNG", "PPM"):
            # Older versions of Pillow keep 16 bits this way.
            return _with_alpha(whole.astype(np.uint16), transparent)
        return whole
    if mode == "F":
        return _copy(opened, None, np.float32)
    if mode in ("LA", "La"):
        return _copy(opened, "LA", np.uint8)
    has_alpha = "transparency" in opened.info or mode in ("PA", "RGBA", "RGBa")
    return _copy(opened, "RGBA" if has_alpha else "RGB", np.uint8)


def _with_alpha(grey: npt.NDArray[Any], transparent: int | None) -> npt.NDArray[Any]:
    if transparent is None:
        return grey
    samples = np.empty((*grey.shape, 2), grey.dtype)
    samples[..., 0] = grey
    samples[..., 1] = full_scale(grey.dtype)
    samples[..., 1][grey == transparent] = 0
    return samples


def _copy(opened: PIL.Image.Image, mode: str | None, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Copy an image out of Pillow, converted to a mode of one channel a letter unless it is None.

    Asked for all at once, Pillow would make three copies of the whole on the way.
    """
    width, height = opened.size
    channels = len(mode or "L")
    samples = np.empty((height, width) if channels == 1 else (height, width, channels), dtype)
    for rows in row_bands(height, width):
        band = opened.crop((0, rows.start, width, rows.stop))
        samples[rows] = np.asarray(band if mode is None else band.convert(mode))
    return samples


def orientation_of(opened: PIL.Image.Image) -> int:
    """Return what EXIF says of a picture's orientation, 1 to 8."""
    with suppress(Exception):  # EXIF data is often broken, and then says nothing
        return int(opened.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _load_jpeg(file: BinaryIO) -> PIL.Image.Image:
    opened = open_with_pillow(file, "JPEG", "")
    with pillow_may_read(opened.size[0] * opened.size[1]):
        opened.load()
    return opened
