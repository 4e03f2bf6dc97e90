"""What a registration found."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.pairs.resample import Matrix
from lkcfuse.pairs.transforms import to_rows

LEAST_CONFIDENCE = 0.92
"""Below it a registration is refused: pictures of two scenes reached .88 (docs/alignment.md)."""


@dataclass(frozen=True)
class Alignment:
    """Where the second picture lies on the first.

    Attributes:
        transform: (3, 3), from the second picture's pixels to the first's.
        gain: By how much the correlation of the pictures' edges is higher than it is where both
            are taken to show the same view.
        confidence: How far the transform is to be trusted: 0 to 1.
    """

    transform: Matrix
    gain: float
    confidence: float

    @property
    def trusted(self) -> bool:
        """Whether the transform is fit for use."""
        return self.confidence >= LEAST_CONFIDENCE

    def __str__(self) -> str:
        scale = math.sqrt(abs(float(np.linalg.det(self.transform[:2, :2]))))
        turn = math.degrees(math.atan2(self.transform[1, 0], self.transform[0, 0]))
        return (
            f"scale {scale:.3f}, rotation {turn:.1f} degrees, shift "
            f"{self.transform[0, 2]:.1f}, {self.transform[1, 2]:.1f}, confidence "
            f"{self.confidence:.2f}"
        )

    def to_record(self) -> dict[str, Any]:
        """Return the alignment as JSON has it."""
        return {
            "transform": to_rows(self.transform),
            "gain": round(self.gain, 4),
            "confidence": round(self.confidence, 3),
        }


def corner_errors(found: Matrix, true: Matrix, size: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return how far apart two transforms put the corners of a picture: (4,) in pixels."""
    bottom, right = size[0] - 1.0, size[1] - 1.0
    corners = np.array([[[0, 0], [right, 0], [0, bottom], [right, bottom]]], np.float64)
    apart = cv2.perspectiveTransform(corners, found) - cv2.perspectiveTransform(corners, true)
    return np.asarray(np.hypot(*apart[0].T), np.float64)
