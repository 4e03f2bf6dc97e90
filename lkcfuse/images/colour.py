"""Luma and chroma: full-range BT.601 YCbCr in float, and the way back into the RGB gamut.

With R, G, B in [0, 1] (Rec. ITU-R BT.601-7, without the reduced range and the rounding of video):

    Y  = 0.299 R + 0.587 G + 0.114 B
    Cb = (B - Y) / 1.772
    Cr = (R - Y) / 1.402

Y is in [0, 1]; Cb and Cr are in [-0.5, 0.5], 0 for grey.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

RED, GREEN, BLUE = 0.299, 0.587, 0.114
"""What the channels weigh in the luma."""

CB_SCALE = 2 * (1 - BLUE)
CR_SCALE = 2 * (1 - RED)
"""How many times Cb and Cr fit into B - Y and R - Y."""


def rgb_to_luma(rgb: FloatArray) -> FloatArray:
    """Return the luma of an RGB image.

    Args:
        rgb: (H, W, 3), values in [0, 1].

    Returns:
        (H, W) float32 in [0, 1].

    Example:
        >>> rgb_to_luma(np.array([[[1, 1, 1], [1, 0, 0]]], np.float32)).round(3).tolist()
        [[1.0, 0.29899999499320984]]
    """
    weights = np.array([RED, GREEN, BLUE], np.float32)
    luma: FloatArray = np.asarray(rgb, np.float32) @ weights
    return luma


def rgb_to_ycbcr(rgb: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Split an RGB image into luma and chroma.

    Args:
        rgb: (H, W, 3), values in [0, 1].

    Returns:
        Luma (H, W) float32 in [0, 1], and chroma (H, W, 2) float32: Cb and Cr, centred on 0.
    """
    rgb = np.asarray(rgb, np.float32)
    luma = rgb_to_luma(rgb)
    chroma = np.empty((*luma.shape, 2), np.float32)
    # A channel at a time: numpy is several times slower where its inner loop has 2 or 3 steps.
    for channel, (colour, scale) in enumerate(((2, CB_SCALE), (0, CR_SCALE))):
        plane = chroma[..., channel]
        np.subtract(rgb[..., colour], luma, out=plane)
        plane /= np.float32(scale)
    return luma, chroma


def ycbcr_to_rgb(luma: FloatArray, chroma: FloatArray) -> FloatArray:
    """Merge luma and chroma into RGB without ever changing the luma.

    A luma that is not the chroma's own may ask for a colour outside the RGB cube. Clipping there
    would change luma and hue; instead the pixel's Cb and Cr are scaled towards grey by one factor,
    the largest that brings R, G and B into [0, 1].

    Args:
        luma: (H, W), values in [0, 1].
        chroma: (H, W, 2), Cb and Cr centred on 0.

    Returns:
        (H, W, 3) float32 in [0, 1], whose luma is `luma`.

    Example:
        >>> red_chroma = rgb_to_ycbcr(np.array([[[1, 0, 0]]], np.float32))[1]
        >>> ycbcr_to_rgb(np.array([[1]], np.float32), red_chroma).tolist()
        [[[1.0, 1.0, 1.0]]]
    """
    luma = np.asarray(luma, np.float32)
    # What each channel adds to the luma; their weighted sum is 0, so lowest <= 0 <= highest.
    rgb = np.empty((*luma.shape, 3), np.float32)
    red, green, blue = (rgb[..., channel] for channel in range(3))
    np.multiply(chroma[..., 1], CR_SCALE, out=red)
    np.multiply(chroma[..., 0], CB_SCALE, out=blue)
    np.add(red * RED, blue * BLUE, out=green)
    green /= -GREEN
    highest = np.maximum(np.maximum(red, green), blue)
    lowest = np.minimum(np.minimum(red, green), blue)
    factor = np.ones_like(luma)
    np.divide(1 - luma, highest, out=factor, where=highest > 1 - luma)
    room_below = np.ones_like(luma)
    np.divide(luma, -lowest, out=room_below, where=-lowest > luma)
    np.minimum(factor, room_below, out=factor)
    for plane in (red, green, blue):
        plane *= factor
        plane += luma
    # Rounding in float32 may overshoot by an ulp.
    return np.clip(rgb, 0, 1, out=rgb)


def blend_chroma(chromas: Sequence[FloatArray]) -> FloatArray:
    """Return the mean of chroma planes, each weighed at a pixel by its own absolute value.

    The rule of the field for two coloured sources (K. R. Prabhakar and others, "DeepFuse", ICCV
    2017): where one source is grey the other's colour stays as it is.

    Args:
        chromas: (H, W, 2) each, centred on 0; one alone stays as it is.

    Example:
        >>> one, other = np.full((1, 1, 2), 0.4, np.float32), np.zeros((1, 1, 2), np.float32)
        >>> blend_chroma([one, other]).round(3).tolist()
        [[[0.4000000059604645, 0.4000000059604645]]]
    """
    if len(chromas) == 1:
        return chromas[0]
    weights: FloatArray = np.sum([np.abs(chroma) for chroma in chromas], axis=0)
    total: FloatArray = np.sum([chroma * np.abs(chroma) for chroma in chromas], axis=0)
    return np.divide(total, weights, out=np.zeros_like(total), where=weights > 0)
