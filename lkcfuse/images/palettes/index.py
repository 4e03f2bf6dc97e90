"""From the colours of a palette back to heat."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray, rgb_to_ycbcr
from lkcfuse.images.palettes.palette import ALIKE, LEVELS, Palette
from lkcfuse.images.samples import row_bands

Pixels = npt.NDArray[np.uint8]

# So many colours at a time are compared with the palette's 256.
_CHUNK = 1 << 14

# Two places of a palette are two readings of a colour if they lie further apart than this (levels).
_APART = LEVELS // 8

# Of weights from .4 to 1, this one gives the heat back best from JPEG files of quality 90.
_CHROMA_WEIGHT = 0.5

# Where a colour has two readings, the neighbours within this many pixels tell which.
_NEIGHBOURHOOD = 9


class Nearest(NamedTuple):
    """Where colours lie on a palette.

    Attributes:
        place: The nearest place on its curve, from 0 to 255: (N).
        distance: How far the colour is from it (Euclidean, of 255): (N).
        other: The nearest place that lies far along the curve from the first: (N).
        other_distance: How far the colour is from that: (N), infinite where none was asked for.
    """

    place: FloatArray
    distance: FloatArray
    other: FloatArray
    other_distance: FloatArray


def to_index(rgb: Pixels, palette: Palette) -> Pixels:
    """Return the heat that each pixel's colour stands for.

    Args:
        rgb: (H, W, 3) uint8.
        palette: The palette it is coloured by.

    Returns:
        (H, W) uint8, 0 the coldest: the place of the nearest point on the palette's curve. Where
        the palette has two places of nearly that colour, the one that resembles the surroundings.
    """
    # A byte for each colour there is: which ones occur, then what they stand for.
    table = np.zeros(1 << 24, np.uint8)
    for rows in row_bands(*rgb.shape[:2]):
        table[_codes(rgb[rows])] = 1
    occurring = np.flatnonzero(table)
    found = nearest(
        _seen_by_jpeg(_decode(occurring)),
        _seen_by_jpeg(palette.colours),
        others=palette.ends_meet,
    )
    table[occurring] = np.rint(found.place)
    heat = _look_up(table, rgb)
    # A colour is of either place where both are as near, give or take what JPEG has moved it by.
    noise = float(np.median(found.distance))
    doubtful = found.other_distance - found.distance < min(ALIKE, 4 + 4 * noise)
    if doubtful.any():
        table[occurring] = np.rint(found.other)
        second = _look_up(table, rgb)
        table[occurring] = ~doubtful
        heat = _settle(heat, second, _look_up(table, rgb) == 1)
    return heat


def nearest(colours: FloatArray, curve: FloatArray, *, others: bool = False) -> Nearest:
    """Find the nearest point of a palette's curve for each of many colours.

    Args:
        colours: (N, 3), RGB from 0 to 255 or another space in which distance means likeness.
        curve: The colours of a palette in that space, (256, 3), between which it runs straight.
        others: Look for second places too.
    """
    count = len(colours)
    found = Nearest(*(np.full(count, np.inf, np.float32) for _ in range(4)))
    squares = (curve**2).sum(axis=1)
    around = np.arange(-_APART, _APART + 1)
    for start in range(0, count, _CHUNK):
        part = slice(start, min(start + _CHUNK, count))
        points = colours[part]
        # |c - p|^2 without |c|^2, which is the same for all places.
        apart = points @ (-2 * curve.T)
        apart += squares
        best = apart.argmin(axis=1)
        found.place[part], found.distance[part] = _refine(points, curve, best)
        if others:
            close = np.clip(best[:, None] + around, 0, LEVELS - 1)
            np.put_along_axis(apart, close, np.float32(np.inf), axis=1)
            second = apart.argmin(axis=1)
            found.other[part], found.other_distance[part] = _refine(points, curve, second)
    return found


def _refine(
    points: FloatArray, curve: FloatArray, best: npt.NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Return the nearest place on the two pieces of the curve that meet at a colour of it."""
    place = best.astype(np.float32)
    distance = ((points - curve[best]) ** 2).sum(axis=1)
    for step in (-1, 1):
        end = np.clip(best + step, 0, LEVELS - 1)
        piece = curve[end] - curve[best]
        length = (piece**2).sum(axis=1)
        along = ((points - curve[best]) * piece).sum(axis=1)
        share = np.clip(np.divide(along, length, out=np.zeros_like(along), where=length > 0), 0, 1)
        found = ((points - curve[best] - share[:, None] * piece) ** 2).sum(axis=1)
        closer = found < distance
        place[closer] = best[closer] + step * share[closer]
        distance[closer] = found[closer]
    return place, np.sqrt(distance)


def _seen_by_jpeg(colours: FloatArray) -> FloatArray:
    """Return colours in a space where their chroma counts less: (N, 3).

    JPEG keeps luma at each pixel and chroma at each second one, so that luma can be trusted more.
    Grey levels are as far apart as in RGB.
    """
    luma, chroma = rgb_to_ycbcr(colours[:, None])
    space = np.concatenate([luma, _CHROMA_WEIGHT * chroma[:, 0]], axis=1)
    space *= np.float32(np.sqrt(3))
    return space


def _settle(heat: Pixels, second: Pixels, sure: npt.NDArray[np.bool_]) -> Pixels:
    """Choose between two readings of a pixel by what is sure around it."""
    size = (_NEIGHBOURHOOD, _NEIGHBOURHOOD)
    weight = sure.astype(np.float32)
    total = cv2.boxFilter(weight, cv2.CV_32F, size, normalize=False)
    around = cv2.boxFilter(heat * weight, cv2.CV_32F, size, normalize=False)
    known = total > 0.5
    np.divide(around, total, out=around, where=known)
    closer = np.abs(second - around) < np.abs(heat - around)
    return np.where(~sure & known & closer, second, heat)


def _look_up(table: Pixels, rgb: Pixels) -> Pixels:
    looked_up = np.empty(rgb.shape[:2], np.uint8)
    for rows in row_bands(*rgb.shape[:2]):
        looked_up[rows] = table[_codes(rgb[rows])]
    return looked_up


def _codes(rgb: Pixels) -> npt.NDArray[np.int32]:
    """Return each pixel's colour as one number: (H, W)."""
    codes = rgb[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= rgb[..., channel]
    return codes


def _decode(codes: npt.NDArray[np.intp]) -> FloatArray:
    return np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1).astype(np.float32)
