"""JPEG, and what thermal cameras put into it beside the picture that it shows.

`ReadOptions.radiometric` says whether to take that instead: temperatures or the visible picture.
"""

from __future__ import annotations

from typing import BinaryIO

from lkcfuse.errors import LkcfuseError
from lkcfuse.images.decoded import Decoded, upright_size
from lkcfuse.images.metadata import Metadata, from_pillow
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.readers import pillow
from lkcfuse.images.readers.flir import (
    FlirFile,
    digital_zoom,
    enlarge,
    find_flir,
    grid_size,
    lay_over,
)
from lkcfuse.images.readers.segments import app_segments
from lkcfuse.notes import CodedWarning

FLIR, DJI = "FLIR", "DJI"

# DJI's segments of counts; an empty one is some other program's.
_DJI_COUNTS, _DJI_LEAST = 3, 1024


def read(file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    """Read a JPEG: the picture that it shows, or what a thermal camera has put into it.

    Raises:
        InputError: It is too large, or lacks what is asked for.
        ResourceError: flyr, which reads FLIR's files, is not installed.
        Exception: What a decoder raises for a damaged file.
    """
    found = None if options.radiometric == "off" else find_flir(file, name)
    if found is not None:
        return _read_flir(found, file, options, name)
    file.seek(0)
    decoded = pillow.read(file, options, name)
    if options.radiometric == "thermal" and _is_dji(file):
        height, width = decoded.samples.shape[:2]
        decoded.notes.append(
            CodedWarning(
                "radiometric",
                f"{name} shows a picture, which is taken, and hides temperatures, which only DJI's "
                f"own program reads: {dji_commands(name, height, width)}",
            )
        )
    return decoded


def probe(file: BinaryIO, options: ReadOptions, name: str) -> tuple[int, int]:
    """Return the size of what `read` would return; see `Reader`."""
    found = None if options.radiometric == "off" else find_flir(file, name)
    if found is None:
        file.seek(0)
        return pillow.probe(file, options, name)
    size = found.size
    if options.radiometric == "visible" or options.radiometric_grid == "visible":
        visible = found.visible_size()
        place = found.place(digital_zoom(file))
        size = grid_size(found.size, visible, place, options.radiometric_grid)
    return upright_size(*size, _about(file, name)[0])


def radiometric_kind(file: BinaryIO) -> str | None:
    """Return whose radiometric JPEG a file is, `FLIR` or `DJI`; None where it is not one."""
    try:
        if find_flir(file, "") is not None:
            return FLIR
    except (ValueError, LkcfuseError):
        return FLIR  # reading it tells what is wrong
    return DJI if _is_dji(file) else None


def dji_commands(name: str, height: int, width: int) -> str:
    """Return the commands that turn DJI's file into one that is read."""
    stem = name.rpartition(".")[0] or name
    return (
        f"run `dji_irp -a measure --measurefmt float32 -s {name} -o {stem}.raw` of its Thermal SDK "
        f"and `python -c \"import numpy as n; n.save('{stem}.npy', "
        f"n.fromfile('{stem}.raw', '<f4').reshape({height}, {width}))\"`, and fuse {stem}.npy"
    )


def _read_flir(found: FlirFile, file: BinaryIO, options: ReadOptions, name: str) -> Decoded:
    grid = options.radiometric_grid
    orientation, metadata = _about(file, name)
    if options.radiometric == "thermal":
        celsius = found.temperatures(file)
        if grid == "visible":
            visible = found.visible_size()
            place = found.place(digital_zoom(file))
            celsius = enlarge(celsius, grid_size(found.size, visible, place, grid))
        return Decoded(celsius, orientation, format="JPEG", metadata=metadata)
    picture = found.visible()
    place = found.place(digital_zoom(file))
    size = grid_size(found.size, (picture.shape[0], picture.shape[1]), place, grid)
    part, valid = lay_over(picture, found.size, place, size, name)
    return Decoded(part, orientation, valid=valid, format="JPEG", metadata=metadata)


def _about(file: BinaryIO, name: str) -> tuple[int, Metadata]:
    """Return the orientation, and what is said about the pictures but for their size."""
    file.seek(0)
    with pillow.open_with_pillow(file, "JPEG", name) as opened:
        return pillow.orientation_of(opened), from_pillow(opened).warped()


def _is_dji(file: BinaryIO) -> bool:
    """Recognise DJI's R-JPEG: counts in APP3, and the maker's name in EXIF."""
    counts, by_dji = 0, False
    for number, data, _ in app_segments(file):
        by_dji = by_dji or (number == 1 and data.startswith(b"Exif") and b"DJI" in data)
        counts += len(data) if number == _DJI_COUNTS else 0
    return by_dji and counts >= _DJI_LEAST
