"""Gradient-based metrics: how well edges survive (Qabf)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes


def qabf(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Gradient-based fusion performance (Qabf): the share of the sources' edges that survives.

    Qabf = sum(Q_AF g_A + Q_BF g_B) / sum(g_A + g_B), g the Sobel gradient's magnitude (zeros
    outside the image), Q = Qg Qa with Qg = 0.9994 / (1 + exp(-15 (r - 0.5))) and
    Qa = 0.9879 / (1 + exp(-22 (al - 0.8))); r = min(g, g_F) / max(g, g_F), but g itself where
    both are equal; al = 1 - |angle - angle_F| / (pi/2), angle = atan(sy / sx), pi/2 where
    sx = 0. Undefined (nan) where neither source has a gradient: both are black.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..1; higher is better.

    Source:
        Xydeas, Petrovic: Objective image fusion performance measure. Electronics Letters 36,
        2000.

    Example:
        >>> import numpy as np
        >>> checks = np.kron([[0, 255], [255, 0]], np.ones((4, 4)))
        >>> round(qabf(checks, checks, checks), 3)
        0.975
    """
    f, a, b = planes(fused, a, b)
    total = float(a.kept("sobel", sobel)[0].sum() + b.kept("sobel", sobel)[0].sum())
    if total <= 0:
        return math.nan
    return (_preserved(f, a) + _preserved(f, b)) / total


def sobel(plane: Plane) -> tuple[FloatArray, FloatArray]:
    """Strength and angle of the Sobel gradient, both (H, W), zeros outside the image.

    The angle is in (-pi/2, pi/2]. Its sign matters where the other image's is pi/2, so it is
    the field's: true convolution turns the kernels round, which makes dx right to left.
    """
    dx = -cv2.Sobel(plane.pixels, cv2.CV_64F, 1, 0, borderType=cv2.BORDER_CONSTANT)
    dy = cv2.Sobel(plane.pixels, cv2.CV_64F, 0, 1, borderType=cv2.BORDER_CONSTANT)
    angle = np.full(dx.shape, math.pi / 2)
    np.divide(dy, dx, out=angle, where=dx != 0)
    np.arctan(angle, out=angle, where=dx != 0)
    return np.sqrt(dx * dx + dy * dy), angle


def _preserved(fused: Plane, source: Plane) -> float:
    """Sum over the pixels of Q g for one source."""
    strength, angle = source.kept("sobel", sobel)
    fused_strength, fused_angle = fused.kept("sobel", sobel)
    lower = np.minimum(strength, fused_strength)
    upper = np.maximum(strength, fused_strength)
    ratio = lower.copy()  # what it stays where both are equal
    np.divide(lower, upper, out=ratio, where=lower != upper)
    agreement = 1 - np.abs(angle - fused_angle) / (math.pi / 2)
    quality = (1 + np.exp(-15 * (ratio - 0.5))) * (1 + np.exp(-22 * (agreement - 0.8)))
    return float((0.9994 * 0.9879 * strength / quality).sum())
