"""WebP: its size, which has to be known before libwebp makes room for the picture."""

from __future__ import annotations


def webp_size(head: bytes) -> tuple[int, int]:
    """Return (width, height) of a WebP file.

    Args:
        head: The first 30 bytes of the file.

    Raises:
        ValueError: It has no header (RFC 9649, 2.5 to 2.7).
    """
    kind, data = head[12:16], head[20:30]
    if len(data) == 10:
        if kind == b"VP8X":
            width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (4, 7))
            return width, height
        if kind == b"VP8L" and data[0] == 0x2F:
            bits = int.from_bytes(data[1:5], "little")
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        if kind == b"VP8 " and data[3:6] == b"\x9d\x01\x2a":
            width, height = (int.from_bytes(data[at : at + 2], "little") for at in (6, 8))
            return width & 0x3FFF, height & 0x3FFF
    raise ValueError("no header")
