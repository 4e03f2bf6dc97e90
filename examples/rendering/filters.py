"""Blurring and resizing of float pictures (OpenCV)."""

from __future__ import annotations

import cv2
import numpy as np

from .noise import Array


def blur(picture: Array, sigma: float, sigma_y: float | None = None) -> Array:
    """Return a Gaussian blur of (H, W) or (H, W, C) with `sigma` in pixels."""
    across = np.asarray(picture, np.float32)
    down = sigma if sigma_y is None else sigma_y
    return np.asarray(cv2.GaussianBlur(across, (0, 0), sigmaX=sigma, sigmaY=down), np.float32)


def shrink(picture: Array, width: int, height: int) -> Array:
    """Return a picture at a smaller size, each pixel the mean of what it covers."""
    fine = np.asarray(picture, np.float32)
    return np.asarray(cv2.resize(fine, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def enlarge(picture: Array, width: int, height: int, smooth: bool = False) -> Array:
    """Return a picture at a larger size, linear or (`smooth`) cubic between samples."""
    how = cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR
    coarse = np.asarray(picture, np.float32)
    return np.asarray(cv2.resize(coarse, (width, height), interpolation=how), np.float32)
