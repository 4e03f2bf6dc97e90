"""Where one picture lies within another, roughly: a search over scales, rotations and places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from lkcfuse.pairs.alignment.descriptors import View, fit_within
from lkcfuse.pairs.alignment.result import corner_errors
from lkcfuse.pairs.resample import Matrix, resize_matrix

SIDE = 112
"""Longer side in pixels of the first picture in the search."""

# How far the first picture may reach beyond the second, and which starts are one.
_MARGIN = 0.15
_ALIKE = 0.06


@dataclass(frozen=True)
class Start:
    """A rough transform from the second picture's pixels to the first's, and its correlation."""

    transform: Matrix
    score: float


def search(
    first: View, second: View, scales: Sequence[float], rotations: Sequence[float], count: int
) -> list[Start]:
    """Match the whole of the first picture within the second.

    Args:
        first: The first picture.
        second: The second picture.
        scales: Widths of the second's view, in those of the first's.
        rotations: In degrees.
        count: How many to return at most.

    Returns:
        The starts that correlate best, best first; all of them differ by more than a little.
    """
    small = fit_within(first.size, SIDE)
    template = first.scaled(small).maps()
    back = resize_matrix(small, first.size)
    found = []
    for scale in scales:
        wide = max(8, round(small[1] * scale))
        other = max(8, round(wide * second.size[0] / second.size[1])), wide
        shrunk = second.scaled(other)
        margins = [
            max(0, (a - b + 1) // 2) + round(a * _MARGIN) for a, b in zip(small, other, strict=True)
        ]
        canvas = other[0] + 2 * margins[0], other[1] + 2 * margins[1]
        for rotation in rotations:
            turn = np.eye(3)
            middle = (other[1] - 1) / 2, (other[0] - 1) / 2
            turn[:2] = cv2.getRotationMatrix2D(middle, rotation, 1)
            turn[:2, 2] += margins[1], margins[0]
            maps = shrunk.warped(turn, canvas).maps()
            scores = cv2.matchTemplate(maps, template, cv2.TM_CCOEFF_NORMED)
            score, (x, y) = cv2.minMaxLoc(np.nan_to_num(scores, posinf=0, neginf=0))[1::2]
            shift = np.array([[1, 0, -x], [0, 1, -y], [0, 0, 1.0]])
            matrix = back @ shift @ turn @ resize_matrix(second.size, other)
            found.append(Start(np.asarray(matrix, np.float64), float(score)))
    found.sort(key=lambda start: -start.score)
    kept: list[Start] = []
    near = _ALIKE * max(first.size)
    for start in found:
        if all(_apart(start.transform, each.transform, first.size) > near for each in kept):
            kept.append(start)
            if len(kept) == count:
                break
    return kept


def _apart(one: Matrix, other: Matrix, size: tuple[int, int]) -> float:
    """Return how far apart two transforms put the first picture's corners, in its pixels."""
    return float(corner_errors(np.eye(3), one @ np.linalg.inv(other), size).max())
