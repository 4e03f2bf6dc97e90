"""ICC colour profiles: what they are of, and the way into files that OpenCV has encoded.

Pillow puts a profile into what it encodes itself; OpenCV, which encodes 16-bit and float colour,
knows of none before its version 5.
"""

from __future__ import annotations

import struct
import zlib

Encoded = bytes | memoryview

# PNG: the signature, and IHDR, which comes first and always has 13 bytes of data.
_PNG_HEADER_BYTES = 8 + 4 + 4 + 13 + 4

_TIFF_PROFILE, _TIFF_UNDEFINED = 34675, 7
_TIFF_ENTRY_BYTES = 12


def is_rgb_profile(profile: bytes) -> bool:
    """Whether a profile is of RGB values: its header names their colour space (ICC.1, 7.2.8)."""
    return profile[16:20] == b"RGB "


def add_profile_to_png(encoded: Encoded, profile: bytes) -> bytes:
    """Return a PNG with a profile, which it has not had.

    Args:
        encoded: The whole file.
        profile: The ICC profile.
    """
    # Its name, of which there need be none better, and the method of compression, 0.
    data = b"iCCP" + b"ICC Profile\0\0" + zlib.compress(profile)
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"".join((encoded[:_PNG_HEADER_BYTES], chunk, encoded[_PNG_HEADER_BYTES:]))


def add_profile_to_tiff(encoded: Encoded, profile: bytes) -> bytes:
    """Return a TIFF with a profile, which it has not had.

    The directory of the first page has no room for one more tag: a longer one is written at the
    end, and the header points to that. Everything else stays where it is.

    Args:
        encoded: The whole file, a TIFF of the classic kind (not BigTIFF), as OpenCV writes it.
        profile: The ICC profile.

    Raises:
        struct.error: The file would be larger than a TIFF can be, 4 GiB.
    """
    order = "<" if encoded[:2] == b"II" else ">"
    (old,) = struct.unpack_from(f"{order}I", encoded, 4)
    (count,) = struct.unpack_from(f"{order}H", encoded, old)
    start, end = old + 2, old + 2 + count * _TIFF_ENTRY_BYTES
    entries = [
        bytes(encoded[place : place + _TIFF_ENTRY_BYTES])
        for place in range(start, end, _TIFF_ENTRY_BYTES)
    ]
    next_page = encoded[end : end + 4]

    # Values and directories begin at even bytes.
    place = len(encoded) + len(encoded) % 2
    new = place + len(profile) + len(profile) % 2
    entries.append(struct.pack(f"{order}HHII", _TIFF_PROFILE, _TIFF_UNDEFINED, len(profile), place))
    entries.sort(key=lambda entry: struct.unpack_from(f"{order}H", entry))
    return b"".join(
        (
            encoded[:4],
            struct.pack(f"{order}I", new),
            encoded[8:],
            bytes(place - len(encoded)),
            profile,
            bytes(len(profile) % 2),
            struct.pack(f"{order}H", count + 1),
            *entries,
            next_page,
        )
    )
