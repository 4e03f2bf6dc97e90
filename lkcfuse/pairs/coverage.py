"""What is done where a source has no data: the other one is taken, with a soft seam."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray
from lkcfuse.images.samples import Samples, row_bands

Coverage = npt.NDArray[np.uint8]
Gaps = tuple[Coverage | None, Coverage | None]
"""Where the first source and the second have data, as `Image.coverage`."""

SEAM = 8
"""Pixels inside its border over which a source with gaps fades into the result."""


def fill_gaps(planes: FloatArray, coverages: Gaps) -> None:
    """Give each luma the other's where it has no data, so that a network sees no edge there.

    Args:
        planes: (2, H, W) float32: two lumas; changed in place.
        coverages: Their coverages in the same order.
    """
    if coverages[0] is None and coverages[1] is None:
        return
    for rows in row_bands(*planes.shape[1:]):
        gaps = [
            None if coverage is None else 1 - coverage[rows].astype(np.float32) / 255
            for coverage in coverages
        ]
        before = planes[:, rows].copy()
        for this, other in ((0, 1), (1, 0)):
            gap = gaps[this]
            if gap is not None:
                planes[this, rows] *= 1 - gap
                planes[this, rows] += gap * before[other]


def blend_over_gaps(fused: FloatArray, first: FloatArray, second: FloatArray, gaps: Gaps) -> None:
    """Replace a fused luma where a source has no data, in place.

    Args:
        fused: (H, W) float32 luma of the fusion; becomes the result, black where neither has data.
        first: Luma of the first source.
        second: Luma of the second source.
        gaps: Where they have data.
    """
    one, other = _seam(gaps[0], fused.shape), _seam(gaps[1], fused.shape)
    both = one * other
    only_first, only_second = one - both, other - both
    # Inside a seam the source's own weight falls before its data end: there it may still be taken.
    total = both + only_first + only_second
    lost = total <= 0
    fused *= both
    fused += only_first * first
    fused += only_second * second
    np.divide(fused, total, out=fused, where=~lost)
    fused[lost] = 0


def without_gaps(samples: Samples, coverage: Coverage | None) -> Samples:
    """Return RGB samples that are black, and so without chroma, where there is no data."""
    if coverage is None:
        return samples
    known: Samples = samples.copy()
    known[coverage == 0] = 0
    return known


def _seam(coverage: npt.NDArray[np.uint8] | None, size: tuple[int, ...]) -> FloatArray:
    """Return a source's weight: 0 without data, rising to its coverage over `SEAM` pixels."""
    if coverage is None:
        return np.ones(size, np.float32)
    import cv2

    # A ring around the whole: the picture's own border is no seam.
    inside = cv2.copyMakeBorder((coverage > 0).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
    weight: FloatArray = np.clip(distance / SEAM, 0, 1).astype(np.float32)
    weight *= coverage.astype(np.float32) / 255
    return weight
