"""What heat and light have in common: edges in the same places, of any sign and strength.

A picture becomes maps of how much gradient there is in each of several orientations, without its
sign, smoothed, and normalised pixel by pixel: channel features of orientated gradients (CFOG: Ye et
al., "Fast and Robust Matching for Multimodal Remote Sensing Image Registration", IEEE TGRS 2019).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray
from lkcfuse.pairs.resample import Matrix, resize_matrix

Maps = npt.NDArray[np.float32]
"""(H, W, orientations) float32."""

Mask = npt.NDArray[np.bool_]

_ORIENTATIONS = 4
_ANTIALIASED = 0.75


@dataclass(frozen=True)
class View:
    """What is registered of a picture.

    Attributes:
        luma: (H, W) float32 in [0, 1].
        data: Where it has data, (H, W); None for everywhere.
    """

    luma: FloatArray
    data: Mask | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.luma.shape[0], self.luma.shape[1]

    def scaled(self, size: tuple[int, int]) -> View:
        """Return the view with another number of pixels."""
        data = self.data
        if data is not None:
            data = _scale(data.astype(np.float32), size) > 0.99
        return View(_scale(self.luma, size), data)

    def warped(self, matrix: Matrix, size: tuple[int, int]) -> View:
        """Return the view on another grid.

        Args:
            matrix: From the view's pixels to the grid's.
            size: (height, width) of the grid.
        """
        source, scale = self, math.sqrt(abs(np.linalg.det(matrix[:2, :2])))
        if scale < _ANTIALIASED:
            small = max(8, round(self.size[0] * scale)), max(8, round(self.size[1] * scale))
            source = self.scaled(small)
            matrix = matrix @ resize_matrix(small, self.size)
        to = (size[1], size[0])
        luma = cv2.warpPerspective(source.luma, matrix, to, borderMode=cv2.BORDER_REPLICATE)
        data = np.ones(source.size, np.float32) if source.data is None else source.data
        inside = cv2.warpPerspective(data.astype(np.float32), matrix, to) > 0.99
        return View(np.asarray(luma, np.float32), np.asarray(inside, np.bool_))

    def maps(self, blur: float = 1.0) -> Maps:
        """Return how much gradient there is in each orientation, 0 where there is no data.

        Args:
            blur: Standard deviation in pixels of what the maps are smoothed by.
        """
        plane = cv2.GaussianBlur(np.sqrt(np.maximum(self.luma, 0)), (0, 0), 0.8)
        right = cv2.Scharr(plane, cv2.CV_32F, 1, 0)
        down = cv2.Scharr(plane, cv2.CV_32F, 0, 1)
        angles = np.arange(_ORIENTATIONS) * (math.pi / _ORIENTATIONS)
        maps = np.stack([np.abs(math.cos(a) * right + math.sin(a) * down) for a in angles], axis=-1)
        maps = cv2.GaussianBlur(maps, (0, 0), blur)
        strength = np.sqrt((maps * maps).sum(axis=-1, keepdims=True))
        # Where there is hardly any, it is noise.
        maps = maps / (strength + 0.5 * strength.mean() + 1e-6)
        if self.data is not None and not self.data.all():
            edge = 2 * round(2 * blur + 2) + 1
            kept = cv2.erode(self.data.astype(np.uint8), np.ones((edge, edge), np.uint8))
            maps *= kept[..., None]
        return np.asarray(maps, np.float32)


def _scale(plane: FloatArray, size: tuple[int, int]) -> FloatArray:
    if (plane.shape[0], plane.shape[1]) == size:
        return plane
    way = cv2.INTER_AREA if size[1] < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=way), np.float32)


def fit_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return a size scaled down so that its longer side is at most so many pixels."""
    factor = min(1.0, side / max(size))
    return max(8, round(size[0] * factor)), max(8, round(size[1] * factor))
