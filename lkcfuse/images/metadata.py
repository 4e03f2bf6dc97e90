"""What a file says about its picture, and which of it a fused image keeps.

Kept are who took the picture when, where and with what (EXIF, GPS), how large a pixel is, and where
on the map it lies (GeoTIFF).
What describes the file and not the picture is not: the orientation, since pixels are turned upright
when they are read; thumbnails and makers' notes, which point into the old file; sizes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

import PIL.Image
from PIL import ExifTags, TiffImagePlugin

Tags = Mapping[int, Any]
"""Values by tag number, as Pillow reads them."""

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_SOFTWARE, _EXIF, _GPS = 305, ExifTags.IFD.Exif.value, ExifTags.IFD.GPSInfo.value
_DESCRIPTION = 270
_PIXELS_ACROSS, _PIXELS_DOWN = 40962, 40963
_INCHES, _CENTIMETRES = 2, 3
_CENTIMETRES_PER_INCH = 2.54

# Title, comment, author, keywords and subject as Windows writes them, in UTF-16.
_WINDOWS = range(40091, 40096)
# The description, the camera's maker and model, date, artist, copyright.
_KEPT = (_DESCRIPTION, 271, 272, 306, 315, 33432, *_WINDOWS)

# Maker's note, which points into the file that it stood in; interoperability; sizes and places in
# pixels that the fused image need not have.
_LEFT_OUT = (37500, 40965, _PIXELS_ACROSS, _PIXELS_DOWN, 37396, 41492)

# Pixel scale, tie points, transform; the keys of the map's coordinates (GeoTIFF 1.1).
_MAP_GRID = (33550, 33922, 34264, 34735, 34736, 34737)

# Programs keep the layout of their own files in the description.
_LAYOUTS = ("ImageJ=", "<?xml", '{"shape"', "<OME")

# Types of values, and what is UNDEFINED of the GPS values that Pillow returns as bytes (EXIF 2.32).
_BYTE, _ASCII, _UNDEFINED = 1, 2, 7
_UNDEFINED_IN_GPS = (27, 28)

# JPEG has one segment of 64 KiB for all of it; a single value of so much is a picture or a table.
_LARGEST_VALUE = 4096
_LARGEST = 60_000

_TIFF_HEADER = b"II\x2a\0\x08\0\0\0"


@dataclass(frozen=True)
class Metadata:
    """What goes with a picture from file to file.

    Attributes:
        picture: Tags on the picture as a whole: description, camera, date, artist, copyright.
        exposure: Tags of the EXIF directory: how it was taken.
        place: Tags of the GPS directory.
        map_grid: GeoTIFF's tags, which tell where on the map each pixel lies; only TIFF holds them.
        resolution: Pixels per inch, (across, down); None where the file does not say.
        software: What made the picture, in ASCII; None for a source.
    """

    picture: Tags = field(default_factory=dict)
    exposure: Tags = field(default_factory=dict)
    place: Tags = field(default_factory=dict)
    map_grid: Tags = field(default_factory=dict)
    resolution: tuple[float, float] | None = None
    software: str | None = None

    def made_by(self, software: str) -> Metadata:
        """Return it with the program that made the picture; what is not ASCII is escaped."""
        return replace(self, software=software.encode("ascii", "backslashreplace").decode())

    def scaled(self, down: float, across: float) -> Metadata:
        """Return it for a picture with so many times the pixels down and across."""
        resolution = self.resolution
        if resolution is not None:
            resolution = (resolution[0] * across, resolution[1] * down)
        return replace(self, resolution=resolution, map_grid={})

    def warped(self) -> Metadata:
        """Return it for a picture on another grid, whose pixels may differ in size."""
        return replace(self, resolution=None, map_grid={})

    def main_tags(self) -> dict[int, Any]:
        """Return the tags that stand in a file's main directory."""
        tags = dict(self.picture)
        if self.software is not None:
            tags[_SOFTWARE] = self.software
        return tags

    def directories(self, size: tuple[int, int], offset: int) -> tuple[bytes, dict[int, int]]:
        """Return the EXIF and GPS directories, to be put into a little-endian TIFF.

        Args:
            size: (height, width) of the image that they are written with.
            offset: Where in the TIFF the bytes will stand.

        Returns:
            The bytes, and the offset of each directory by the tag that points to it.
        """
        exposure = dict(self.exposure)
        if exposure:
            exposure |= {_PIXELS_ACROSS: size[1], _PIXELS_DOWN: size[0]}
        data, places = b"", {}
        for pointer, tags in ((_EXIF, exposure), (_GPS, self.place)):
            if tags:
                places[pointer] = offset + len(data)
                data += _directory(tags, pointer).tobytes(places[pointer])
                data += bytes(len(data) % 2)
        return data, places

    def to_exif(self, size: tuple[int, int]) -> bytes | None:
        """Return it as an EXIF block: a small TIFF, in which PNG, JPEG and WebP keep it.

        Args:
            size: (height, width) of the image that it is written with.

        Returns:
            The block, without the word `Exif` that JPEG puts before it; None where there is
            nothing to say.
        """
        main = _directory(self.main_tags(), None)
        pointers = self.directories(size, 0)[1]
        for pointer in pointers:
            main[pointer] = 0
        if not len(main):
            return None
        offset = len(_TIFF_HEADER)
        end = offset + len(main.tobytes(offset))
        data, places = self.directories(size, end + end % 2)
        for pointer, place in places.items():
            main[pointer] = place
        return _TIFF_HEADER + main.tobytes(offset) + bytes(end % 2) + data


def from_pillow(opened: PIL.Image.Image) -> Metadata:
    """Return what Pillow finds in a file; of what is broken, nothing."""
    resolution = None
    with suppress(Exception):
        resolution = _resolution(*opened.info["dpi"])
    exif = PIL.Image.Exif()
    with suppress(Exception):
        exif = opened.getexif()
    return _collect(exif, resolution)


def from_tiff(file: BinaryIO) -> Metadata:
    """Return what the first page of a TIFF says; of what is broken, nothing."""
    exif = PIL.Image.Exif()
    with suppress(Exception):
        file.seek(0)
        exif.load_from_fp(file)
    resolution = None
    with suppress(Exception):
        unit = {_INCHES: 1.0, _CENTIMETRES: _CENTIMETRES_PER_INCH}.get(
            exif.get(_RESOLUTION_UNIT, _INCHES)
        )
        if unit is not None:
            across, down = float(exif[_X_RESOLUTION]), float(exif[_Y_RESOLUTION])
            resolution = _resolution(across * unit, down * unit)
    found = _collect(exif, resolution)
    # A turned picture's rows are not those that the tags speak of.
    if exif.get(ExifTags.Base.Orientation, 1) != 1:
        return found
    return replace(found, map_grid={tag: exif[tag] for tag in _MAP_GRID if tag in exif})


def _resolution(across: float, down: float) -> tuple[float, float] | None:
    across, down = float(across), float(down)
    sound = all(math.isfinite(value) and 1 <= value <= 1e6 for value in (across, down))
    # 1x1 is what programs write who do not know.
    return (across, down) if sound and (across, down) != (1, 1) else None


def _collect(exif: PIL.Image.Exif, resolution: tuple[float, float] | None) -> Metadata:
    picture: dict[int, Any] = {}
    exposure: dict[int, Any] = {}
    place: dict[int, Any] = {}
    with suppress(Exception):
        picture = _writable({tag: exif[tag] for tag in _KEPT if tag in exif}, None)
        if str(picture.get(_DESCRIPTION, "")).lstrip().startswith(_LAYOUTS):
            del picture[_DESCRIPTION]
    with suppress(Exception):
        found = exif.get_ifd(_EXIF).items()
        exposure = _writable({tag: value for tag, value in found if tag not in _LEFT_OUT}, _EXIF)
    with suppress(Exception):
        place = _writable(exif.get_ifd(_GPS), _GPS)
    metadata = Metadata(picture, exposure, place, resolution=resolution)
    if len(metadata.to_exif((1, 1)) or b"") > _LARGEST:
        return Metadata(resolution=resolution)
    return metadata


def _writable(tags: Tags, group: int | None) -> dict[int, Any]:
    """Return those tags that can be written again, one by one: what is broken is left out."""
    kept = {}
    for tag, value in tags.items():
        if not isinstance(tag, int) or isinstance(value, dict):
            continue
        with suppress(Exception):
            if len(_directory({tag: value}, group).tobytes(0)) <= _LARGEST_VALUE:
                kept[tag] = value
    return kept


def _directory(tags: Tags, group: int | None) -> TiffImagePlugin.ImageFileDirectory_v2:
    """Return a directory of tags.

    Args:
        tags: The values.
        group: The tag that points to the directory; None for the main one.
    """
    directory = TiffImagePlugin.ImageFileDirectory_v2(prefix=b"II", group=group)
    for tag, value in tags.items():
        if isinstance(value, str):
            # Pillow reads Latin-1, whatever it is, and writes ASCII.
            directory.tagtype[tag] = _ASCII
            directory[tag] = value.encode("latin-1", "replace")
        elif isinstance(value, bytes):
            is_byte = tag in _WINDOWS or (group == _GPS and tag not in _UNDEFINED_IN_GPS)
            directory.tagtype[tag] = _BYTE if is_byte else _UNDEFINED
            directory[tag] = value
        else:
            directory[tag] = value
    return directory
