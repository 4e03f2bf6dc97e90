"""Of which source a pixel is, where the network does not say: by least squares in a window."""

from __future__ import annotations

import cv2
import numpy as np

from lkcfuse.images.colour import FloatArray

WINDOW = 11
# Mean square difference of the sources, in units of the full range, below which nothing can be
# told of a window: one level of 8 bits.
ALIKE = (1 / 255) ** 2


def least_squares_share(fused: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the share s with which s first + (1 - s) second is closest to the fused image.

    Args:
        fused: (H, W) float32 luma in [0, 1].
        first: The first source's luma, likewise.
        second: The second source's.

    Returns:
        (H, W) float32 in [0, 1], over windows of 11x11 pixels; towards a half where the sources are
        alike.
    """
    difference = first - second
    kept = _mean((fused - second) * difference)
    there = _mean(difference * difference)
    share: FloatArray = np.clip((kept + ALIKE / 2) / (there + ALIKE), 0, 1)
    return share.astype(np.float32, copy=False)


def _mean(values: FloatArray) -> FloatArray:
    return np.asarray(cv2.boxFilter(values, cv2.CV_32F, (WINDOW, WINDOW)), np.float32)
