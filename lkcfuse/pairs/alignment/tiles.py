"""How well tiles of one picture correlate with another around their places."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.pairs.alignment.descriptors import Maps, Mask
from lkcfuse.pairs.alignment.models import Array

# Tiles along the longer side, and how many times its share of the picture a tile is wide.
_ALONG = 10
_OVERLAP = 1.6
_LEAST_DATA = 0.5

# What covariance makes 1: a twelfth is the variance of what is spread evenly from 0 to 1.
_UNIT = 1 / 12


@dataclass(frozen=True)
class Surfaces:
    """How well tiles of the first picture correlate with the second around their places.

    Attributes:
        places: (N, 2) x and y of the tiles' centres.
        cells: (N, 2) row and column of the tiles.
        scores: (N, 2 R + 1, 2 R + 1) covariances by displacement down and right, in twelfths.
        size: (height, width) of the picture.
    """

    places: Array
    cells: npt.NDArray[np.int64]
    scores: Array
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def radius(self) -> int:
        """How far around its place a tile was looked for, in pixels."""
        return int(self.scores.shape[1]) // 2

    def subset(self, chosen: Mask) -> Surfaces:
        """Return those of some tiles."""
        return Surfaces(self.places[chosen], self.cells[chosen], self.scores[chosen], self.size)


def correlate(first: Maps, second: Maps, data: Mask, radius: int) -> Surfaces:
    """Correlate tiles of the first picture with the second.

    A tile counts by its covariance, not by its correlation: where there are no edges, there is
    nothing to be learnt.

    Args:
        first: Maps of the first picture.
        second: Maps of the second, on the same grid.
        data: Where both have data.
        radius: How far to look, in pixels.
    """
    height, width = data.shape
    step = max(height, width) / _ALONG
    half = max(6, round(step * _OVERLAP / 2))
    margins = ((radius, radius), (radius, radius), (0, 0))
    surroundings = np.pad(second, margins)
    padded = [np.ascontiguousarray(surroundings[..., n]) for n in range(second.shape[2])]
    planes = [np.ascontiguousarray(first[..., n]) for n in range(first.shape[2])]
    inset = half * 0.6
    rows = np.linspace(inset, height - 1 - inset, max(3, round(height / step))).astype(int)
    columns = np.linspace(inset, width - 1 - inset, max(3, round(width / step))).astype(int)
    places, cells, scores = [], [], []
    for (i, y), (j, x) in itertools.product(enumerate(rows), enumerate(columns)):
        top, left = max(0, y - half), max(0, x - half)
        bottom, right = min(height, y + half + 1), min(width, x + half + 1)
        if data[top:bottom, left:right].mean() < _LEAST_DATA:
            continue
        surface = sum(
            cv2.matchTemplate(
                other[top : bottom + 2 * radius, left : right + 2 * radius],
                plane[top:bottom, left:right],
                cv2.TM_CCOEFF,
            )
            for plane, other in zip(planes, padded, strict=True)
        )
        count = (bottom - top) * (right - left) * len(planes)
        places.append(((left + right - 1) / 2, (top + bottom - 1) / 2))
        cells.append((i, j))
        scores.append(np.asarray(surface, np.float64) / (count * _UNIT))
    side = 2 * radius + 1
    return Surfaces(
        np.array(places, np.float64).reshape(-1, 2),
        np.array(cells, np.int64).reshape(-1, 2),
        np.array(scores, np.float64).reshape(-1, side, side),
        (height, width),
    )
