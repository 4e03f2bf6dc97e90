"""Gradient-based metrics: how well edges survive (Qabf)."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes, strips


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
    kept = total = 0.0
    for rows in strips(*f.shape):
        strength_f, angle_f = sobel(f, rows)
        for source in (a, b):
            strength, angle = sobel(source, rows)
            lower = np.minimum(strength, strength_f)
            upper = np.maximum(strength, strength_f)
            with np.errstate(invalid="ignore"):
                ratio = lower / upper
            np.copyto(ratio, lower, where=lower == upper)
            disagreement = np.abs(angle - angle_f) / (math.pi / 2)
            # The reciprocal of Qg Qa but for its constant factor: one division instead of three.
            lost = 1 + np.exp(-15 * (ratio - 0.5))
            lost *= 1 + np.exp(-22 * (0.2 - disagreement))
            kept += float((strength / lost).sum())
            total += float(strength.sum())
    return 0.9994 * 0.9879 * kept / total if total > 0 else math.nan


def sobel(plane: Plane, rows: slice) -> tuple[FloatArray, FloatArray]:
    """Strength and angle of the Sobel gradient on a run of rows, zeros outside the image.

    The angle is in (-pi/2, pi/2]. Its sign matters where the other image's is pi/2, so it is
    the field's: true convolution turns the kernels round, which makes dx right to left.
    """
    before = min(1, rows.start)
    block = plane.pixels[rows.start - before : rows.stop + 1]
    inside = slice(before, before + rows.stop - rows.start)
    dx, dy = (
        np.asarray(cv2.Sobel(block, cv2.CV_64F, *order, borderType=cv2.BORDER_CONSTANT))[inside]
        for order in ((1, 0), (0, 1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.arctan(dy / -dx)
    np.copyto(angle, math.pi / 2, where=dx == 0)
    return np.sqrt(dx * dx + dy * dy), angle
