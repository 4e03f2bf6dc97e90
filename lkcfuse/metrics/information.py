"""Information-theoretic metrics: entropy and mutual information of grey-level histograms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from lkcfuse.metrics.plane import Plane, entropy, planes


def en(fused: ArrayLike | Plane) -> float:
    """Entropy (EN) of the fused image's grey levels.

    EN = -sum_i p_i log2(p_i) over the 256-bin histogram p of the rounded image. A constant
    image has 0. Rises with noise as it does with content.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.

    Returns:
        Bits, 0..8; higher is better.

    Source:
        Roberts, van Aardt, Ahmed: Assessment of image fusion procedures using entropy, image
        quality, and multispectral classification. J. Appl. Remote Sens. 2, 2008.

    Example:
        >>> en([[0, 255], [255, 0]])
        1.0
    """
    (plane,) = planes(fused)
    return plane.entropy / math.log(2)


def mi(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Mutual information (MI) between the fused image and its sources.

    MI = I(F;A) + I(F;B), with I(F;X) = H(F) + H(X) - H(F,X) in nats from the 256x256 joint
    histogram of the rounded images. 0 where an image is constant.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        Nats, 0..2 ln 256 (11.09); higher is better.

    Source:
        Qu, Zhang, Yan: Information measure for performance of image fusion. Electronics
        Letters 38, 2002.

    Example:
        >>> halves = [[0, 255], [0, 255]]
        >>> round(mi(halves, halves, [[7, 7], [7, 7]]), 6)  # ln 2 from one source, 0 from the other
        0.693147
    """
    f, a, b = planes(fused, a, b)
    return mutual_information(f, a) + mutual_information(f, b)


def nmi(fused: ArrayLike | Plane, a: ArrayLike | Plane, b: ArrayLike | Plane) -> float:
    """Normalized mutual information (NMI) between the fused image and its sources.

    NMI = 2 [I(F;A) / (H(F) + H(A)) + I(F;B) / (H(F) + H(B))], from the 256-bin histograms of
    the rounded images. Undefined (nan) where the fused image and a source are both constant.

    Args:
        fused: Array of shape (H, W), grey levels 0..255.
        a: First source, of the same shape.
        b: Second source, of the same shape.

    Returns:
        0..2; higher is better.

    Source:
        Hossny, Nahavandi, Creighton: Comments on "Information measure for performance of image
        fusion". Electronics Letters 44, 2008.

    Example:
        >>> halves = [[0, 255], [0, 255]]
        >>> round(nmi(halves, halves, halves), 6)
        2.0
    """
    f, a, b = planes(fused, a, b)
    total = 0.0
    for source in (a, b):
        entropies = f.entropy + source.entropy
        if entropies <= 0:
            return math.nan
        total += 2 * mutual_information(f, source) / entropies
    return total


def mutual_information(first: Plane, second: Plane) -> float:
    """Mutual information of two planes' rounded levels, in nats, never below 0."""

    def compute() -> float:
        pairs = first.levels.astype(np.uint16) * 256 + second.levels
        joint = entropy(np.bincount(pairs.ravel()))
        return max(0.0, first.entropy + second.entropy - joint)

    return first.kept(("mutual information", second), compute)
