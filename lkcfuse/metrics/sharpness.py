"""Metrics of the fused image alone: contrast (SD) and sharpness (SF, AG).

All three rise with noise and oversharpening too, so none of them ranks methods on its own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, inner, planes


def sd(fused: ArrayLike | Plane) -> float:
    """Standard deviation (SD) of the fused image.

    SD = sqrt(mean((F - mean(F))^2)), over the population. A constant image has 0.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.

    Returns:
        Grey levels, 0..127.5; higher is better.

    Source:
        Rao: In-fibre Bragg grating sensors. Meas. Sci. Technol. 8, 1997, as the field cites it.

    Example:
        >>> sd([[0, 255], [255, 0]])
        127.5
    """
    (plane,) = planes(fused)
    return math.sqrt(plane.variance)


def sf(fused: ArrayLike | Plane) -> float:
    """Spatial frequency (SF) of the fused image.

    SF = sqrt(mean(dx^2) + mean(dy^2)), dx and dy first differences along rows and columns, each
    mean over its own count. An axis of one pixel has no differences and adds nothing; a 1x1
    image has no spatial frequency (nan).

    Args:
        fused: Array of shape (H, W), grey levels 0..255.

    Returns:
        Grey levels, 0..255 sqrt(2) (360.6); higher is better.

    Source:
        Eskicioglu, Fisher: Image quality measures and their performance. IEEE Trans. Commun.
        43, 1995.

    Example:
        >>> sf([[0, 3], [4, 7]])
        5.0
    """
    (plane,) = planes(fused)
    pixels = plane.pixels
    if pixels.size == 1:
        return math.nan
    energy = 0.0
    for difference in (pixels[:, 1:] - pixels[:, :-1], pixels[1:] - pixels[:-1]):
        if difference.size:
            energy += inner(difference, difference) / difference.size
    return math.sqrt(energy)


def ag(fused: ArrayLike | Plane) -> float:
    """Average gradient (AG) of the fused image.

    AG = mean(sqrt((gx^2 + gy^2) / 2)), gx and gy central differences, one-sided at the border.
    Along an axis of one pixel the gradient is 0; a 1x1 image has none (nan).

    Args:
        fused: Array of shape (H, W), grey levels 0..255.

    Returns:
        Grey levels a pixel, 0..255; higher is better.

    Source:
        Cui, Feng, Xu, Li, Chen: Detail preserved fusion of visible and infrared images using
        regional saliency extraction and multi-scale image decomposition. Opt. Commun. 341, 2015.

    Example:
        >>> ag([[0, 2], [2, 4]])
        2.0
    """
    (plane,) = planes(fused)
    pixels = plane.pixels
    if pixels.size == 1:
        return math.nan
    energy = _squared_gradient(pixels)
    energy += _squared_gradient(pixels.T).T
    energy *= 0.5
    return float(np.sqrt(energy, out=energy).mean())


def _squared_gradient(pixels: FloatArray) -> FloatArray:
    """Squared derivative along the last axis: central differences, one-sided at both ends."""
    gradient = np.zeros_like(pixels)
    if pixels.shape[1] > 1:
        np.subtract(pixels[:, 2:], pixels[:, :-2], out=gradient[:, 1:-1])
        gradient[:, 1:-1] *= 0.5
        gradient[:, 0] = pixels[:, 1] - pixels[:, 0]
        gradient[:, -1] = pixels[:, -1] - pixels[:, -2]
    return np.multiply(gradient, gradient, out=gradient)
