"""TIFF: tifffile reads its tags and most of its samples.

Samples that have to be converted to grey or RGB (palettes, CMYK, YCbCr, 1 to 4 bits) are left to
Pillow. Compressions that tifffile has no codec for are left to Pillow and OpenCV where those have
one; with the package `imagecodecs`, tifffile has all of them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.decoded import Decoded, upright_size
from lkcfuse.images.metadata import from_tiff
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.channels import (
    divide_by_alpha,
    is_picture,
    swap_black_and_white,
)
from lkcfuse.images.readers.holding import (
    MOST_INFLATED,
    blocks_of,
    check_held,
    inflated_size,
)
from lkcfuse.images.readers.limits import check_size
from lkcfuse.images.readers.opencv import decode_with_opencv
from lkcfuse.images.readers.pages import page_notes
from lkcfuse.images.readers.pillow import probe_format, read_format
from lkcfuse.notes import CodedWarning

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

_ORIENTATION, _ICC_PROFILE, _GDAL_NODATA = 274, 34675, 42113
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _SEPARATED, _LINEAR_RAW = 0, 1, 2, 5, 34892
_SEPARATE_PLANES = 2
_PREMULTIPLIED_ALPHA, _STRAIGHT_ALPHA = 1, 2
_REDUCED, _MASK = 1, 4

# Uncompressed, LZW, deflate by its two numbers, and PackBits.
_OPENCV_COMPRESSIONS = (1, 5, 8, 32946, 32773)

_DEFLATE = (8, 32946)

# What a tile that is larger than the image may cost in pixels, and what in bytes a segment that
# holds more than its samples.
_LARGE_TILE = 1 << 22
_SPARE_BYTES = 1 << 28

# Of more pages only their number is looked at, not what each is.
_MOST_PAGES_LOOKED_AT = 64


def read(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    """Read one page of a TIFF or BigTIFF.

    Raises:
        InputError: It is too large, has no such page, or is of a kind that is not read.
        Exception: It is damaged.
    """
    with _open(file) as tiff:
        place, by_plane, notes = _choose_page(tiff, options, name)
        page = _page(tiff, place)
        if _needs_pillow(page):
            return _read_with_pillow(file, place, page, notes, name)
        samples, orientation = _decode(file, place, page, name)
        samples = _leave_channels(samples, page, options, notes, name, by_plane=by_plane)
        nodata = _nodata(page, samples.dtype)
        if page.photometric == _WHITE_IS_ZERO:
            samples, nodata = swap_black_and_white(samples, nodata)
        profile = _tag(page, _ICC_PROFILE)
        return Decoded(
            samples,
            orientation,
            profile if isinstance(profile, bytes) and profile else None,
            nodata,
            "TIFF",
            notes,
            from_tiff(file),
        )


def probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    """Return the size of a page; see `Reader`."""
    with _open(file) as tiff:
        place, _, _ = _choose_page(tiff, options, name)
        page = _page(tiff, place)
        if _needs_pillow(page):
            with _pillow_errors(page, name):
                return probe_format(file, "TIFF", ReadOptions(page=place + 1), name)
        _check_kind(page, name)
        if _has_codec(page):
            _check_present(page, name)
        orientation = _tag(page, _ORIENTATION)
        return upright_size(
            page.imagelength, page.imagewidth, orientation if isinstance(orientation, int) else 1
        )


def count_pages(file: BinaryIO, name: str) -> int:
    """Return how many pages hold images, or planes of one page that look like slices."""
    with _open(file) as tiff:
        places = _pages_of_images(tiff)
        page = _page(tiff, places[0])
        planes = page.samplesperpixel
        if len(places) > 1 or not _is_planar(page) or planes == 3:
            return len(places)
        if planes == 4 and page.photometric == _RGB:
            samples, _ = _decode(file, places[0], page, name)
            return planes if is_picture(samples[..., 3]) else 1
        return planes


def _open(file: BinaryIO) -> TiffFile:
    import tifffile

    # What it logs about a file's oddities is not for the user; what stops it is raised.
    logging.getLogger("tifffile").addHandler(logging.NullHandler())
    return tifffile.TiffFile(file, name="image")


def _choose_page(tiff: TiffFile, options: ReadOptions, name: str) -> tuple[int, bool, list[str]]:
    """Return which page to read, whether a plane of it is meant, and notes on the others."""
    places = _pages_of_images(tiff)
    first = _page(tiff, places[0])
    # Planes of one page can be what other programs write as pages.
    planes = first.samplesperpixel if first.planarconfig == _SEPARATE_PLANES else 1
    by_plane = len(places) == 1 and 1 < options.page <= planes
    notes = [] if by_plane else page_notes(options, len(places), name)
    place = places[options.page - 1 if len(places) > 1 else 0]
    page = _page(tiff, place)
    check_size(page.imagewidth, page.imagelength * _fours(page), name)
    if page.is_tiled and page.tilewidth * page.tilelength > max(
        _LARGE_TILE, 4 * page.imagewidth * page.imagelength
    ):
        raise ValueError("a tile is larger than the image")
    if page.imagedepth > 1:
        raise InputError(f"{name} is a volume of {page.imagedepth} slices: save one as a page")
    return place, by_plane, notes


def _page(tiff: TiffFile, place: int) -> TiffPage:
    from tifffile import TiffPage

    page = tiff.pages[place]
    if not isinstance(page, TiffPage):
        raise ValueError("a page without tags of its own")
    return page


def _pages_of_images(tiff: TiffFile) -> list[int]:
    """Return where the pages are that are not smaller copies or masks of others."""
    count = len(tiff.pages)
    if count > _MOST_PAGES_LOOKED_AT:
        return list(range(count))
    kept = [
        place
        for place in range(count)
        if not int(_page(tiff, place).subfiletype) & (_REDUCED | _MASK)
    ]
    return kept or [0]


def _tag(page: TiffPage, code: int) -> Any:
    tag = page.tags.get(code)
    return None if tag is None else tag.value


def _bits(page: TiffPage) -> int:
    bits = page.bitspersample
    return int(bits if isinstance(bits, int) else max(bits))


def _needs_pillow(page: TiffPage) -> bool:
    """Whether samples have to be converted before they are grey or RGB, which Pillow does."""
    if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _LINEAR_RAW):
        return True
    return _bits(page) < 8 or (_bits(page) == 8 and not _has_codec(page) and page.dtype == np.uint8)


def _has_codec(page: TiffPage) -> bool:
    from tifffile import TIFF

    try:
        TIFF.DECOMPRESSORS[page.compression]
        TIFF.UNPREDICTORS[page.predictor]
    except (KeyError, ImportError):
        return False
    return True


def _read_with_pillow(
    file: BinaryIO, place: int, page: TiffPage, notes: list[str], name: str
) -> Decoded:
    with _pillow_errors(page, name):
        decoded = read_format(file, "TIFF", ReadOptions(page=place + 1), name)
    if page.photometric == _SEPARATED and _bits(page) > 8:
        notes.append(f"{name} is CMYK of {_bits(page)} bits a channel: 8 of them are read")
    decoded.notes = notes
    return decoded


@contextmanager
def _pillow_errors(page: TiffPage, name: str) -> Iterator[None]:
    """Tell what Pillow does not know from what is damaged."""
    try:
        yield
    except (OSError, SyntaxError) as error:
        if "decoder" in str(error) or "not support" in str(error) or isinstance(error, SyntaxError):
            raise _unread(page, name) from None
        raise


def _check_kind(page: TiffPage, name: str) -> None:
    """Check that something decodes a page's samples, and that they are grey or colour."""
    if page.dtype is None or page.dtype.kind not in "iuf":
        raise _unread(page, name)
    if not _has_codec(page):
        if _is_planar(page):
            # OpenCV would take the planes for interleaved channels.
            raise InputError(
                f"{name} keeps its channels in separate planes, compressed in a way that is not "
                f"read ({_compression(page)}): save it with interleaved channels, or install "
                "imagecodecs"
            )
        if page.compression not in _OPENCV_COMPRESSIONS:
            raise _unread(page, name)
    channels = page.samplesperpixel
    if channels > 2 and page.photometric not in (_RGB, _LINEAR_RAW):
        raise InputError(
            f"{name} has {channels} grey channels a pixel: save one of them, or RGB as such"
        )


def _decode(file: BinaryIO, place: int, page: TiffPage, name: str) -> tuple[npt.NDArray[Any], int]:
    """Return a page's samples, (H, W) or (H, W, C), and the orientation they still have."""
    _check_kind(page, name)
    dtype = page.dtype
    assert dtype is not None
    channels = page.samplesperpixel
    shape = (page.imagelength, page.imagewidth)
    if _has_codec(page):
        _check_present(page, name)
        samples = page.asarray(maxworkers=1)
        samples = samples.reshape(-1, *shape) if _is_planar(page) else samples.reshape(*shape, -1)
        if _is_planar(page):
            samples = np.moveaxis(samples, 0, -1)
        samples = samples[..., 0] if channels == 1 else samples
        orientation = _tag(page, _ORIENTATION)
        return (
            np.ascontiguousarray(samples, samples.dtype.newbyteorder("=")),
            orientation if isinstance(orientation, int) else 1,
        )
    try:
        samples = decode_with_opencv(file, place + 1)
    except ValueError:
        raise _unread(page, name) from None
    if samples.dtype.itemsize != dtype.itemsize or samples.ndim != (2 if channels == 1 else 3):
        raise _unread(page, name)
    # OpenCV has no unsigned 32 bits and no half floats: it has their bits all the same. It turns
    # a TIFF upright itself.
    return samples.view(dtype.newbyteorder("=")), 1


def _is_planar(page: TiffPage) -> bool:
    return page.planarconfig == _SEPARATE_PLANES and page.samplesperpixel > 1


def _check_present(page: TiffPage, name: str) -> None:
    """Check that the segments of the page lie in the file, before memory is taken for them."""
    size = page.parent.filehandle.size
    ends = zip(page.dataoffsets, page.databytecounts, strict=False)
    if any(offset + count > size for offset, count in ends if count):
        raise ValueError("samples are missing at its end")
    stored = sum(page.databytecounts)
    if page.compression == 1 and _tag(page, _GDAL_NODATA) is None and stored < page.nbytes:
        raise ValueError("fewer samples than its tags say")
    if page.compression != 1:
        # Segments may share their bytes.
        spans = set(zip(page.dataoffsets, page.databytecounts, strict=False))
        held = min(sum(count for _, count in spans), size)
        check_held(page.imagewidth, page.imagelength * _fours(page), held, name)
        if (
            page.compression in _DEFLATE
            and min(page.databytecounts, default=0) > 0
            and page.nbytes > MOST_INFLATED * stored
        ):
            raise ValueError("fewer samples than its tags say")
    if page.compression in _DEFLATE and find_spec("imagecodecs") is None:
        _check_inflated(page)


def _fours(page: TiffPage) -> int:
    """Return how often four samples make up those of a pixel."""
    return -(-page.samplesperpixel // 4)


def _check_inflated(page: TiffPage) -> None:
    """Check that no segment inflates to far more than its pixels need: tifffile keeps all of it."""
    expected = int(np.prod(page.chunks, dtype=object)) * _bits(page) // 8
    file = page.parent.filehandle
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=False):
        if count * MOST_INFLATED <= expected + _SPARE_BYTES:
            continue
        if inflated_size(blocks_of(file, [(offset, count)]), expected + _SPARE_BYTES) >= (
            expected + _SPARE_BYTES
        ):
            raise ValueError("more samples than its tags say")


def _compression(page: TiffPage) -> str:
    compression = page.compression
    return str(getattr(compression, "name", compression))


def _unread(page: TiffPage, name: str) -> InputError:
    kinds = {"i": "signed integers", "u": "integers", "f": "floats", "c": "complex numbers"}
    kind = kinds.get(page.dtype.kind, "samples") if page.dtype is not None else "samples"
    colour = str(getattr(page.photometric, "name", page.photometric)).lower()
    return InputError(
        f"{name} is a TIFF of {_bits(page)}-bit {kind} ({colour}, compression "
        f"{_compression(page).lower()}), which is not read: save it uncompressed or with deflate, "
        "or install imagecodecs"
    )


def _leave_channels(
    samples: npt.NDArray[Any],
    page: TiffPage,
    options: ReadOptions,
    notes: list[str],
    name: str,
    *,
    by_plane: bool,
) -> npt.NDArray[Any]:
    """Leave grey or RGB, with a straight alpha channel where the tags say that there is one."""
    if samples.ndim == 2:
        return samples
    if by_plane:
        return np.ascontiguousarray(samples[..., options.page - 1])
    channels = samples.shape[2]
    colours = 3 if page.photometric in (_RGB, _LINEAR_RAW) and channels >= 3 else 1
    # More channels than colours whose meaning is not told are bands, as near infrared is one.
    extra = int(page.extrasamples[0]) if page.extrasamples else 0
    if channels == colours or extra not in (_PREMULTIPLIED_ALPHA, _STRAIGHT_ALPHA):
        kept = samples[..., 0] if colours == 1 else samples[..., :colours]
        return np.ascontiguousarray(kept)
    if _is_planar(page) and channels == 4 and is_picture(samples[..., 3]):
        if options.page_chosen:
            return np.ascontiguousarray(samples[..., 0])
        notes.append(
            CodedWarning(
                "file",
                f"{name} has four planes that look like slices, not like RGB and alpha: only the "
                "first is read; --page reads another",
            )
        )
        return np.ascontiguousarray(samples[..., 0])
    kept = np.ascontiguousarray(samples[..., : colours + 1])
    if extra == _PREMULTIPLIED_ALPHA:
        divide_by_alpha(kept)
    return kept


def _nodata(page: TiffPage, dtype: np.dtype[Any]) -> float | None:
    """Return what GDAL's tag says stands for no data; None where no sample can have the value."""
    text = _tag(page, _GDAL_NODATA)
    if not isinstance(text, str):
        return None
    try:
        value = float(text.strip("\0 "))
    except ValueError:
        return None
    if dtype.kind != "f":
        limits = np.iinfo(dtype)
        return value if limits.min <= value <= limits.max and value == int(value) else None
    with np.errstate(over="ignore"):
        return float(dtype.type(value))
