"""Piella's metrics: how like its sources a fused image is, where they have something to show."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes, strips

WINDOW = 8


def qs(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Piella's fusion quality index (Qs): likeness to whichever source is more salient.

    Qs = mean of L Q(A,F) + (1 - L) Q(B,F) over all 8x8 windows, L = s_A / (s_A + s_B) with the
    windows' variances s (a half where both are 0), and
    Q(X,F) = 4 sxf mx mf / ((sxx + sff)(mx^2 + mf^2)), the universal quality index of Wang and
    Bovik; its second factor alone, 2 mx mf / (mx^2 + mf^2), where both windows are flat, and 1
    where both are black. Undefined (nan) below 8x8 pixels.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -1..1; higher is better.

    Source:
        Piella, Heijmans: A new quality metric for image fusion. ICIP 2003.

    Example:
        >>> import numpy as np
        >>> ramp = np.add.outer(np.arange(9.0), np.arange(9.0))
        >>> round(qs(ramp, ramp, ramp), 12)
        1.0
    """
    f, a, b = (plane.pixels for plane in planes(fused, a, b))
    return _quality(f, a, b, weighted=False)


def qw(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Piella's weighted fusion quality index (Qw): Qs, salient windows counting for more.

    Qw = sum(c (L Q(A,F) + (1 - L) Q(B,F))) / sum(c) over the windows of Qs, c = max(s_A, s_B).
    Undefined (nan) below 8x8 pixels and where both sources are flat.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -1..1; higher is better.

    Source:
        Piella, Heijmans: A new quality metric for image fusion. ICIP 2003.

    Example:
        >>> import numpy as np
        >>> ramp = np.add.outer(np.arange(9.0), np.arange(9.0))
        >>> round(qw(ramp, ramp, ramp), 12)
        1.0
    """
    f, a, b = (plane.pixels for plane in planes(fused, a, b))
    return _quality(f, a, b, weighted=True)


def qe(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Piella's edge-dependent fusion quality index (Qe): Qw of the images and of their edges.

    Qe = Qw(F,A,B) Qw(F',A',B'), where ' is the magnitude of the Sobel gradient (the image mirrored
    about its border pixels); the paper's exponent of the second factor is 1. Undefined (nan) where
    either factor is.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -1..1; higher is better.

    Source:
        Piella, Heijmans: A new quality metric for image fusion. ICIP 2003.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (16, 16))
        >>> round(qe(noise, noise, noise), 12)
        1.0
    """
    images = [plane.pixels for plane in planes(fused, a, b)]
    f, a, b = images
    edges_f, edges_a, edges_b = (_edges(image) for image in images)
    of_edges = _quality(edges_f, edges_a, edges_b, weighted=True)
    return _quality(f, a, b, weighted=True) * of_edges


def _quality(fused: FloatArray, a: FloatArray, b: FloatArray, *, weighted: bool) -> float:
    height, width = (side - WINDOW + 1 for side in fused.shape)
    if min(height, width) < 1:
        return math.nan
    total = weights = 0.0
    for rows in strips(height, width):
        block = slice(rows.start, rows.stop + WINDOW - 1)
        f = fused[block]
        of_f = _moments(f)
        indices, salience = [], []
        for source in (a[block], b[block]):
            mean, variance = _moments(source)
            covariance = _box(source * f) - mean * of_f[0]
            indices.append(_index(mean, variance, *of_f, covariance))
            salience.append(variance)
        both = salience[0] + salience[1]
        share = np.divide(salience[0], both, out=np.full_like(both, 0.5), where=both > 0)
        quality = share * indices[0] + (1 - share) * indices[1]
        weight = np.maximum(*salience) if weighted else np.ones_like(quality)
        total += float((weight * quality).sum())
        weights += float(weight.sum())
    return total / weights if weights > 0 else math.nan


def _index(
    mean: FloatArray,
    variance: FloatArray,
    mean_f: FloatArray,
    variance_f: FloatArray,
    covariance: FloatArray,
) -> FloatArray:
    """Return Wang and Bovik's universal quality index of each window."""
    squares, variances = mean**2 + mean_f**2, variance + variance_f
    one = np.ones_like(mean)
    luminance = np.divide(2 * mean * mean_f, squares, out=one.copy(), where=squares > 0)
    structure = np.divide(2 * covariance, variances, out=one, where=variances > 0)
    return np.asarray(luminance * structure)


def _moments(pixels: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance over each window; of what is flat but for rounding 0."""
    mean = _box(pixels)
    variance = _box(np.square(pixels)) - np.square(mean)
    variance[variance < 1e-9 * (1 + np.square(mean))] = 0
    return mean, variance


def _box(pixels: FloatArray) -> FloatArray:
    """Mean over each 8x8 window that fits."""
    before, after = WINDOW // 2, WINDOW - WINDOW // 2 - 1
    height, width = pixels.shape
    means = np.asarray(cv2.boxFilter(pixels, cv2.CV_64F, (WINDOW, WINDOW)), np.float64)
    return means[before : height - after, before : width - after]


def _edges(pixels: FloatArray) -> FloatArray:
    dx, dy = (np.asarray(cv2.Sobel(pixels, cv2.CV_64F, *order)) for order in ((1, 0), (0, 1)))
    return np.asarray(np.sqrt(dx * dx + dy * dy))
