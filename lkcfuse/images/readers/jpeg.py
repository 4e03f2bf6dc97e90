"""JPEG files whose last bytes are missing: told apart from files of which more is missing.

Some cameras and transfers leave out the end marker. A decoder that is given one goes on silently
whatever else is missing, and fills the rest of the picture with something. So the file is decoded
twice, with two endings of which the second begins with bytes that would become pixels: if pixels
are missing, the two pictures differ.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import BinaryIO

import PIL.Image
from PIL import ImageChops

_END = b"\xff\xd9"
_FILLING = b"\x55\xaa\x33\xcc\x0f\x96" * 8


def complete_jpeg(file: BinaryIO, load: Callable[[BinaryIO], PIL.Image.Image]) -> BinaryIO | None:
    """Return a JPEG with its end marker, if nothing but the last bytes is missing.

    Args:
        file: The file, which does not decode as it is.
        load: Decodes one.

    Returns:
        The completed file; None if more is missing than belongs to the last block of pixels, or
        something else is wrong with it.
    """
    file.seek(0)
    data = file.read()
    if _END in data[-64:]:
        return None
    data = data.rstrip(b"\xff")
    completed = io.BytesIO(data + _END)
    try:
        picture, other = load(completed), load(io.BytesIO(data + _FILLING + _END))
    except (OSError, SyntaxError, ValueError):
        return None
    if picture.size != other.size or picture.mode != other.mode:
        return None
    differing = ImageChops.difference(picture, other).getbbox(alpha_only=False)
    if differing is not None:
        width, height = picture.size
        left, top = differing[:2]
        # The last block of at most 16x16 pixels, and what smooth chroma adds at its left and top.
        if left < (width - 1) // 16 * 16 - 2 or top < (height - 1) // 16 * 16 - 2:
            return None
    completed.seek(0)
    return completed
