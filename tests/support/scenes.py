"""Made-up scenes that two sensors see: the same shapes, of other brightness in each."""

from __future__ import annotations

import cv2
import numpy as np


def make_scene(size=(240, 320), *, seed=0, shapes=60):
    """Return an infrared and a visible picture of one scene, (H, W) uint8, registered."""
    random = np.random.default_rng(seed)
    pictures = [np.full(size, level, np.uint8) for level in (70, 120)]
    for _ in range(shapes):
        centre = random.uniform(0, 1, 2) * size[::-1]
        sides = random.uniform(0.03, 0.2, 2) * max(size)
        box = cv2.boxPoints((tuple(centre), tuple(sides), random.uniform(0, 180)))
        # What is hot need not be bright.
        for picture, level in zip(pictures, random.integers(20, 236, 2), strict=True):
            cv2.fillPoly(picture, [np.rint(box * 16).astype(np.int32)], int(level), cv2.LINE_AA, 4)
    return tuple(
        np.clip(cv2.GaussianBlur(p, (0, 0), 0.8) + random.normal(0, 3, size), 0, 255).astype(
            np.uint8
        )
        for p in pictures
    )


def warp(picture, matrix, size=None):
    """Return what a camera sees whose pixels a matrix takes to the picture's."""
    height, width = size or picture.shape
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(
        picture,
        np.asarray(matrix, float),
        (width, height),
        flags=flags,
        borderMode=cv2.BORDER_REFLECT,
    )


def about_middle(size, *, scale=1.0, degrees=0.0, shift=(0.0, 0.0)):
    """Return a similarity about a picture's middle, (3, 3)."""
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(((size[1] - 1) / 2, (size[0] - 1) / 2), degrees, scale)
    matrix[:2, 2] += shift
    return matrix
