"""FLIR's radiometric JPEG: raw counts, the visible picture, and what places one on the other.

Beside the picture that it shows, such a file has records in its APP1 segments: the counts of the
sensor with what turns them into temperatures, the visible camera's picture, and the numbers by
which the camera itself lays one over the other. Temperatures come from flyr; the records are those
that exiftool documents (https://exiftool.org/TagNames/FLIR.html).
"""

from __future__ import annotations

import io
import math
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

import cv2
import numpy as np
import numpy.typing as npt
from PIL import ExifTags

from lkcfuse.errors import InputError, ResourceError
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers.holding import check_held
from lkcfuse.images.readers.limits import check_size
from lkcfuse.images.readers.pillow import open_with_pillow, probe_format, read_format
from lkcfuse.images.readers.segments import app_segments

_SIGNATURE = b"FLIR\0"
_FORMATS = (b"FFF\0", b"AFF\0")
_RAW, _VISIBLE, _PLACE = 1, 14, 42
_FILE_HEADER, _ENTRY, _HEADER, _MOST_RECORDS = 64, 32, 32, 1024

_PNG, _JPEG = b"\x89PNG", b"\xff\xd8\xff"

# No scene and no camera: a calibration that says so is not one.
_COLDEST, _HOTTEST = -150.0, 3500.0
_LARGEST_RATIO = 64.0

# Shrinking by more than this needs a low-pass filter before samples are picked.
_ALIASING = 4 / 3

Raw = npt.NDArray[Any]


@dataclass(frozen=True)
class Place:
    """Where the visible picture lies over the thermal one, as the camera's own overlay has it.

    Attributes:
        ratio: How many times the visible picture is as wide as what the thermal one shows
            (Real2IR).
        right: How far the middle of the thermal picture lies to the right of the visible one's
            middle, in visible pixels (OffsetX).
        down: Likewise downwards (OffsetY).
        zoom: The digital zoom of the picture that the file shows, to which the ratio refers; the
            counts are not zoomed.
    """

    ratio: float
    right: float
    down: float
    zoom: float

    def scale(self, width: int, visible_width: int) -> float:
        """Return how many pixels of the visible picture one of the thermal is wide."""
        return visible_width * self.zoom / (self.ratio * width)


@dataclass(frozen=True)
class FlirFile:
    """What the segments of a radiometric file hold.

    Attributes:
        data: The segments' contents, put together.
        records: Where each kind of record lies in them: from, to, and its entry in the directory.
        size: (height, width) of the thermal picture.
        name: What messages call the file.
    """

    data: bytes
    records: Mapping[int, tuple[int, int, int]]
    size: tuple[int, int]
    name: str

    def temperatures(self, file: BinaryIO) -> npt.NDArray[np.float32]:
        """Return the temperature of each pixel, in degrees Celsius.

        Args:
            file: The whole JPEG.

        Returns:
            (H, W).

        Raises:
            InputError: The counts cannot be turned into temperatures.
            ResourceError: flyr is not installed.
            Exception: What flyr raises for a damaged file.
        """
        flyr = _import_flyr(self.name)
        file.seek(0)
        thermal = self._without_visible(file.read())
        with np.errstate(all="ignore"):
            celsius: Raw = flyr.unpack(io.BytesIO(thermal)).celsius
        known = celsius[np.isfinite(celsius)]
        if known.size == 0 or not _COLDEST < float(np.median(known)) < _HOTTEST:
            raise InputError(
                f"{self.name} has counts that its own calibration does not turn into temperatures: "
                "--radiometric off takes the picture that it shows"
            )
        return celsius.astype(np.float32)

    def visible(self) -> Raw:
        """Return the visible picture whole: (H, W) or (H, W, 3) RGB, uint8.

        Raises:
            InputError: There is none, or it is of a kind that is not read.
            Exception: What Pillow raises for a damaged picture.
        """
        file, format_name = self._visible_file()
        decoded = read_format(file, format_name, ReadOptions(), self.name).samples
        if decoded.dtype != np.uint8:
            raise self._of_another_kind()
        if decoded.ndim == 3 and decoded.shape[2] != 3:
            decoded = decoded[..., 0] if decoded.shape[2] == 2 else decoded[..., :3]
        if format_name == "PNG" and decoded.ndim == 3:
            # FLIR's PNGs hold Y, Cb and Cr in the place of R, G and B.
            decoded = cv2.cvtColor(
                np.ascontiguousarray(decoded[..., [0, 2, 1]]), cv2.COLOR_YCrCb2RGB
            )
        return decoded

    def visible_size(self) -> tuple[int, int]:
        """Return (height, width) of the visible picture; raises as `visible`."""
        file, format_name = self._visible_file()
        return probe_format(file, format_name, ReadOptions(), self.name)

    def place(self, zoom: float) -> Place:
        """Return where the visible picture lies.

        Args:
            zoom: The digital zoom of the picture that the file shows.

        Raises:
            InputError: The file does not tell.
        """
        start, end, _ = self.records.get(_PLACE, (0, 0, 0))
        if end - start >= 8:
            ratio, right, down = struct.unpack_from("<fhh", self.data, start)
            if math.isfinite(ratio) and 1 / _LARGEST_RATIO <= ratio <= _LARGEST_RATIO:
                return Place(ratio, right, down, zoom)
        raise InputError(
            f"{self.name} does not tell where its visible picture lies on its thermal one: take it "
            f"out (exiftool -b -EmbeddedImage {self.name} > visible.jpg) and fuse the two with "
            "--transform"
        )

    def _without_visible(self, jpeg: bytes) -> bytes:
        """Return a JPEG without the entry of its visible picture, which flyr would decode too."""
        *_, entry = self.records.get(_VISIBLE, (0, 0, 0))
        place = jpeg.find(self.data[:_FILE_HEADER]) + entry
        if not entry or jpeg[place : place + _ENTRY] != self.data[entry : entry + _ENTRY]:
            return jpeg
        return jpeg[:place] + b"\0\0" + jpeg[place + 2 :]

    def _visible_file(self) -> tuple[BinaryIO, str]:
        start, end, _ = self.records.get(_VISIBLE, (0, 0, 0))
        held = self.data[start + _HEADER : end]
        if not held:
            raise InputError(
                f"{self.name} has no visible picture in it: name the visible image after it"
            )
        if held.startswith(_PNG):
            return io.BytesIO(held), "PNG"
        if held.startswith(_JPEG):
            return io.BytesIO(held), "JPEG"
        raise self._of_another_kind()

    def _of_another_kind(self) -> InputError:
        return InputError(
            f"{self.name} has a visible picture that is neither JPEG nor PNG of 8 bits: save it "
            "with FLIR's own program, and name it after this file"
        )


def find_flir(file: BinaryIO, name: str) -> FlirFile | None:
    """Return what a JPEG's segments hold, None where they hold no raw counts.

    Raises:
        ValueError: Segments are missing.
        InputError: It has too many pixels.
    """
    parts: dict[int, bytes] = {}
    last, is_whole = 0, True
    for segment in app_segments(file):
        held = segment.data
        if segment.number == 1 and held.startswith(_SIGNATURE) and len(held) > 8:
            parts.setdefault(held[6], held[8:])
            last, is_whole = held[7], is_whole and segment.is_whole
    if not parts.get(0, b"").startswith(_FORMATS):
        return None
    data = b"".join(parts[number] for number in sorted(parts))
    records = _records(data)
    if not is_whole:
        raise ValueError("its thermal data end early")
    if _RAW not in records:
        return None
    if len(parts) != last + 1:
        raise ValueError(f"{len(parts)} of {last + 1} segments of thermal data are there")
    start, end, _ = records[_RAW]
    if end - start <= _HEADER or end > len(data):
        raise ValueError("its thermal data end early")
    order = "<" if data[start + 1] == 0 else ">"
    width, height = struct.unpack_from(f"{order}HH", data, start + 2)
    check_size(width, height, name)
    check_held(width, height, end - start, name)
    counts = data[start + _HEADER : end]
    if counts.startswith(_PNG):
        if struct.unpack_from(">II", counts.ljust(24), 16) != (width, height):
            raise ValueError("its thermal data have two sizes")
    elif len(counts) < 2 * width * height:
        raise ValueError("its thermal data end early")
    return FlirFile(data, records, (height, width), name)


def _records(data: bytes) -> dict[int, tuple[int, int, int]]:
    """Read the directory: where the first record of each kind lies."""
    if len(data) < _FILE_HEADER:
        return {}
    found: dict[int, tuple[int, int, int]] = {}
    order = ">" if 100 <= struct.unpack_from(">I", data, 20)[0] < 200 else "<"
    directory, count = struct.unpack_from(f"{order}II", data, 24)
    for number in range(min(count, _MOST_RECORDS)):
        entry = directory + number * _ENTRY
        if entry + _ENTRY > len(data):
            break
        (kind,) = struct.unpack_from(f"{order}H", data, entry)
        start, length = struct.unpack_from(f"{order}II", data, entry + 12)
        if kind:
            found.setdefault(kind, (start, start + length, entry))
    return found


def digital_zoom(file: BinaryIO) -> float:
    """Return the digital zoom that EXIF names; 1 where it names none."""
    file.seek(0)
    with suppress(Exception):  # EXIF data is often broken, and then says nothing
        exif = open_with_pillow(file, "JPEG", "").getexif().get_ifd(ExifTags.IFD.Exif)
        zoom = float(exif.get(ExifTags.Base.DigitalZoomRatio, 1))
        if math.isfinite(zoom) and 1 <= zoom <= _LARGEST_RATIO:
            return zoom
    return 1.0


def grid_size(
    size: tuple[int, int], visible: tuple[int, int], place: Place, grid: str
) -> tuple[int, int]:
    """Return (height, width) of a grid over what the thermal picture shows.

    Args:
        size: (height, width) of the thermal picture.
        visible: Likewise of the visible one.
        place: Where that lies.
        grid: `thermal` for the thermal picture's pixels, `visible` for the visible one's.
    """
    if grid == "thermal":
        return size
    scale = place.scale(size[1], visible[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def enlarge(celsius: npt.NDArray[np.float32], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """Return temperatures on a grid of another size over the same view."""
    if celsius.shape == size:
        return celsius
    shrinks = size[0] < celsius.shape[0]
    # Linear: a kernel that overshoots makes rings of heat that nobody measured.
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    scaled: Raw = cv2.resize(celsius, size[::-1], interpolation=method)
    return scaled


def lay_over(
    visible: Raw, thermal: tuple[int, int], place: Place, size: tuple[int, int], name: str
) -> tuple[Raw, npt.NDArray[np.bool_] | None]:
    """Return of the visible picture what the thermal one shows.

    Args:
        visible: (H, W) or (H, W, 3), uint8.
        thermal: (height, width) of the thermal picture.
        place: Where the visible one lies.
        size: (height, width) of the grid to use over the thermal picture's view.
        name: What messages call the file.

    Returns:
        The part on that grid, and where there is any: None for everywhere.

    Raises:
        InputError: The two have nothing in common.
    """
    height, width = visible.shape[:2]
    across, down = (place.scale(thermal[1], width) * thermal[axis] / size[axis] for axis in (1, 0))
    left = width / 2 + place.right - across * size[1] / 2
    top = height / 2 + place.down - down * size[0] / 2
    columns = left + (np.arange(size[1]) + 0.5) * across
    rows = top + (np.arange(size[0]) + 0.5) * down
    inside = ((rows >= 0) & (rows <= height))[:, None] & ((columns >= 0) & (columns <= width))
    if not inside.any():
        raise InputError(
            f"{name} places its visible picture beside its thermal one: fuse the two with "
            "--transform"
        )
    if across > _ALIASING:
        small = max(1, round(width / across)), max(1, round(height / down))
        visible = cv2.resize(visible, small, interpolation=cv2.INTER_AREA)
        across, left = across * small[0] / width, left * small[0] / width
        down, top = down * small[1] / height, top * small[1] / height
    matrix = np.array(
        [[across, 0, left + across / 2 - 0.5], [0, down, top + down / 2 - 0.5]], np.float64
    )
    part = cv2.warpAffine(
        visible,
        matrix,
        size[::-1],
        flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return part, None if inside.all() else inside


def _import_flyr(name: str) -> Any:
    try:
        import flyr
    except ModuleNotFoundError:
        raise ResourceError(
            f"{name} is a radiometric FLIR file, and flyr is not installed: "
            "pip install 'lkcfuse[thermal]', or take the picture that it shows with "
            "--radiometric off"
        ) from None
    return flyr
