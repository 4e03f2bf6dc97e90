"""Which formats are written, and by what."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from lkcfuse.images.writers import pillow, png, tiff
from lkcfuse.images.writers.extras import Extras

Writer = Callable[[npt.NDArray[Any], Extras], bytes | memoryview]
"""From samples, which are used up, to the bytes of a file."""

WRITERS: Mapping[str, Writer] = {
    "png": png.encode,
    "jpeg": pillow.encode_jpeg,
    "tiff": tiff.encode,
    "webp": pillow.encode_webp,
    "bmp": pillow.encode_bmp,
}
"""A writer for each of `lkcfuse.images.formats.FORMATS`, by the format's name."""
