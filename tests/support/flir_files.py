"""Radiometric files as FLIR's cameras write them, made of arrays.

The layout is the one that exiftool documents: records behind a directory, cut into APP1 segments.
"""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import PIL.Image

# Constants of Planck's law as cameras of this kind have them.
R1, R2, B, F, OFFSET = 15848.85, 0.0145331, 1414.9, 1.0, -4405

RAW, VISIBLE, CAMERA, PLACE = 1, 14, 32, 42
_SEGMENT = 65_000


def counts_of(celsius):
    """Return the counts of a black body's temperature that is looked at from no distance."""
    kelvin = np.asarray(celsius, np.float64) + 273.15
    return np.rint(R1 / (R2 * (np.exp(B / kelvin) - F)) - OFFSET).astype(np.uint16)


def celsius_of(counts):
    """Return the temperature that stands for counts: the other way round."""
    return B / np.log(R1 / (R2 * (counts.astype(np.float64) + OFFSET)) + F) - 273.15


def jpeg_of(pixels, exif=None, quality=95):
    file = io.BytesIO()
    extra = {} if exif is None else {"exif": exif}
    PIL.Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0, **extra)
    return file.getvalue()


def flir_png_of(pixels):
    """Return the kind of PNG that FLIR embeds: Y, Cb and Cr in the place of R, G and B."""
    ycrcb = cv2.cvtColor(pixels, cv2.COLOR_RGB2YCrCb)
    return cv2.imencode(".png", ycrcb[..., [1, 2, 0]])[1].tobytes()


def raw_record(counts, *, as_png=False):
    height, width = counts.shape
    if as_png:
        # FLIR's PNGs have the bytes of each count the wrong way round.
        held = cv2.imencode(".png", counts.byteswap())[1].tobytes()
    else:
        held = counts.astype("<u2").tobytes()
    return struct.pack("<HHH26x", 2, width, height) + held


def camera_record(*, emissivity=1.0, r1=R1):
    record = bytearray(2476)
    struct.pack_into("<6f", record, 32, emissivity, 0.0, 293.15, 293.15, 293.15, 1.0)
    struct.pack_into("<f", record, 60, 0.5)
    struct.pack_into("<3f", record, 88, r1, B, F)
    struct.pack_into("<5f", record, 112, 0.006569, 0.01262, -0.002276, -0.00667, 1.9)
    struct.pack_into("<if", record, 776, OFFSET, R2)
    return bytes(record)


def place_record(ratio, right, down):
    return struct.pack("<fhh4h", ratio, right, down, 0, 0, 0, 0)


def visible_record(file, size):
    return struct.pack("<HHH26x", 3, size[1], size[0]) + file


def fff(records, slots=14):
    """Put records behind a header and a directory."""
    start = 64 + 32 * slots
    directory, body = b"", b""
    for kind, record in records:
        directory += struct.pack(
            ">HHIIIIIII", kind, 1, 100, 1, start + len(body), len(record), 0, 0, 0
        )
        body += record
    header = struct.pack(">4s16sIII", b"FFF\0", b"", 100, 64, slots).ljust(64, b"\0")
    return header + directory.ljust(32 * slots, b"\0") + body


def app_segment(number, data):
    return bytes([0xFF, 0xE0 + number]) + struct.pack(">H", len(data) + 2) + data


def with_segments(jpeg, segments):
    """Put segments in front of what a JPEG has."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def in_segments(data):
    parts = [data[at : at + _SEGMENT] for at in range(0, len(data), _SEGMENT)]
    return [
        app_segment(1, b"FLIR\0\x01" + bytes([number, len(parts) - 1]) + part)
        for number, part in enumerate(parts)
    ]


def shown_picture(size=(24, 32), zoom=None, orientation=None):
    """Return what such a file shows: here a ramp of red."""
    exif = PIL.Image.Exif()
    if zoom is not None:
        exif.get_ifd(0x8769)[0xA404] = zoom
    if orientation is not None:
        exif[274] = orientation
    pixels = np.zeros((*size, 3), np.uint8)
    pixels[..., 0] = np.linspace(0, 255, size[1])
    return jpeg_of(pixels, exif)


def make_flir(
    celsius,
    visible=None,
    *,
    ratio=1.0,
    right=0,
    down=0,
    zoom=None,
    orientation=None,
    as_png=False,
    camera=None,
    has_place=True,
):
    """Return a radiometric file of a thermal picture and, if any, of a visible one.

    Args:
        celsius: (H, W): temperatures.
        visible: (H, W, 3) uint8, or the bytes of a file.
        ratio: Real2IR.
        right: OffsetX.
        down: OffsetY.
        zoom: The digital zoom that EXIF has.
        orientation: The orientation that EXIF has.
        as_png: Both pictures are PNGs.
        camera: The camera's record, if not the usual one.
        has_place: Whether there is a record with ratio and offsets.
    """
    counts = counts_of(celsius)
    records = [(CAMERA, camera or camera_record()), (RAW, raw_record(counts, as_png=as_png))]
    if visible is not None:
        if isinstance(visible, bytes):
            file, size = visible, (1, 1)
        else:
            file, size = (flir_png_of if as_png else jpeg_of)(visible), visible.shape[:2]
        records.append((VISIBLE, visible_record(file, size)))
    if has_place:
        records.append((PLACE, place_record(ratio, right, down)))
    shown = shown_picture(zoom=zoom, orientation=orientation)
    return with_segments(shown, in_segments(fff(records)))


def scene(x, y):
    """A smooth scene, from 0 to 1, at coordinates in pixels of the visible camera."""
    return 0.5 + 0.25 * np.sin(x / 9 + y / 31) + 0.25 * np.cos(y / 7 - x / 40)


def make_registered(size=(60, 80), visible=(150, 200), *, ratio, right=0, down=0, zoom=1.0, **more):
    """Return a file in which both cameras see one scene, and the temperatures in it.

    What the thermal camera sees is written down with the numbers' definition: its picture is as
    wide as the visible one's width by the ratio, times the zoom, with its middle at the offset.
    """
    height, width = size
    pitch = visible[1] / ratio * zoom / width
    x = visible[1] / 2 + right + (np.arange(width) + 0.5 - width / 2) * pitch
    y = visible[0] / 2 + down + (np.arange(height) + 0.5 - height / 2) * pitch
    celsius = 20 + 20 * scene(x[None], y[:, None])
    grey = 255 * scene(np.arange(visible[1])[None] + 0.5, np.arange(visible[0])[:, None] + 0.5)
    pixels = np.repeat(np.rint(grey).astype(np.uint8)[..., None], 3, axis=2)
    return make_flir(
        celsius, pixels, ratio=ratio, right=right, down=down, zoom=zoom, **more
    ), celsius


def make_dji(size=(24, 32), counts=5000):
    """Return a JPEG with what marks DJI's radiometric ones."""
    exif = PIL.Image.Exif()
    exif[271] = "DJI"
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    return with_segments(jpeg_of(pixels, exif), [app_segment(3, bytes(counts))])
