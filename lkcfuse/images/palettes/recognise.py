"""Which known palette a picture is coloured by, if by any."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lkcfuse.images.colour import FloatArray
from lkcfuse.images.palettes.index import Pixels, nearest
from lkcfuse.images.palettes.known import usual_palettes
from lkcfuse.images.palettes.palette import Palette


@dataclass(frozen=True)
class Match:
    """A palette that a picture is coloured by.

    Attributes:
        palette: The palette.
        share: Share of the pixels that lie on it, from 0 to 1.
        distance: Mean distance of the pixels from it (Euclidean, of 255).
        typical: Median of that distance: what lies on the picture, as a logo does, leaves it alone.
        coldest: Place on it, from 0 to 255, that all but a few pixels are hotter than.
    """

    palette: Palette
    share: float
    distance: float
    typical: float
    coldest: float


# As many pixels of a picture are looked at, in a grid; a part of them rules most palettes out.
_SAMPLES = 1 << 13
_FEW = 1 << 9

# This share of the pixels is smooth: they resemble their neighbours most.
_SMOOTH = 0.25

# Distance within which a pixel lies on a palette: JPEG moves it by about so much.
_NEAR = 20.0

# Range of R, G and B from which on a pixel is coloured; grey tells nothing, many palettes have it.
_COLOURED = 40

# What a palette must reach among smooth pixels. Nearly all false colours, those of busy pictures in
# JPEG files of quality 60 among them, stay within a median of 6.2; photographs of streets, parks
# and roofs, by day and by night, are at 7.9 and more where half of their colours are near enough.
_MIN_SHARE = 0.8
_MAX_TYPICAL = 6.5

# Of all pixels, smooth or not, how many must be coloured, and how many of those on the palette: a
# night sky alone lies on every palette that begins with black.
_MIN_COLOURED = 0.02
_MIN_COLOURED_SHARE = 0.6

# Palettes that fit as well as each other, within this distance, share the part that a picture
# uses. Then the one is taken that has the picture begin at its cold end, as most pictures do, give
# or take so many places; then the more usual one.
_TIE = 0.15
_SAME_END = 8
_FEW_PERCENT = 2


def recognise(rgb: Pixels) -> Match | None:
    """Find the palette that a picture is coloured by.

    A scale bar, a logo and text may lie on the picture, and JPEG may have blurred its colours.

    Args:
        rgb: (H, W, 3) uint8.

    Returns:
        The palette that fits best; None where none fits, as for grey pictures and photographs.
    """
    pixels, smooth = _sample(rgb)
    coloured = np.ptp(pixels, axis=1) >= _COLOURED
    if coloured.mean() < _MIN_COLOURED:
        return None
    few = smooth[:: max(1, len(smooth) // _FEW)]
    found: list[Match] = []
    for palette in usual_palettes():
        if (nearest(few, palette.colours).distance <= _NEAR).mean() < _MIN_SHARE - 0.1:
            continue
        match = _match(smooth, palette)
        if match.share < _MIN_SHARE or match.typical > _MAX_TYPICAL:
            continue
        if (
            nearest(pixels[coloured], palette.colours).distance <= _NEAR
        ).mean() >= _MIN_COLOURED_SHARE:
            found.append(match)
    return _best(found)


def fit(rgb: Pixels, palettes: Sequence[Palette]) -> Match:
    """Return the palette that fits a picture best, however badly.

    Args:
        rgb: (H, W, 3) uint8.
        palettes: The palettes among which to choose, one at least.
    """
    _, smooth = _sample(rgb)
    matches = [_match(smooth, palette) for palette in palettes]
    return _best(matches) or matches[0]


def _best(matches: Sequence[Match]) -> Match | None:
    closest = min((match.distance for match in matches), default=0.0)
    tied = [match for match in matches if match.distance <= closest + _TIE]
    return min(tied, key=lambda match: round(match.coldest / _SAME_END), default=None)


def _match(pixels: FloatArray, palette: Palette) -> Match:
    found = nearest(pixels, palette.colours)
    # What lies far off, as a logo does, counts as if it lay less far off.
    distance = float(np.minimum(found.distance, 2 * _NEAR).mean())
    share = float((found.distance <= _NEAR).mean())
    typical = float(np.median(found.distance))
    coldest = float(np.percentile(found.place, _FEW_PERCENT))
    return Match(palette, share, distance, typical, coldest)


def _sample(rgb: Pixels) -> tuple[FloatArray, FloatArray]:
    """Return pixels in a grid, (N, 3), and those that resemble their neighbours, (M, 3).

    JPEG mixes the colours of pixels that differ, and the mixture is on no palette.
    """
    height, width = rgb.shape[:2]
    step = max(1, math.isqrt(height * width // _SAMPLES))
    rows = np.arange(step // 2, height, step)[:, None]
    columns = np.arange(step // 2, width, step)[None]
    pixels = rgb[rows, columns].astype(np.float32)
    change = np.zeros(pixels.shape[:2], np.float32)
    for down, right in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        beside = rgb[np.clip(rows + down, 0, height - 1), np.clip(columns + right, 0, width - 1)]
        change += np.abs(pixels - beside).sum(axis=-1)
    return pixels.reshape(-1, 3), pixels[change <= np.quantile(change, _SMOOTH)]
