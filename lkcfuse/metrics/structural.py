"""Structural similarity of the fused image with its sources: SSIM."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes, strips

DATA_RANGE = 255.0
C1 = (0.01 * DATA_RANGE) ** 2
C2 = (0.03 * DATA_RANGE) ** 2
WINDOW = 7
#: Sample covariance: the population's, over the window's 49 pixels, times 49 / 48.
SAMPLE = WINDOW**2 / (WINDOW**2 - 1)


def ssim(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Structural similarity (SSIM) of the fused image with its sources, summed.

    SSIM = SSIM(F,A) + SSIM(F,B), where SSIM(X,Y) is the mean of
    (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sxx + syy + C2)) with means m and sample
    covariances s over a uniform 7x7 window, C1 = (0.01 L)^2, C2 = (0.03 L)^2, data range
    L = 255, over the image without its 3-pixel border. Undefined (nan) below 7x7 pixels.

    Tables made with L = 2 on float images are lower: see docs/metrics.md.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -2..2; higher is better.

    Source:
        Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to
        structural similarity. IEEE Trans. Image Process. 13, 2004.

    Example:
        >>> import numpy as np
        >>> ramp = np.add.outer(np.arange(9.0), np.arange(9.0))
        >>> round(ssim(ramp, ramp, ramp), 12)
        2.0
    """
    f, a, b = planes(fused, a, b)
    return _similarity(f, [a, b])


def gt_ssim(fused: ArrayLike | Plane, reference: ArrayLike | Plane) -> float:
    """Structural similarity of the fused image with a ground truth (GT_SSIM).

    GT_SSIM = SSIM(F,GT), with the window and constants of SSIM. Undefined (nan) below 7x7 pixels.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        reference: The ground truth, of the same shape.

    Returns:
        -1..1; higher is better.

    Source:
        Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to
        structural similarity. IEEE Trans. Image Process. 13, 2004.

    Example:
        >>> import numpy as np
        >>> ramp = np.add.outer(np.arange(9.0), np.arange(9.0))
        >>> round(gt_ssim(ramp, ramp), 12)
        1.0
    """
    f, truth = planes(fused, reference)
    return _similarity(f, [truth])


def _similarity(fused: Plane, others: list[Plane]) -> float:
    """Sum over the others of the mean SSIM over the windows that fit; nan where none does."""
    height, width = (side - WINDOW + 1 for side in fused.shape)
    if min(height, width) < 1:
        return math.nan
    total = 0.0
    for rows in strips(height, width):
        block = slice(rows.start, rows.stop + WINDOW - 1)
        pixels_f = fused.pixels[block]
        mean_f, variance_f = _moments(pixels_f)
        for other in others:
            pixels = other.pixels[block]
            mean, variance = _moments(pixels)
            products = mean * mean_f
            covariance = (_box_mean(pixels * pixels_f) - products) * SAMPLE
            numerator = (2 * products + C1) * (2 * covariance + C2)
            denominator = (mean**2 + mean_f**2 + C1) * (variance + variance_f + C2)
            total += float((numerator / denominator).sum())
    return total / (height * width)


def _moments(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and sample variance over each 7x7 window that fits."""
    mean = _box_mean(pixels)
    return mean, (_box_mean(np.square(pixels)) - np.square(mean)) * SAMPLE


def _box_mean(pixels: FloatArray) -> FloatArray:
    """Mean over each 7x7 window that fits, shape (H - 6, W - 6)."""
    margin = WINDOW // 2
    height, width = pixels.shape
    means = np.asarray(cv2.boxFilter(pixels, cv2.CV_64F, (WINDOW, WINDOW)), np.float64)
    return means[margin : height - margin, margin : width - margin]
