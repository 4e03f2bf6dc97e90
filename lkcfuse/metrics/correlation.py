"""Correlation metrics: CC and SCD."""

from __future__ import annotations

import math
from dataclasses import dataclass

from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import CONSTANT, Plane, inner, planes, strips


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
    sums = _sums(f, a, b)
    return (_pearson(sums.af, sums.aa, sums.ff) + _pearson(sums.bf, sums.bb, sums.ff)) / 2


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
    sums = _sums(f, a, b)
    return _pearson(sums.ad, sums.aa, sums.dd) + _pearson(sums.be, sums.bb, sums.ee)


@dataclass
class _Sums:
    """Means over all pixels of products of the centred images; d is F - B and e is F - A."""

    ff: float = 0
    aa: float = 0
    bb: float = 0
    dd: float = 0
    ee: float = 0
    af: float = 0
    bf: float = 0
    ad: float = 0
    be: float = 0


def _sums(fused: Plane, a: Plane, b: Plane) -> _Sums:
    def compute() -> _Sums:
        sums = _Sums()
        for rows in strips(*fused.shape):
            images = {x: p.pixels[rows] - p.mean for x, p in zip("fab", (fused, a, b), strict=True)}
            # Not from the other sums: an F that nearly is B would leave nothing but rounding.
            images["d"] = images["f"] - images["b"]
            images["e"] = images["f"] - images["a"]
            for name in vars(sums):
                value = inner(images[name[0]], images[name[1]]) / fused.pixels.size
                setattr(sums, name, getattr(sums, name) + value)
        return sums

    return fused.kept(("correlation", a, b), compute)


def _pearson(covariance: float, variance_1: float, variance_2: float) -> float:
    """Correlation of two images; nan where one of them does not vary."""
    if min(variance_1, variance_2) <= CONSTANT:
        return math.nan
    return covariance / math.sqrt(variance_1 * variance_2)
