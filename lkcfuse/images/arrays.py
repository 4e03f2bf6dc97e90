"""What a program may hand over as an image, as samples; what is unfit is refused in one line."""

from __future__ import annotations

import sys

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.samples import Samples

_PICTURE_MODES = ("L", "RGB", "F", "I;16", "I;16L", "I;16B", "I;16N")
"""Modes of Pillow whose arrays are samples as they stand."""


def as_samples(array: npt.ArrayLike, name: str) -> Samples:
    """Return an array, or a Pillow image, as samples.

    Args:
        array: (H, W), (H, W, 1) or (H, W, 3); uint8, uint16 or a float type.
        name: What messages call it.

    Returns:
        (H, W) or (H, W, 3), a view where possible.

    Raises:
        InputError: The shape or the type does not fit.
    """
    _check_picture(array, name)
    pixels = to_array(array, name)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise InputError(
            f"{name} has shape {pixels.shape}{_meaning(pixels.shape)}: give (H, W) grey or "
            f"(H, W, 3) RGB{_cure(pixels.shape)}"
        )
    if 0 in pixels.shape:
        raise InputError(f"{name} has no pixels: its shape is {pixels.shape}")
    if pixels.dtype.kind != "f" and pixels.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise InputError(
            f"{name} has type {pixels.dtype}: give uint8, uint16, or float between 0 and 1"
            + ("; scale raw counts and temperatures first" if pixels.dtype.kind in "iu" else "")
        )
    return pixels


def to_array(value: npt.ArrayLike, name: str) -> npt.NDArray[np.generic]:
    """Return what a program hands over as an array.

    Raises:
        InputError: Its rows differ in length, or it has something else than numbers.
    """
    try:
        return np.asarray(value)
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).split(". ")[0]
        raise InputError(f"{name} is not an array: {reason}; give rows of one length") from None


def _check_picture(value: object, name: str) -> None:
    """Refuse a Pillow image whose array would mean something else, such as palette indices."""
    pillow = sys.modules.get("PIL.Image")  # whoever has one has imported it
    if pillow is None or not isinstance(value, pillow.Image):
        return
    if value.mode not in _PICTURE_MODES:
        raise InputError(
            f"{name} is a Pillow image of mode {value.mode}: convert it first, with "
            ".convert('RGB') or .convert('L')"
        )


def _meaning(shape: tuple[int, ...]) -> str:
    return ", with an alpha channel" if _has_alpha(shape) else ""


def _cure(shape: tuple[int, ...]) -> str:
    if _has_alpha(shape):
        return f"; [..., :{shape[2] - 1}] leaves the alpha channel out"
    if len(shape) == 3 and shape[0] in (1, 3):
        return "; np.moveaxis(array, 0, -1) puts the channels last"
    return ""


def _has_alpha(shape: tuple[int, ...]) -> bool:
    return len(shape) == 3 and shape[2] in (2, 4)
