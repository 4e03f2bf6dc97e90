"""Structural similarity of a fused image with several exposures of one scene: MEF-SSIM."""

from __future__ import annotations

import math
from itertools import product

import cv2
import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, gaussian, planes, strips, window_filter

WEIGHTS = (0.0448, 0.2856, 0.3001)
WINDOW = 11
SIGMA = 1.5
C = (0.03 * 255) ** 2
SHARPEST = 10.0
#: Added to the length of a patch, in levels, so that a flat one has a direction.
LENGTH = 0.001
#: Below this a variance, in squared levels, is rounding.
FLAT = 1e-8


def mef_ssim(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Structural similarity for multi-exposure fusion (MEF-SSIM): the best of each patch.

    MEF-SSIM = (Q_1^0.0448 Q_2^0.2856 Q_3^0.3001)^(1/0.6305) over three scales, each the 2x2 mean
    of the one before. Q is the mean of (2 srf + C) / (srr + sff + C), C = (0.03 255)^2, over 11x11
    patches with a Gaussian window of sigma 1.5, where it fits. r is the patch that the sources'
    patches x_k, less their means, ask for: as long as the longest, c = max |x_k|, in the direction
    of sum w_k x_k / |x_k|, with w_k = (|x_k| / 11)^p / sum (|x_k| / 11)^p, p = tan(pi R / 2) up to
    10 and R = |sum x_k| / sum |x_k|. Undefined (nan) below 44 pixels in height or width.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..1; higher is better.

    Source:
        Ma, Zeng, Wang: Perceptual quality assessment for multi-exposure image fusion. IEEE Trans.
        Image Process. 24, 2015.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (48, 48))
        >>> round(mef_ssim(noise, noise, noise), 6)
        1.0
    """
    images = [plane.pixels for plane in planes(fused, a, b)]
    result = 1.0
    for scale, weight in enumerate(WEIGHTS):
        if scale:
            images = [_halved(image) for image in images]
        if min(images[0].shape) < WINDOW:
            return math.nan
        result *= math.pow(max(_quality(*images), 0.0), weight)
    return math.pow(result, 1 / sum(WEIGHTS))


def _quality(fused: FloatArray, *sources: FloatArray) -> float:
    """Mean quality over the patches of one scale."""
    height, width = (side - WINDOW + 1 for side in fused.shape)
    total = 0.0
    kernel = gaussian(WINDOW, SIGMA)
    for rows in strips(height, width):
        block = slice(rows.start, rows.stop + WINDOW - 1)
        f, *x = (image[block] for image in (fused, *sources))
        shares = _shares(x)
        # The patch asked for is a sum of the sources' patches, so its moments are sums of theirs.
        means = [window_filter(image, kernel) for image in x]
        mean_f = window_filter(f, kernel)
        var_f = window_filter(f * f, kernel) - mean_f**2
        var_r, cov = np.zeros_like(mean_f), np.zeros_like(mean_f)
        for k, share in enumerate(shares):
            cov += share * (window_filter(x[k] * f, kernel) - means[k] * mean_f)
            for other, of_other in enumerate(shares):
                both = window_filter(x[k] * x[other], kernel) - means[k] * means[other]
                var_r += share * of_other * both
        total += float(((2 * cov + C) / (var_r + var_f + C)).sum())
    return float(total / (height * width))


def _shares(sources: list[FloatArray]) -> list[FloatArray]:
    """Return how much of each source's patch is in the patch that is asked for."""
    count = range(len(sources))
    means = [_box(image) for image in sources]
    covariances = {
        (k, other): _box(sources[k] * sources[other]) - means[k] * means[other]
        for k, other in product(count, count)
        if k <= other
    }
    variances = [np.where(covariances[k, k] > FLAT, covariances[k, k], 0) for k in count]
    lengths = [WINDOW * np.sqrt(variance) + LENGTH for variance in variances]

    def length_of_sum(shares: list[FloatArray]) -> FloatArray:
        squared = np.zeros_like(lengths[0])
        for k, other in covariances:
            twice = 1 if k == other else 2
            part = variances[k] if k == other else covariances[k, other]
            squared += twice * shares[k] * shares[other] * part
        return np.asarray(WINDOW * np.sqrt(np.maximum(squared, 0)))

    ones = [np.ones_like(length) for length in lengths]
    agreement = np.minimum(length_of_sum(ones) / np.sum(lengths, axis=0), 1 - 1e-15)
    exponent = np.minimum(np.tan(agreement * (math.pi / 2)), SHARPEST)
    weights = [(length / WINDOW) ** exponent + np.finfo(float).eps for length in lengths]
    total = np.sum(weights, axis=0)
    shares = [
        np.where(variance > 0, weight / total / length, 0)
        for weight, length, variance in zip(weights, lengths, variances, strict=True)
    ]
    length = length_of_sum(shares)
    longest = np.max(lengths, axis=0)
    scale = np.divide(longest, length, out=np.zeros_like(length), where=length > 0)
    return [share * scale for share in shares]


def _box(pixels: FloatArray) -> FloatArray:
    """Mean over each 11x11 window that fits."""
    margin = WINDOW // 2
    height, width = pixels.shape
    means = np.asarray(cv2.boxFilter(pixels, cv2.CV_64F, (WINDOW, WINDOW)), np.float64)
    return means[margin : height - margin, margin : width - margin]


def _halved(pixels: FloatArray) -> FloatArray:
    """Mean of each 2x2 block; an odd last row or column is repeated to fill its blocks."""
    height, width = pixels.shape
    even = cv2.copyMakeBorder(pixels, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return np.asarray((even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4)
