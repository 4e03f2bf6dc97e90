"""Edges in the fused image that no source shows: Nabf."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes, strips

#: Gradients below this many grey levels a pixel are noise and weigh next to nothing.
THRESHOLD = 2.0
WEIGHT_BELOW = 0.001


def nabf(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Fusion artefacts (Nabf): edges of the fused image that come from neither source.

    Nabf = sum(AM [(1 - Q_AF) w_A + (1 - Q_BF) w_B]) / sum(w_A + w_B), with AM = 1 where
    g_F > g_A and g_F > g_B, else 0. g is the magnitude of the Sobel gradient over 8 (the image
    mirrored about its border pixels), w = g^1.5 where g >= 2 and 0.001 elsewhere, and
    Q = sqrt(Qg Qa): Qg = 0.9999 / (1 + exp(-19 (r - 0.5))), r = min(g, g_F) / max(g, g_F), 0 where
    either is 0; Qa = 0.9995 / (1 + exp(-22 (al - 0.5))), al = | |angle - angle_F| - pi/2 | 2/pi,
    angle = atan(sx / sy), sx across columns and sy across rows, 0 where both are 0. Images
    without gradients have no artefacts: 0.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..1; lower is better.

    Source:
        Shreyamsha Kumar: Multifocus and multispectral image fusion based on pixel significance
        using discrete cosine harmonic wavelet transform. Signal Image Video Process. 7, 2013,
        after Petrovic, Xydeas: Objective image fusion performance characterisation. ICCV 2005.

    Example:
        >>> import numpy as np
        >>> flat, step = np.zeros((8, 8)), np.kron([[0, 200]], np.ones((8, 4)))
        >>> nabf(step, step, flat)  # the only edge is a source's
        0.0
        >>> round(nabf(step, flat, flat), 3)  # it is nobody's: a quarter of the pixels lie on it
        0.25
    """
    f, a, b = planes(fused, a, b)
    artefacts = total = 0.0
    for rows in strips(*f.shape):
        strength_f, angle_f = _gradient(f, rows)
        gradients = [_gradient(source, rows) for source in (a, b)]
        new = (strength_f > gradients[0][0]) & (strength_f > gradients[1][0])
        for strength, angle in gradients:
            weight = np.full(strength.shape, WEIGHT_BELOW)
            counts = strength >= THRESHOLD
            weight[counts] = strength[counts] ** 1.5
            total += float(weight.sum())
            ratio = np.minimum(strength, strength_f)[new] / strength_f[new]
            agreement = np.abs(np.abs(angle - angle_f)[new] - math.pi / 2) * (2 / math.pi)
            squared = 0.9999 * 0.9995 / (1 + np.exp(-19 * (ratio - 0.5)))
            squared /= 1 + np.exp(-22 * (agreement - 0.5))
            artefacts += float(((1 - np.sqrt(squared)) * weight[new]).sum())
    return artefacts / total


def _gradient(plane: Plane, rows: slice) -> tuple[FloatArray, FloatArray]:
    """Strength, in grey levels a pixel, and angle of the Sobel gradient on a run of rows."""
    before = min(1, rows.start)
    block = plane.pixels[rows.start - before : rows.stop + 1]
    inside = slice(before, before + rows.stop - rows.start)
    dx, dy = (
        np.asarray(cv2.Sobel(block, cv2.CV_64F, *order, scale=1 / 8))[inside]
        for order in ((1, 0), (0, 1))
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        angle = np.arctan(dx / dy)
    np.copyto(angle, 0, where=(dx == 0) & (dy == 0))
    return np.sqrt(dx * dx + dy * dy), angle
