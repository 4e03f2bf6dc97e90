"""Visual information fidelity of the fused image with its sources: VIF, in the pixel domain."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, planes, window_filter

SCALES = 4
NOISE_VARIANCE = 2.0
EPS = 1e-10


def vif(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Visual information fidelity (VIF) of the fused image for its sources, summed.

    VIF = VIF(A,F) + VIF(B,F), with VIF(R,D) = sum log(1 + g^2 s1 / (sv + 2)) over
    sum log(1 + s1 / 2), both over the pixels of 4 scales: Gaussian windows of N = 17, 9, 5, 3
    pixels and sigma N/5, valid borders, decimation by 2 after filtering for scales 2 to 4;
    s1, s2, s12 the windows' variances and covariance, g = s12 / s1, sv = s2 - g s12. Where the
    source has no variance at all the ratio is 0/0 and counts as 1. Scales whose windows do not
    fit are left out; undefined (nan) below 17x17 pixels, where none fits.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0 upwards, 2 for three equal images, more where the fused image has more contrast than
        its sources; higher is better.

    Source:
        Sheikh, Bovik: Image information and visual quality. IEEE Trans. Image Process. 15,
        2006; pixel-domain version of the authors.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (48, 48))
        >>> round(vif(noise, noise, noise), 6)
        2.0
    """
    f, a, b = planes(fused, a, b)
    return _fidelity(a, f) + _fidelity(b, f)


@dataclass(frozen=True)
class _Scale:
    """One scale of one plane: its pixels, and mean and variance over each window that fits."""

    kernel: FloatArray
    pixels: FloatArray
    mean: FloatArray
    variance: FloatArray


def _scales(plane: Plane) -> list[_Scale]:
    scales: list[_Scale] = []
    pixels = plane.pixels
    for scale in range(1, SCALES + 1):
        size = 2 ** (SCALES + 1 - scale) + 1
        kernel = _gaussian(size, size / 5)
        if scale > 1 and min(pixels.shape) >= size:
            pixels = np.ascontiguousarray(window_filter(pixels, kernel)[::2, ::2])
        if min(pixels.shape) < size:
            break
        mean = window_filter(pixels, kernel)
        variance = window_filter(np.square(pixels), kernel) - np.square(mean)
        # Rounding alone can push a variance below 0; below EPS it counts as none.
        variance[variance < EPS] = 0
        scales.append(_Scale(kernel, pixels, mean, variance))
    return scales


def _fidelity(reference: Plane, distorted: Plane) -> float:
    """VIF of one pair: how much of the reference's information the distorted image keeps."""
    scales = reference.kept("vif", _scales)
    if not scales:
        return math.nan
    kept = total = 0.0
    for ref, dist in zip(scales, distorted.kept("vif", _scales), strict=True):
        covariance = window_filter(ref.pixels * dist.pixels, ref.kernel) - ref.mean * dist.mean
        # Information passes where both vary, and together: elsewhere the gain is 0.
        passes = (ref.variance > 0) & (dist.variance > 0) & (covariance > 0)
        variance, covariance = ref.variance[passes], covariance[passes]
        gain = covariance / (variance + EPS)
        noise = np.maximum(dist.variance[passes] - gain * covariance, EPS)
        kept += _sum_of_logs(1 + gain * gain * variance / (noise + NOISE_VARIANCE))
        total += _sum_of_logs(1 + ref.variance / NOISE_VARIANCE)
    return kept / total if total > 0 else 1.0


def _gaussian(size: int, sigma: float) -> FloatArray:
    positions = np.arange(size) - size // 2
    weights = np.exp(-(positions**2) / (2 * sigma**2))
    kernel: FloatArray = weights / weights.sum()
    return kernel


def _sum_of_logs(values: FloatArray) -> float:
    return float(np.log(values).sum())
