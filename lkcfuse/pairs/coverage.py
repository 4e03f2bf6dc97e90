"""What is done where a source has no data: the other one is taken, with a soft seam."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray
from lkcfuse.images.image import Image
from lkcfuse.images.samples import Samples, row_bands, to_unit

Coverage = npt.NDArray[np.uint8]
Gaps = tuple[Coverage | None, Coverage | None]
"""Where the first source and the second have data, as `Image.coverage`."""

SEAM = 8
"""Pixels of a gap over which the fusion fades into the other source."""


# What a lid or a dropped frame leaves of 8 bits after JPEG; of more, any difference may be signal.
_CONSTANT_LEVELS = 2 / 255


def is_constant(image: Image) -> bool:
    """Whether an image has one luma everywhere it has data, or no data at all."""
    tolerance = _CONSTANT_LEVELS if image.dtype.itemsize == 1 else 0.0
    low, high = np.inf, -np.inf
    for rows in row_bands(*image.size):
        band = replace(image, luma_samples=image.luma_samples[rows]).luma
        if image.coverage is not None:
            band = band[image.coverage[rows] == 255]
        if band.size:
            low, high = min(low, float(band.min())), max(high, float(band.max()))
        if high - low > tolerance:
            return False
    return True


def join(gaps: Gaps) -> Coverage | None:
    """Return where either source has data; None for everywhere."""
    if gaps[0] is None or gaps[1] is None:
        return None
    joined: Coverage = np.maximum(gaps[0], gaps[1])
    return None if joined.min() > 0 else joined


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

    The seam lies in the gap: what a network makes of a filled gap is the other source or nearly,
    so that the fusion can fade there, and keeps every pixel that both sources show.

    Args:
        fused: (H, W) float32 luma of the fusion of two filled sources; becomes the result, black
            where neither has data.
        first: Luma of the first source.
        second: Luma of the second source.
        gaps: Where they have data.
    """
    for coverage, other in ((gaps[0], second), (gaps[1], first)):
        if coverage is not None:
            hole = coverage == 0
            share = _share_of_fusion(coverage)[hole]
            fused[hole] = share * fused[hole] + (1 - share) * other[hole]
    if gaps[0] is not None and gaps[1] is not None:
        fused[(gaps[0] == 0) & (gaps[1] == 0)] = 0


def without_gaps(samples: Samples, coverage: Coverage | None) -> Samples:
    """Return RGB samples with as much chroma as there is data: none where there is none."""
    if coverage is None:
        return samples
    known = to_unit(samples)
    known *= (coverage.astype(np.float32) / 255)[..., None]
    return known


def _share_of_fusion(coverage: Coverage) -> FloatArray:
    """Return 1 where a source has data, falling to 0 over `SEAM` pixels where it has none."""
    import cv2

    hole = (coverage == 0).astype(np.uint8)
    if hole.all():
        return np.zeros(coverage.shape, np.float32)
    distance = cv2.distanceTransform(hole, cv2.DIST_L2, 3)
    share: FloatArray = np.clip(1 - distance / SEAM, 0, 1).astype(np.float32)
    return share
