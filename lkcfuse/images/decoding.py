"""Samples out of Pillow and OpenCV, as a file holds them; `reading.py` makes images of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import PIL.Image

from lkcfuse.errors import InputError
from lkcfuse.images.samples import full_scale, row_bands, swap_red_and_blue

_pillow_limit = threading.Lock()


@contextmanager
def no_pillow_limit() -> Iterator[None]:
    """Let our limit on pixels hold instead of Pillow's own lower one."""
    with _pillow_limit:
        pillows = PIL.Image.MAX_IMAGE_PIXELS
        PIL.Image.MAX_IMAGE_PIXELS = None
        try:
            yield
        finally:
            PIL.Image.MAX_IMAGE_PIXELS = pillows


def transparent_level(opened: PIL.Image.Image) -> int | None:
    """Return the sample that a grey PNG's tRNS chunk makes transparent, None where there is none.

    Args:
        opened: The image, not yet loaded.

    Returns:
        The sample as it is decoded: on the scale of 8 bits if the file has fewer.
    """
    key, mode = opened.info.get("transparency"), opened.mode
    if not isinstance(key, int) or not (mode in ("1", "L", "I") or mode.startswith("I;16")):
        return None
    if mode == "1":
        return 255 if key else 0
    # Pillow stretches samples of 2 and 4 bits to 8, but not the key.
    kinds = [tile[3] for tile in getattr(opened, "tile", ())]
    if "L;2" in kinds:
        return key * 85
    return key * 17 if "L;4" in kinds else key


def decode_with_pillow(
    opened: PIL.Image.Image, name: str, transparent: int | None
) -> npt.NDArray[Any]:
    """Return what Pillow has decoded.

    Args:
        opened: The image, loaded.
        name: What messages call it.
        transparent: The sample that stands for transparent, in a grey image.

    Returns:
        (H, W), or (H, W, 2 to 4) with colour or alpha; uint8, uint16 or float32.

    Raises:
        InputError: There are integers beyond 16 bits.
    """
    mode = opened.mode
    if mode in ("1", "L"):
        return _with_alpha(_copy(opened, "L", np.uint8), transparent)
    if mode.startswith("I;16"):
        return _with_alpha(_copy(opened, None, np.uint16), transparent)
    if mode == "I":
        # Older versions of Pillow keep 16-bit PNG this way.
        whole = _copy(opened, None, np.int32)
        if whole.min() < 0 or whole.max() > 65535:
            raise InputError(
                f"{name} has integers from {whole.min()} to {whole.max()}: "
                "scale them to 0..65535 and save them as 16-bit"
            )
        return _with_alpha(whole.astype(np.uint16), transparent)
    if mode == "F":
        return _copy(opened, None, np.float32)
    if mode in ("LA", "La"):
        return _copy(opened, "LA", np.uint8)
    has_alpha = "transparency" in opened.info or mode in ("PA", "RGBA", "RGBa")
    return _copy(opened, "RGBA" if has_alpha else "RGB", np.uint8)


def _with_alpha(grey: npt.NDArray[Any], transparent: int | None) -> npt.NDArray[Any]:
    if transparent is None:
        return grey
    samples = np.empty((*grey.shape, 2), grey.dtype)
    samples[..., 0] = grey
    samples[..., 1] = full_scale(grey.dtype)
    samples[..., 1][grey == transparent] = 0
    return samples


def _copy(opened: PIL.Image.Image, mode: str | None, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Copy an image out of Pillow, converted to a mode of one channel a letter unless it is None.

    Asked for all at once, Pillow would make three copies of the whole on the way.
    """
    width, height = opened.size
    channels = len(mode or "L")
    samples = np.empty((height, width) if channels == 1 else (height, width, channels), dtype)
    for rows in row_bands(height, width):
        with no_pillow_limit():
            band = opened.crop((0, rows.start, width, rows.stop))
        samples[rows] = np.asarray(band if mode is None else band.convert(mode))
    return samples


def decode_deep_colour(file: BinaryIO, name: str) -> npt.NDArray[Any]:
    """Return 16-bit or float colour, which Pillow cannot hold, as OpenCV decodes it.

    Returns:
        (H, W, 3) RGB, or (H, W, 4) with the file's fourth channel after it, whatever that is;
        uint16, float32 or float64.

    Raises:
        InputError: OpenCV cannot read it.
    """
    import cv2

    file.seek(0)
    decoded = cv2.imdecode(np.frombuffer(file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
    kinds = (np.uint16, np.float32, np.float64)
    if decoded is None or decoded.dtype not in kinds or decoded.ndim != 3:
        raise InputError(
            f"{name} is damaged, or a kind of 16-bit or float colour image that is not read: "
            "save it upright as 16-bit PNG, or with 8 bits"
        )
    swap_red_and_blue(decoded)
    return decoded
