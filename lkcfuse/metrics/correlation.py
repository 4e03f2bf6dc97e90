"""Correlation metrics: CC and SCD."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import CONSTANT, FloatArray, Plane, inner, planes


def cc(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Correlation coefficient (CC) of the fused image with its sources.

    CC = (corr(A, F) + corr(B, F)) / 2, Pearson's correlation over all pixels. Undefined (nan)
    where any of the three images is constant.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -1..1; higher is better.

    Source:
        Deshmukh, Bhosale: Image fusion and image quality assessment of fused images. Int. J.
        Image Process. 4, 2010.

    Example:
        >>> cc([[0, 2], [4, 6]], [[0, 1], [2, 3]], [[5, 6], [7, 8]])
        1.0
    """
    f, a, b = planes(fused, a, b)
    return (_pearson(a.centred, f.centred) + _pearson(b.centred, f.centred)) / 2


def scd(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Sum of the correlations of differences (SCD).

    SCD = corr(A, F - B) + corr(B, F - A): what the fused image holds beyond one source should
    be what the other source shows. Undefined (nan) where a source, or the fused image less a
    source, is constant; so also where the fused image is a copy of one source.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        -2..2; higher is better.

    Source:
        Aslantas, Bendes: A new image quality metric for image fusion: the sum of the
        correlations of differences. AEU Int. J. Electron. Commun. 69, 2015.

    Example:
        >>> a, b = [[0, 1], [2, 3]], [[3, 1], [2, 0]]
        >>> scd([[3, 2], [4, 3]], a, b)  # F = A + B
        2.0
    """
    f, a, b = planes(fused, a, b)
    return _pearson(a.centred, f.centred - b.centred) + _pearson(b.centred, f.centred - a.centred)


def _pearson(first: FloatArray, second: FloatArray) -> float:
    """Correlation of two centred arrays; nan where one of them does not vary."""
    energies = inner(first, first), inner(second, second)
    if min(energies) <= CONSTANT * first.size:
        return math.nan
    return inner(first, second) / math.sqrt(energies[0] * energies[1])
