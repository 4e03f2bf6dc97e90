"""A pinhole camera.

World axes: x to the right, y up, z into the picture; metres.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .noise import Array

Window = tuple[slice, slice]
NEAR = 0.3


@dataclass(frozen=True)
class Camera:
    """A camera that looks along +z with a shifted principal point, so verticals stay vertical.

    Args:
        width: Samples in a row.
        height: Rows of samples.
        focal: Focal length in samples.
        horizon: Principal point (column, row) in samples.
        eye: Position in metres.
    """

    width: int
    height: int
    focal: float
    horizon: tuple[float, float]
    eye: tuple[float, float, float]

    def rays(self, window: Window | None = None) -> Array:
        """Return (rows, columns, 3) ray directions with z = 1 for a window of the image."""
        rows, columns = window or (slice(0, self.height), slice(0, self.width))
        x = (np.arange(columns.start, columns.stop) + 0.5 - self.horizon[0]) / self.focal
        y = (self.horizon[1] - np.arange(rows.start, rows.stop) - 0.5) / self.focal
        rays = np.ones((len(y), len(x), 3), np.float32)
        rays[..., 0] = x
        rays[..., 1] = y[:, None]
        return rays

    def project(self, points: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return (N, 3) column, row and depth of (N, 3) world points in front of the camera."""
        p = np.asarray(points, np.float64) - self.eye
        z = np.maximum(p[:, 2], 1e-3)
        column = self.horizon[0] + self.focal * p[:, 0] / z
        row = self.horizon[1] - self.focal * p[:, 1] / z
        return np.stack([column, row, p[:, 2]], axis=1)

    def window(self, low: npt.ArrayLike, high: npt.ArrayLike) -> Window:
        """Return the part of the image that the axis-aligned box `low`..`high` can cover."""
        box = np.stack([np.asarray(low, np.float64), np.asarray(high, np.float64)])
        corners = box[np.indices((2, 2, 2)).reshape(3, -1), np.arange(3)[:, None]].T
        if (corners[:, 2] - self.eye[2] < NEAR).any():
            if (corners[:, 2] - self.eye[2] < NEAR).all():
                return slice(0, 0), slice(0, 0)
            return slice(0, self.height), slice(0, self.width)
        seen = self.project(corners)[:, :2]
        left, top = np.floor(seen.min(axis=0)).astype(int) - 1
        right, bottom = np.ceil(seen.max(axis=0)).astype(int) + 1
        columns = slice(min(max(left, 0), self.width), min(max(right, 0), self.width))
        rows = slice(min(max(top, 0), self.height), min(max(bottom, 0), self.height))
        return rows, columns
