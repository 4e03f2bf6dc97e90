"""Multi-scale structural similarity: MS-SSIM, and SSIM and MS-SSIM against a ground truth."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, gaussian, planes, strips, window_filter
from lkcfuse.metrics.structural import C1, C2

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
KERNEL_SIZE = 11
KERNEL_SIGMA = 1.5


def ms_ssim(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Multi-scale structural similarity (MS-SSIM) of the fused image with its sources, summed.

    MS-SSIM = M(F,A) + M(F,B), M(X,Y) = l_5^0.1333 prod_j cs_j^w_j over five scales with
    w = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333, each scale the 2x2 mean of the one before;
    cs = (2 sxy + C2) / (sxx + syy + C2) averaged over the image, at the fifth scale averaged
    together with l = (2 mx my + C1) / (mx^2 + my^2 + C1); 11x11 Gaussian window of sigma 1.5
    where it fits, C1 and C2 as in SSIM with a data range of 255. A negative average counts as 0.
    Undefined (nan) below 161 pixels in height or width, where the window does not fit at the
    fifth scale.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..2; higher is better.

    Source:
        Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment.
        Asilomar Conf. Signals, Systems and Computers, 2003; for fusion summed as SSIM is.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (176, 176))
        >>> round(ms_ssim(noise, noise, noise), 6)
        2.0
    """
    f, a, b = planes(fused, a, b)
    return _multiscale(f, a) + _multiscale(f, b)


def gt_ms_ssim(fused: ArrayLike | Plane, reference: ArrayLike | Plane) -> float:
    """Multi-scale structural similarity of the fused image with a ground truth (GT_MS-SSIM).

    GT_MS-SSIM = M(F,GT), M as in MS-SSIM. Undefined (nan) below 161 pixels in height or width.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        reference: The ground truth, of the same shape.

    Returns:
        0..1; higher is better.

    Source:
        Wang, Simoncelli, Bovik: Multiscale structural similarity for image quality assessment.
        Asilomar Conf. Signals, Systems and Computers, 2003.

    Example:
        >>> import math
        >>> math.isnan(gt_ms_ssim([[1, 2]], [[1, 2]]))
        True
    """
    return _multiscale(*planes(fused, reference))


def _multiscale(first: Plane, second: Plane) -> float:
    x, y = first.pixels, second.pixels
    result = 1.0
    for scale, weight in enumerate(WEIGHTS, start=1):
        if min(x.shape) < KERNEL_SIZE:
            return math.nan
        similarity = _similarity(x, y, with_luminance=scale == len(WEIGHTS))
        result *= math.pow(max(similarity, 0.0), weight)
        if scale < len(WEIGHTS):
            x, y = _halved(x), _halved(y)
    return result


def _similarity(x: FloatArray, y: FloatArray, *, with_luminance: bool) -> float:
    """Average over the windows that fit of contrast and structure, times luminance if asked."""
    kernel = gaussian(KERNEL_SIZE, KERNEL_SIGMA)
    height, width = x.shape[0] - KERNEL_SIZE + 1, x.shape[1] - KERNEL_SIZE + 1
    total = 0.0
    for rows in strips(height, width):
        block = slice(rows.start, rows.stop + KERNEL_SIZE - 1)
        x_block, y_block = x[block], y[block]
        mean_x, mean_y = window_filter(x_block, kernel), window_filter(y_block, kernel)
        products, squares = mean_x * mean_y, mean_x**2 + mean_y**2
        covariance = window_filter(x_block * y_block, kernel) - products
        variances = window_filter(x_block**2 + y_block**2, kernel) - squares
        similarity = (2 * covariance + C2) / (variances + C2)
        if with_luminance:
            similarity *= (2 * products + C1) / (squares + C1)
        total += float(similarity.sum())
    return float(total / (height * width))


def _halved(pixels: FloatArray) -> FloatArray:
    """Mean of each 2x2 block; an odd last row or column is repeated to fill its blocks."""
    height, width = pixels.shape
    even = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)
