"""Checks of a fused picture that no published metric makes, as functions of planes alone.

A plane is (H, W) float64 luma in grey levels 0..255. A `Fuse` takes the planes of the first and the
second source and returns the fused plane.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]
Fuse = Callable[[Plane, Plane], Plane]

FLAT_LEVELS = 2.0
"""A window is flat where both sources deviate by less."""

DETAIL_SIGMA = 3.0
BRIGHTER_BY, CLIPPED_FROM, DARK_TO = 10.0, 235.0, 25.0
FEWEST_PIXELS = 500

BLOCK = 16
FAR_BELOW = 12.0

HOTTEST_SHARE = 0.03

CROP_MULTIPLE = 4
"""The network pads to multiples of this, at two sides alone, which no turn would carry along."""

TURNS: dict[str, tuple[Callable[[Plane], Plane], Callable[[Plane], Plane]]] = {
    "left-right": (np.fliplr, np.fliplr),
    "up-down": (np.flipud, np.flipud),
    "quarter turn": (np.rot90, lambda plane: np.rot90(plane, -1)),
    "transpose": (np.transpose, np.transpose),
}
"""Each turn, and the one that undoes it."""


class Difference(NamedTuple):
    """Mean and largest absolute difference of two planes, in levels."""

    mean: float
    largest: float


class Darkening(NamedTuple):
    """What the blocks lie below the brighter source: levels on average, and the share far below."""

    mean: float
    far_below: float


class SizeDifference(NamedTuple):
    """What fusing at another size changes: mean absolute differences, in levels.

    Attributes:
        all: To the picture fused at its own size. Most of it may be the loss of scaling, which
            the maximum has as well.
        beyond_scaling: To the same picture, scaled there and back like the result.
    """

    all: float
    beyond_scaling: float


def flat_excess(fused: Plane, first: Plane, second: Plane) -> NDArray[np.float64]:
    """Return, for every window flat in both sources, how much rougher the result is, in levels.

    Windows have 15x15 pixels; the fused one's deviation is held against the larger source's.
    """
    larger = np.maximum(_local_deviation(first), _local_deviation(second))
    return (_local_deviation(fused) - larger)[larger < FLAT_LEVELS]


def _local_deviation(plane: Plane) -> Plane:
    """Return the standard deviation in every 15x15 window that fits."""
    mean = cv2.blur(plane, (15, 15))
    square = cv2.blur(plane * plane, (15, 15))
    deviation = np.sqrt(np.maximum(square - mean * mean, 0))
    return np.asarray(deviation[7:-7, 7:-7], np.float64)


def outshone(source: Plane, other: Plane) -> Mask:
    """Return where a source has something to show and the other one is brighter, yet not clipped.

    There the pixelwise maximum shows nothing of the source.
    """
    return (other > source + BRIGHTER_BY) & (other < CLIPPED_FROM) & (source > DARK_TO)


def detail_kept(fused: Plane, source: Plane, other: Plane) -> float | None:
    """Return how much of a source's fine detail is kept where the other source is brighter.

    Detail is a plane less its Gaussian blur of sigma 3.

    Returns:
        The correlation of the fused detail with the source's over `outshone`, -1..1; 0 where the
        fused detail is flat there. None where there are fewer than 500 such pixels, or the
        source has no detail to keep.
    """
    mask = outshone(source, other)
    if np.count_nonzero(mask) < FEWEST_PIXELS:
        return None
    kept, wanted = (_detail(plane)[mask] for plane in (fused, source))
    kept, wanted = kept - kept.mean(), wanted - wanted.mean()
    lengths = float(np.sqrt((kept @ kept) * (wanted @ wanted)))
    # What the blur's rounding leaves of a flat plane is no detail.
    if float(np.abs(wanted).max()) < 1e-6:
        return None
    return float(kept @ wanted) / lengths if float(np.abs(kept).max()) >= 1e-6 else 0.0


def _detail(plane: Plane) -> Plane:
    return plane - cv2.GaussianBlur(plane, (0, 0), DETAIL_SIGMA)


def darkening(fused: Plane, first: Plane, second: Plane) -> Darkening:
    """Return how far the fused picture lies below its sources, by blocks of 16x16 pixels.

    A block counts by max(0, the brighter source's mean - the fused mean). Only whole blocks count;
    a picture smaller than one is one block.

    Returns:
        The mean over the blocks, in levels, and the share of blocks more than 12 levels below.
    """
    brighter = np.maximum(_block_means(first), _block_means(second))
    below = np.maximum(brighter - _block_means(fused), 0)
    return Darkening(float(below.mean()), float((below > FAR_BELOW).mean()))


def _block_means(plane: Plane) -> Plane:
    height, width = (min(BLOCK, side) for side in plane.shape)
    rows, columns = plane.shape[0] // height, plane.shape[1] // width
    blocks = plane[: rows * height, : columns * width].reshape(rows, height, columns, width)
    return np.asarray(blocks.mean(axis=(1, 3)), np.float64)


def equivariance(fuse: Fuse, first: Plane, second: Plane) -> dict[str, Difference]:
    """Compare a pair with its flipped and turned copies, fused and turned back.

    The pair is cropped at the bottom and the right to multiples of 4 pixels, so that the network's
    padding plays no part.

    Returns:
        For each of `TURNS`, the difference to the fused crop, in levels.
    """
    height, width = (side - side % CROP_MULTIPLE for side in first.shape)
    first, second = first[:height, :width], second[:height, :width]
    straight = fuse(first, second)
    return {
        name: difference(back(fuse(turn(first), turn(second))), straight)
        for name, (turn, back) in TURNS.items()
    }


def quarter_difference(fuse: Fuse, first: Plane, second: Plane, whole: Plane) -> float:
    """Fuse the centre, half as high and wide, by itself and compare it with the same part.

    Args:
        fuse: The method.
        first: The first source.
        second: The second source.
        whole: What the method made of the whole pair, as it was written.

    Returns:
        The mean absolute difference, in levels, with the centre rounded as it would be written.
    """
    height, width = whole.shape
    centre = np.s_[height // 4 : height // 4 + height // 2, width // 4 : width // 4 + width // 2]
    return difference(np.rint(fuse(first[centre], second[centre])), whole[centre]).mean


def size_difference(
    fuse: Fuse, first: Plane, second: Plane, whole: Plane, side: int
) -> SizeDifference:
    """Fuse a pair at another size and bring the result back; all scaling is bicubic.

    Args:
        fuse: The method.
        first: The first source.
        second: The second source.
        whole: What the method makes of the pair at its own size.
        side: What the longer side is scaled to, in pixels.
    """
    height, width = own = whole.shape
    factor = side / max(height, width)
    size = max(1, round(height * factor)), max(1, round(width * factor))
    result = _resized(fuse(_resized(first, size), _resized(second, size)), own)
    scaled = _resized(_resized(whole, size), own)
    return SizeDifference(difference(result, whole).mean, difference(result, scaled).mean)


def _resized(plane: Plane, size: tuple[int, int]) -> Plane:
    """Scale to (height, width).

    Bicubic without a wider filter on the way down: it loses the least, and at half the size its
    four taps see every pixel.
    """
    return np.clip(cv2.resize(plane, size[::-1], interpolation=cv2.INTER_CUBIC), 0, 255)


def hottest_difference(fused: Plane, source: Plane, heat: Plane) -> float | None:
    """Return how much brighter the hottest pixels came out than they are in the colour source.

    Args:
        fused: Luma of the fused picture.
        source: Luma of the colour source.
        heat: Its largest of R, G and B, in levels. Luma would not do: a palette's red and magenta
            stand for much and have little of it.

    Returns:
        The mean difference in luma, in levels, over the 3 % of pixels with the most heat, and those
        as hot as the least of them; of black pixels none counts. None where all are black.
    """
    lit = heat > 0
    if not lit.any():
        return None
    hottest = lit & (heat >= np.quantile(heat[lit], 1 - HOTTEST_SHARE))
    return float((fused - source)[hottest].mean())


def difference(result: Plane, reference: Plane) -> Difference:
    """Return the mean and the largest absolute difference, in levels."""
    distance = np.abs(result - reference)
    return Difference(float(distance.mean()), float(distance.max()))
