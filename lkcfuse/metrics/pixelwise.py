"""Pixelwise fidelity: MSE and PSNR against the sources, PSNR and MAE against a ground truth."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import Plane, inner, planes, strips


def mse(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Mean squared error (MSE) of the fused image against its sources.

    MSE = (mean((A - F)^2) + mean((B - F)^2)) / 2.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        Squared grey levels, 0..65025; lower is better.

    Source:
        Ma, Ma, Li: Infrared and visible image fusion methods and applications: a survey. Inf.
        Fusion 45, 2019.

    Example:
        >>> mse([[1, 1]], [[0, 0]], [[4, 4]])
        5.0
    """
    f, a, b = planes(fused, a, b)
    return (_squared_error(f, a) + _squared_error(f, b)) / 2


def psnr(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Peak signal-to-noise ratio (PSNR) of the fused image against its sources.

    PSNR = 10 log10(max(F)^2 / MSE), the peak being the fused image's own maximum. Infinite
    where all three images are equal; undefined (nan) where the fused image is black.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        Decibels, unbounded; higher is better.

    Source:
        Jagalingam, Hegde: A review of quality metrics for fused image. Aquatic Procedia 4, 2015.

    Example:
        >>> psnr([[100, 100]], [[90, 90]], [[110, 110]])
        20.0
    """
    f, a, b = planes(fused, a, b)
    return _decibels(float(f.pixels.max()), mse(f, a, b))


def gt_psnr(fused: ArrayLike | Plane, reference: ArrayLike | Plane) -> float:
    """Peak signal-to-noise ratio of the fused image against a ground truth (GT_PSNR).

    GT_PSNR = 10 log10(255^2 / mean((F - GT)^2)). Infinite where the images are equal.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        reference: The ground truth, of the same shape.

    Returns:
        Decibels, 0..inf; higher is better.

    Source:
        Huynh-Thu, Ghanbari: Scope of validity of PSNR in image/video quality assessment.
        Electronics Letters 44, 2008.

    Example:
        >>> gt_psnr([[0.0, 0.0]], [[25.5, 25.5]])
        20.0
    """
    f, truth = planes(fused, reference)
    return _decibels(255.0, _squared_error(f, truth))


def gt_mae(fused: ArrayLike | Plane, reference: ArrayLike | Plane) -> float:
    """Mean absolute error of the fused image against a ground truth (GT_MAE).

    GT_MAE = mean(|F - GT|).

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        reference: The ground truth, of the same shape.

    Returns:
        Grey levels, 0..255; lower is better.

    Source:
        Willmott, Matsuura: Advantages of the mean absolute error over the root mean square
        error in assessing average model performance. Clim. Res. 30, 2005.

    Example:
        >>> gt_mae([[1, 3]], [[2, 0]])
        2.0
    """
    f, truth = planes(fused, reference)
    return float(np.abs(f.pixels - truth.pixels).mean())


def _squared_error(first: Plane, second: Plane) -> float:
    def compute() -> float:
        energy = 0.0
        for rows in strips(*first.shape):
            difference = first.pixels[rows] - second.pixels[rows]
            energy += inner(difference, difference)
        return energy / first.pixels.size

    return first.kept(("squared error", second), compute)


def _decibels(peak: float, error: float) -> float:
    if peak <= 0:
        return math.nan
    return 10 * math.log10(peak * peak / error) if error > 0 else math.inf
