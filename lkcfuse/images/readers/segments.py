"""The application segments of a JPEG, in which cameras keep what is not the picture."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_START = b"\xff\xd8"
_APP0, _APP15 = 0xE0, 0xEF
_SCAN, _END = 0xDA, 0xD9
_ALONE = {0x01, *range(0xD0, 0xD8)}


class Segment(NamedTuple):
    """One application segment.

    Attributes:
        number: 0 to 15.
        data: What it holds.
        is_whole: Whether all of it is there.
    """

    number: int
    data: bytes
    is_whole: bool


def app_segments(file: BinaryIO) -> Iterator[Segment]:
    """Yield the application segments of a JPEG (ITU-T T.81, B.1.1) before its first scan.

    Args:
        file: The file; it can seek. One that is no JPEG, or is cut off, yields what there is.
    """
    file.seek(0)
    if file.read(2) != _START:
        return
    while True:
        lead, kind = file.read(1), file.read(1)
        while kind == b"\xff":  # filling
            kind = file.read(1)
        if lead != b"\xff" or not kind or kind[0] in (_SCAN, _END):
            return
        if kind[0] in _ALONE:
            continue
        length = int.from_bytes(file.read(2), "big") - 2
        if length < 0:
            return
        if _APP0 <= kind[0] <= _APP15:
            data = file.read(length)
            yield Segment(kind[0] - _APP0, data, len(data) == length)
        else:
            file.seek(length, 1)
