"""What a registration found."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.pairs.resample import Matrix, resize_matrix

LEAST_CONFIDENCE = 0.5
"""Below it a registration is not to be trusted; benchmarks/alignment.py tells why."""


@dataclass(frozen=True)
class Alignment:
    """Where the second picture lies on the first.

    Attributes:
        transform: (3, 3), from the second picture's pixels to the first's.
        gain: By how much the correlation of the pictures' edges is higher than it is where both
            are taken to show the same view.
        confidence: How far the transform is to be trusted: 0 to 1.
        spread: How far apart, in pixels of the first picture, parts of the picture put its corners.
        share: Share of the tiles that agree on the transform.
        contrast: How far the tiles' correlations stand out.
    """

    transform: Matrix
    gain: float
    confidence: float
    spread: float = float("inf")
    share: float = 0.0
    contrast: float = 0.0

    @property
    def trusted(self) -> bool:
        """Whether the transform is fit for use."""
        return self.confidence >= LEAST_CONFIDENCE

    def displacement(self, size: tuple[int, int], other: tuple[int, int]) -> float:
        """Return by how many of the first's pixels the second moves in the median of its corners.

        Args:
            size: (height, width) of the first picture.
            other: Likewise of the second, taken to show the same view.
        """
        return float(np.median(corner_errors(self.transform, resize_matrix(other, size), other)))


def corner_errors(found: Matrix, true: Matrix, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return how far apart two transforms put the corners of a picture: (4,) in pixels."""
    bottom, right = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[[0, 0], [right, 0], [0, bottom], [right, bottom]]], np.float64)
    apart = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    return np.asarray(np.hypot(*apart[0].T), np.float64)
