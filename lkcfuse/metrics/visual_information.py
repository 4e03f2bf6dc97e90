"""Visual information fidelity of the fused image with its sources: VIF, in the pixel domain."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import FloatArray, Plane, gaussian, planes, strips, window_filter

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
    images = [f.pixels, a.pixels, b.pixels]
    if min(f.shape) < _window_size(1):
        return math.nan
    kept = np.zeros(2)
    total = np.zeros(2)
    for scale in range(1, SCALES + 1):
        size = _window_size(scale)
        kernel = gaussian(size, size / 5)
        if scale > 1 and min(images[0].shape) >= size:
            images = [_halved(image, kernel) for image in images]
        if min(images[0].shape) < size:
            break
        _add_information(images, kernel, kept, total)
    # Without variance in a source both sums are 0, and nothing was there to be lost.
    return float(sum(k / t if t > 0 else 1.0 for k, t in zip(kept, total, strict=True)))


def _window_size(scale: int) -> int:
    return (1 << (SCALES + 1 - scale)) + 1


def _halved(pixels: FloatArray, kernel: FloatArray) -> FloatArray:
    """Filter, and keep every second row and column of what needed no border."""
    height, width = (side - kernel.size + 1 for side in pixels.shape)
    blocks = (pixels[rows.start : rows.stop + kernel.size - 1] for rows in strips(height, width))
    return np.concatenate([window_filter(block, kernel)[::2, ::2] for block in blocks])


def _add_information(
    images: list[FloatArray], kernel: FloatArray, kept: FloatArray, total: FloatArray
) -> None:
    """Add one scale's information: what each source holds, and what the fused image keeps of it.

    Args:
        images: The fused image and the two sources at this scale.
        kernel: The scale's Gaussian window.
        kept: Sums of log(1 + g^2 s1 / (sv + 2)), one per source; added to.
        total: Sums of log(1 + s1 / 2), one per source; added to.
    """
    height, width = (side - kernel.size + 1 for side in images[0].shape)
    for rows in strips(height, width):
        fused, *sources = (image[rows.start : rows.stop + kernel.size - 1] for image in images)
        mean_f, variance_f = _moments(fused, kernel)
        varies = variance_f > 0
        for i, source in enumerate(sources):
            mean, variance = _moments(source, kernel)
            covariance = window_filter(source * fused, kernel) - mean * mean_f
            # No gain where the images move against each other or the fused one is flat. Where
            # the source is flat its variance of 0 stops what rounding makes of the gain.
            np.maximum(covariance, 0, out=covariance)
            covariance *= varies
            gain = covariance / (variance + EPS)
            noise = np.maximum(variance_f - gain * covariance, EPS)
            kept[i] += _sum_of_logs(1 + gain * gain * variance / (noise + NOISE_VARIANCE))
            total[i] += _sum_of_logs(1 + variance / NOISE_VARIANCE)


def _moments(pixels: FloatArray, kernel: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and variance over each window that fits; a variance below EPS is none."""
    mean = window_filter(pixels, kernel)
    variance = window_filter(np.square(pixels), kernel) - np.square(mean)
    variance *= variance >= EPS
    return mean, variance


def _sum_of_logs(values: FloatArray) -> float:
    """Sum of the logarithms of values of at least 1.

    The logarithm of a product is far cheaper than a sum of logarithms: sixteen variances of grey
    levels multiply to 1e80 at most.
    """
    products = np.multiply.reduceat(values, np.arange(0, values.shape[0], 16), axis=0)
    return float(np.log(products).sum())
