"""Transforms as displacements of points: linear in few parameters, the plainest ones first."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.pairs.resample import Matrix

Array = npt.NDArray[np.float64]

PARAMETERS = {"shift": 2, "similarity": 4, "affine": 6, "homography": 8}
"""How many parameters each model has: shift (2), scale, turn, stretch (2), perspective (2)."""

STIFFNESS = np.array([0, 0, 0, 0, 1, 1, 3, 3], np.float64)
"""How little each parameter is expected to be needed."""


@dataclass(frozen=True)
class Frame:
    """A picture's coordinates, -1 to 1 along its longer side.

    Attributes:
        size: (height, width) in pixels.
    """

    size: tuple[int, int]

    @property
    def middle(self) -> Array:
        """The centre's x and y, in pixels."""
        return np.array([(self.size[1] - 1) / 2, (self.size[0] - 1) / 2])

    @property
    def reach(self) -> float:
        """Half the longer side, in pixels."""
        return max(float(self.middle.max()), 1.0)

    def design(self, points: Array, count: int) -> Array:
        """Return what displacement each parameter gives each point: (N, 2, count).

        Args:
            points: (N, 2) x and y in pixels.
            count: How many parameters, of the plainest.
        """
        x, y = ((points - self.middle) / self.reach).T
        one, none = np.ones_like(x), np.zeros_like(x)
        across = np.stack([one, none, x, -y, x, y, x * x, x * y], axis=1)
        down = np.stack([none, one, y, x, -y, x, x * y, y * y], axis=1)
        return np.stack([across, down], axis=1)[:, :, :count]

    def corners(self) -> Array:
        """Return x and y of the four corners: (4, 2)."""
        bottom, right = self.size[0] - 1.0, self.size[1] - 1.0
        return np.array([[0, 0], [right, 0], [right, bottom], [0, bottom]], np.float64)

    def matrix(self, parameters: Array) -> Matrix:
        """Return the homography that moves the corners as parameters say."""
        corners = self.corners()
        moved = corners + self.design(corners, len(parameters)) @ parameters
        made = cv2.getPerspectiveTransform(corners.astype(np.float32), moved.astype(np.float32))
        return np.asarray(made, np.float64)
