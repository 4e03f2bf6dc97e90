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
from lkcfuse.images.image import Image
from lkcfuse.pairs.resample import Matrix, resize_matrix

Maps = npt.NDArray[np.float32]
"""(H, W, orientations) float32, each pixel at most 1 long."""

Mask = npt.NDArray[np.bool_]

_ORIENTATIONS = 4
# Gradients shorter than this share of the mean are noise, and not made as long as others.
_NOISE = 0.3
_SMOOTHING = 1.0

# Shrinking by more than this needs a low-pass filter before samples are picked.
_ALIASING_SCALE = 0.75

# Luma that warping programs leave outside a picture, and how convex what is inside must be.
_BLACK = 2 / 255
_CONVEX = 0.97


@dataclass(frozen=True)
class View:
    """What is registered of a picture.

    Attributes:
        luma: (H, W) float32 in [0, 1].
        data: Where it has data, (H, W); None for everywhere.
    """

    luma: FloatArray
    data: Mask | None = None

    @classmethod
    def of(cls, image: Image, *, longest: int) -> View:
        """Return the view of an image, scaled down to so many pixels along the longer side.

        A black border of a convex picture counts as no data: its edge is none of the scene's.
        """
        luma, size = image.luma, fit_within(image.size, longest)
        data = None if image.coverage is None else image.coverage > 0
        view = cls(luma, data).scaled(size)
        inside = _inside_black(view.luma)
        if inside is None:
            return view
        return cls(view.luma, inside if view.data is None else inside & view.data)

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
        source, scale = self, math.sqrt(abs(float(np.linalg.det(matrix[:2, :2]))))
        if scale < _ALIASING_SCALE:
            small = max(8, round(self.size[0] * scale)), max(8, round(self.size[1] * scale))
            source = self.scaled(small)
            matrix = matrix @ resize_matrix(small, self.size)
        to = (size[1], size[0])
        luma = cv2.warpPerspective(source.luma, matrix, to, borderMode=cv2.BORDER_REPLICATE)
        data = np.ones(source.size, np.float32) if source.data is None else source.data
        inside = cv2.warpPerspective(data.astype(np.float32), matrix, to) > 0.99
        return View(np.asarray(luma, np.float32), np.asarray(inside, np.bool_))

    def maps(self) -> Maps:
        """Return how much gradient there is in each orientation, 0 where there is no data."""
        plane = cv2.GaussianBlur(np.sqrt(np.maximum(self.luma, 0)), (0, 0), 0.8)
        right = cv2.Scharr(plane, cv2.CV_32F, 1, 0)
        down = cv2.Scharr(plane, cv2.CV_32F, 0, 1)
        angles = np.arange(_ORIENTATIONS) * (math.pi / _ORIENTATIONS)
        maps = np.stack([np.abs(math.cos(a) * right + math.sin(a) * down) for a in angles], axis=-1)
        maps = cv2.GaussianBlur(maps, (0, 0), _SMOOTHING)
        strength = np.sqrt((maps * maps).sum(axis=-1, keepdims=True))
        maps = maps / (strength + _NOISE * strength.mean() + 1e-6)
        if self.data is not None:
            maps *= self._sure()[..., None]
        return np.asarray(maps, np.float32)

    def _sure(self) -> npt.NDArray[np.uint8]:
        """Return 1 where maps do not see the end of the data, else 0."""
        assert self.data is not None
        edge = 2 * round(2 * _SMOOTHING + 2) + 1
        kept = cv2.erode(self.data.astype(np.uint8), np.ones((edge, edge), np.uint8))
        return np.asarray(kept, np.uint8)


def strength_of_edges(view: View) -> FloatArray:
    """Return the gradient's length of a view, 0 where there is no data: (H, W) float32."""
    plane = cv2.GaussianBlur(np.sqrt(np.maximum(view.luma, 0)), (0, 0), 1.0)
    right, down = cv2.Scharr(plane, cv2.CV_32F, 1, 0), cv2.Scharr(plane, cv2.CV_32F, 0, 1)
    strength = cv2.magnitude(right, down)
    if view.data is not None:
        strength = strength * cv2.erode(view.data.astype(np.uint8), np.ones((9, 9), np.uint8))
    return np.asarray(strength, np.float32)


def fit_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Return a size scaled down so that its longer side is at most so many pixels."""
    factor = min(1.0, side / max(size))
    return max(8, round(size[0] * factor)), max(8, round(size[1] * factor))


def _inside_black(luma: FloatArray) -> Mask | None:
    """Return where a picture lies in a black border as warping leaves it; None without one."""
    dark = (luma <= _BLACK).astype(np.uint8)
    if not (dark[0].any() or dark[-1].any() or dark[:, 0].any() or dark[:, -1].any()):
        return None
    count, labels = cv2.connectedComponents(dark, connectivity=4)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, [label for label in np.unique(edge) if label])
    inside = ~outside
    share = float(inside.mean())
    if count < 2 or not 0.2 < share < 0.998:
        return None
    hull = cv2.convexHull(np.argwhere(inside)[:, ::-1].astype(np.int32))
    filled = np.zeros(luma.shape, np.uint8)
    cv2.fillConvexPoly(filled, hull, 1)
    # The dark of a night has no such outline.
    return np.asarray(inside, np.bool_) if share > _CONVEX * float(filled.mean()) else None


def _scale(plane: FloatArray, size: tuple[int, int]) -> FloatArray:
    if (plane.shape[0], plane.shape[1]) == size:
        return plane
    way = cv2.INTER_AREA if size[1] < plane.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (size[1], size[0]), interpolation=way), np.float32)
