"""Feature mutual information on raw pixels: FMI."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import STRIP, FloatArray, Plane, planes, strips

WINDOW = 3
CELLS = WINDOW**2


def fmi(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Feature mutual information (FMI) of the fused image with its sources, on raw pixels.

    FMI = mean over all 3x3 windows of (NI(F;A) + NI(F;B)) / 2, NI = 2 I / (H(F) + H(X)). Each
    window, stretched to 0..1 and divided by its sum, is taken as a distribution over its 9
    pixels, column by column. The joint distribution is phi M + (1 - phi) pq: pq of independent
    ones and M the Frechet bound (upper where the windows correlate, lower where their
    correlation c is negative), phi = c over the correlation that M has. NI = 1 where the two
    windows are equal; a flat window has the uniform distribution. Undefined (nan) below 3x3
    pixels.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..1 in the main (phi beyond 1 is kept as its authors' program keeps it, and can carry a
        window past either end); higher is better.

    Source:
        Haghighat, Aghagolzadeh, Seyedarabi: A non-reference image fusion metric based on mutual
        information of image features. Comput. Electr. Eng. 37, 2011; in the windows of
        Haghighat, Razian: Fast-FMI. AICT 2014.

    Example:
        >>> import numpy as np
        >>> noise = np.random.default_rng(0).uniform(0, 255, (8, 8))
        >>> fmi(noise, noise, noise)
        1.0
        >>> round(fmi(noise, noise, np.zeros((8, 8))), 6)  # nothing to learn from a flat source
        0.5
    """
    f, a, b = planes(fused, a, b)
    height, width = (side - WINDOW + 1 for side in f.shape)
    if min(height, width) < 1:
        return math.nan
    total = 0.0
    for rows in strips(height, width, pixels=STRIP // 4, least=1):
        fused_windows, *source_windows = (_Windows.of(p.pixels, rows) for p in (f, a, b))
        for windows in source_windows:
            total += float(_information(fused_windows, windows).sum())
    return total / (2 * height * width)


@dataclass(frozen=True)
class _Windows:
    """N windows as distributions over their 9 pixels.

    Attributes:
        pixels: The windows as they were, shape (9, N).
        shares: Probabilities, shape (9, N).
        entropy: In nats, shape (N,).
        spread: Standard deviation of the position 1..9, shape (N,).
    """

    pixels: FloatArray
    shares: FloatArray
    entropy: FloatArray
    spread: FloatArray

    @classmethod
    def of(cls, image: FloatArray, rows: slice) -> _Windows:
        """Take the windows whose upper left pixels lie in a run of rows."""
        width = image.shape[1] - WINDOW + 1
        pixels = np.stack(
            [
                image[rows.start + row : rows.stop + row, column : column + width].ravel()
                for column in range(WINDOW)
                for row in range(WINDOW)
            ]
        )
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        # A flat window keeps 1 everywhere, which makes it uniform.
        shares = np.ones_like(pixels)
        np.divide(pixels - low, high - low, out=shares, where=high > low)
        shares /= shares.sum(axis=0)
        position = np.arange(1.0, CELLS + 1)[:, None]
        mean = (position * shares).sum(axis=0)
        variance = (np.square(position - mean) * shares).sum(axis=0)
        return cls(pixels, shares, -_sum_x_log_x(shares), np.sqrt(variance))


def _information(fused: _Windows, source: _Windows) -> FloatArray:
    """Normalized mutual information of each pair of windows, shape (N,)."""
    p, q = fused.shares, source.shares
    correlation = _correlation(p, q)
    # The lower bound of (p, q) is the upper bound of (p, q in reverse), so one serves for both.
    q = np.where(correlation < 0, q[::-1], q)
    edges_p, edges_q = (np.cumsum(shares, axis=0) for shares in (p, q))
    covariance = -edges_p.sum(axis=0) * edges_q.sum(axis=0)
    for upper_p in edges_p:
        covariance += np.minimum(upper_p, edges_q).sum(axis=0)
    # phi = c / (covariance / (spread spread)); independent where nothing correlates or spreads.
    phi = np.abs(correlation) * fused.spread * source.spread
    np.divide(phi, covariance, out=phi, where=phi > 0)

    joint_entropy = np.zeros_like(phi)
    independent = 1 - phi
    lower_p = np.zeros_like(phi)
    lower_q = np.vstack([lower_p, edges_q[:-1]])
    for share_p, upper_p in zip(p, edges_p, strict=True):
        # The bound puts on a cell the overlap of the two pixels' intervals of cumulated share.
        bound = np.minimum(upper_p, edges_q) - np.maximum(lower_p, lower_q)
        joint = phi * np.maximum(bound, 0) + independent * share_p * q
        joint_entropy -= _sum_x_log_x(joint)
        lower_p = upper_p

    entropies = fused.entropy + source.entropy
    result = np.zeros_like(phi)
    np.divide(2 * (entropies - joint_entropy), entropies, out=result, where=entropies > 0)
    result[(fused.pixels == source.pixels).all(axis=0)] = 1
    return result


def _correlation(p: FloatArray, q: FloatArray) -> FloatArray:
    """Pearson's correlation of each pair of distributions' shares, 0 where one is uniform."""
    p, q = p - p.mean(axis=0), q - q.mean(axis=0)
    energy = np.square(p).sum(axis=0) * np.square(q).sum(axis=0)
    result: FloatArray = (p * q).sum(axis=0)
    varies = energy > 1e-30
    np.divide(result, np.sqrt(energy), out=result, where=varies)
    result[~varies] = 0
    return result


def _sum_x_log_x(shares: FloatArray) -> FloatArray:
    """Sum of x log|x| over the first axis, 0 counting as 0."""
    magnitudes = np.maximum(np.abs(shares), 1e-300)
    result: FloatArray = (shares * np.log(magnitudes)).sum(axis=0)
    return result
