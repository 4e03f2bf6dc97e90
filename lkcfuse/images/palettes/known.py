"""The palettes that are known by name.

OpenCV's are asked of OpenCV, matplotlib's and gnuplot's are given by their formulas, and those of
cameras by the points between which they run nearly straight (`points.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.images.palettes.palette import LEVELS, Palette, palette_of, palette_of_points
from lkcfuse.images.palettes.points import POINTS

Curve = Callable[[npt.NDArray[np.float64]], tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike]]

# Usual ones first: where two fit a picture alike, the first is taken.
_OPENCV = {
    "jet": cv2.COLORMAP_JET,
    "rainbow": cv2.COLORMAP_RAINBOW,
    "hot": cv2.COLORMAP_HOT,
    "inferno": cv2.COLORMAP_INFERNO,
    "magma": cv2.COLORMAP_MAGMA,
    "plasma": cv2.COLORMAP_PLASMA,
    "viridis": cv2.COLORMAP_VIRIDIS,
    "turbo": cv2.COLORMAP_TURBO,
    "parula": cv2.COLORMAP_PARULA,
    "cividis": cv2.COLORMAP_CIVIDIS,
}

# These are known by name alone: heat is seldom shown in them, much else has their colours, and hsv
# runs through those of "rain" the other way round.
_OPENCV_SELDOM = {
    "autumn": cv2.COLORMAP_AUTUMN,
    "bone": cv2.COLORMAP_BONE,
    "cool": cv2.COLORMAP_COOL,
    "hsv": cv2.COLORMAP_HSV,
    "ocean": cv2.COLORMAP_OCEAN,
    "pink": cv2.COLORMAP_PINK,
    "spring": cv2.COLORMAP_SPRING,
    "summer": cv2.COLORMAP_SUMMER,
    "twilight": cv2.COLORMAP_TWILIGHT,
    "winter": cv2.COLORMAP_WINTER,
}

# Of x from 0 to 1, red, green and blue from 0 to 1 (clipped): gnuplot's rgbformulae 7,5,15 and
# 30,31,32, and matplotlib's colormaps of those names.
_FORMULAS: dict[str, Curve] = {
    "afmhot": lambda x: (2 * x, 2 * x - 0.5, 2 * x - 1),
    "gist-heat": lambda x: (1.5 * x, 2 * x - 1, 4 * x - 3),
    "gnuplot": lambda x: (np.sqrt(x), x**3, np.sin(2 * np.pi * x)),
    "gnuplot2": lambda x: (
        x / 0.32 - 0.78125,
        2 * x - 0.84,
        np.where(x < 0.25, 4 * x, np.where(x < 0.92, -2 * x + 1.84, x / 0.08 - 11.5)),
    ),
    "rainbow-matplotlib": lambda x: (
        np.abs(2 * x - 0.5),
        np.sin(np.pi * x),
        np.cos(np.pi * x / 2),
    ),
}

# Names that stand for more than the palettes of that name: of these the one that fits is taken.
_FAMILIES = {
    "iron": ("iron", "inferno", "gnuplot"),
    "ironbow": ("iron", "inferno", "gnuplot"),
    "hot": ("hot", "afmhot", "gist-heat"),
    "rainbow": (
        "rainbow",
        "rain",
        "rainbow-lepton",
        "rainbow-matplotlib",
        "rainbow-hc",
        "double-rainbow",
    ),
}

REVERSED = "-reversed"


def known_names() -> tuple[str, ...]:
    """Return the names of all known palettes, in alphabetical order."""
    known = {palette.name for palette in (*usual_palettes(), *_seldom())}
    return tuple(sorted(known | set(_FAMILIES)))


def palettes_called(name: str) -> tuple[Palette, ...]:
    """Return the palettes of a name, which may end in `-reversed`; none where it is unknown.

    One name may stand for several: cameras differ in what they call iron or rainbow.
    """
    if name.endswith(REVERSED):
        return tuple(each.reversed() for each in palettes_called(name.removesuffix(REVERSED)))
    names = _FAMILIES.get(name, (name,))
    known = (*usual_palettes(), *_seldom())
    return tuple(each for wanted in names for each in known if each.name == wanted)


@lru_cache(maxsize=1)
def usual_palettes() -> tuple[Palette, ...]:
    """Return the palettes that heat is shown in, the more usual ones first."""
    found = [_opencv(name, number) for name, number in _OPENCV.items()]
    found += [
        palette_of_points(name, [point[0] for point in points], [point[1:] for point in points])
        for name, points in POINTS
    ]
    found += [_formula(name) for name in _FORMULAS if name != "gist-heat"]
    return tuple(found)


@lru_cache(maxsize=1)
def _seldom() -> tuple[Palette, ...]:
    # "gist-heat" has the colours of "hot" in other steps.
    return (_formula("gist-heat"), *(_opencv(*entry) for entry in _OPENCV_SELDOM.items()))


def _formula(name: str) -> Palette:
    channels = _FORMULAS[name](np.linspace(0, 1, LEVELS))
    clipped = [np.clip(np.asarray(channel), 0, 1) * 255 for channel in channels]
    return palette_of(name, np.stack(clipped, axis=1))


def _opencv(name: str, number: int) -> Palette:
    ramp = np.arange(LEVELS, dtype=np.uint8)[:, None]
    return palette_of(name, cv2.applyColorMap(ramp, number)[:, 0, ::-1])
