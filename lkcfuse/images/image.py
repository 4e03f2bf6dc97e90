"""An image in memory: luma in float, chroma kept aside, and what it takes to write it back."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.colour import FloatArray, rgb_to_ycbcr, ycbcr_to_rgb

# Conversions go through a band of rows at a time: the float copies of a whole photograph would
# need several times its own memory, and would not fit in a cache.
_BAND_PIXELS = 1 << 18

# Float sources that were resampled overshoot their range by a little; that much is clipped.
_FLOAT_TOLERANCE = 1e-3

# Mean |Cb| + |Cr| below which a colour image is grey to the eye (JPEG leaves such traces).
_VISIBLE_CHROMA = 0.01

# As many pixels tell whether an image is coloured; a large one is looked at in a grid.
_COLOUR_SAMPLES = 1 << 18


@dataclass(frozen=True)
class Image:
    """A grey or colour image.

    Attributes:
        luma: (H, W) float32 in [0, 1].
        chroma: (H, W, 2) float32, Cb and Cr centred on 0; None for a grey image.
        dtype: Type of the source's samples, so that a result can be written as deep: uint8, uint16
            or a float type.
        name: What messages call it: the file's path, or a word.
        icc_profile: The colour profile that came with the RGB values; None where none did.
        notes: What the user should know about the way it was read, a line each.
    """

    luma: FloatArray
    chroma: FloatArray | None
    dtype: np.dtype[np.generic]
    name: str = "image"
    icc_profile: bytes | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.luma.shape
        return height, width

    def is_coloured(self) -> bool:
        """Whether an eye would see colour: more than the traces that JPEG leaves in grey."""
        if self.chroma is None:
            return False
        step = max(1, math.isqrt(self.luma.size // _COLOUR_SAMPLES))
        sample = self.chroma[::step, ::step]
        return float(np.abs(sample).sum(axis=-1).mean()) > _VISIBLE_CHROMA


def image_from_array(array: npt.ArrayLike, *, name: str = "array") -> Image:
    """Make an image of an array.

    Args:
        array: (H, W) grey or (H, W, 3) RGB; uint8 or uint16 over their whole range, or a float
            type in [0, 1].
        name: What messages call it.

    Returns:
        The image; it has chroma exactly if the array has three channels.

    Raises:
        InputError: The shape, the type or the values are none of those.
    """
    pixels = np.asarray(array)
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(f"{name} has shape {pixels.shape}: give (H, W) grey or (H, W, 3) RGB")
    if 0 in pixels.shape:
        raise InputError(f"{name} has no pixels: its shape is {pixels.shape}")
    dtype = pixels.dtype.newbyteorder("=")
    if dtype.kind == "f":
        _check_float_range(pixels, name)
    elif dtype not in (np.uint8, np.uint16):
        raise InputError(
            f"{name} has type {pixels.dtype}: give uint8, uint16, or float between 0 and 1"
        )
    height, width = pixels.shape[:2]
    luma = np.empty((height, width), np.float32)
    chroma = np.empty((height, width, 2), np.float32) if pixels.ndim == 3 else None
    for rows in _bands(height, width):
        unit = _to_unit(pixels[rows])
        if chroma is None:
            luma[rows] = unit
        else:
            luma[rows], chroma[rows] = rgb_to_ycbcr(unit)
    return Image(luma, chroma, dtype, name)


def image_to_array(image: Image, dtype: npt.DTypeLike | None = None) -> npt.NDArray[np.generic]:
    """Return an image's samples.

    Luma is clipped to [0, 1] and kept; where it leaves no room for the chroma, the chroma gives
    way (`lkcfuse.images.colour.ycbcr_to_rgb`).

    Args:
        image: The image.
        dtype: uint8, uint16 or a float type; None takes the image's own.

    Returns:
        (H, W) where the image is grey, else (H, W, 3) RGB; integers over their whole range and
        rounded, floats in [0, 1].
    """
    target = np.dtype(image.dtype if dtype is None else dtype)
    height, width = image.size
    shape = (height, width) if image.chroma is None else (height, width, 3)
    pixels = np.empty(shape, target)
    for rows in _bands(height, width):
        unit: FloatArray = np.clip(image.luma[rows], 0, 1)
        if image.chroma is not None:
            unit = ycbcr_to_rgb(unit, image.chroma[rows])
        if target.kind == "u":
            unit = np.rint(unit * np.float32(full_scale(target)))
        pixels[rows] = unit
    return pixels


def full_scale(dtype: np.dtype[np.generic]) -> int:
    """Return the sample that stands for white: 255, 65535, or 1 for a float type."""
    return 1 if dtype.kind == "f" else 256**dtype.itemsize - 1


def _bands(height: int, width: int) -> list[slice]:
    step = max(1, _BAND_PIXELS // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def _to_unit(pixels: npt.NDArray[np.generic]) -> FloatArray:
    if pixels.dtype.kind == "f":
        clipped: FloatArray = np.clip(pixels, 0, 1).astype(np.float32)
        return clipped
    unit: FloatArray = pixels.astype(np.float32)
    unit /= np.float32(full_scale(pixels.dtype))
    return unit


def _check_float_range(pixels: npt.NDArray[np.generic], name: str) -> None:
    # NaN propagates through both, and compares false.
    lowest, highest = float(pixels.min()), float(pixels.max())
    if not (lowest >= -_FLOAT_TOLERANCE and highest <= 1 + _FLOAT_TOLERANCE):
        raise InputError(
            f"{name} has float values from {lowest:g} to {highest:g}: scale them to 0..1"
        )
