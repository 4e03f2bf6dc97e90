from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest


@pytest.fixture(scope="session")
def heat():
    """(240, 320) uint8: what an infrared camera might see, soft and with a few hot things."""
    random = np.random.default_rng(7)
    rows, columns = np.mgrid[:240, :320]
    ground = cv2.GaussianBlur(random.normal(0, 1, (240, 320)), (0, 0), 12)
    scene = 90 + 220 * ground + 50 * np.sin(columns / 60) - rows / 8
    for top, left, warmth in ((60, 40, 110), (150, 200, 90), (110, 130, -60)):
        scene += warmth * np.exp(-((rows - top) ** 2 + (columns - left) ** 2) / 900)
    scene += random.normal(0, 1.5, scene.shape)
    return np.rint(np.clip(scene, 0, 255)).astype(np.uint8)


@pytest.fixture(scope="session")
def photograph():
    """(240, 320, 3) uint8: colours of every hue, bright and dark, as a visible camera's."""
    random = np.random.default_rng(8)
    planes = [cv2.GaussianBlur(random.normal(0, 1, (240, 320)), (0, 0), 9) for _ in range(3)]
    mixed = np.stack(planes, axis=-1) @ np.array([[1, 0.5, 0.4], [0.5, 1, 0.5], [0.4, 0.5, 1]])
    return np.rint(np.clip(110 + 900 * mixed, 0, 255)).astype(np.uint8)


def _as_jpeg(rgb, quality=90):
    file = io.BytesIO()
    PIL.Image.fromarray(rgb).save(file, "JPEG", quality=quality)
    return np.array(PIL.Image.open(file))


def _colour(heat, palette):
    return np.rint(palette.colours[heat]).astype(np.uint8)


@pytest.fixture(scope="session")
def as_jpeg():
    """Write and read a picture as a JPEG file, with chroma at half the size."""
    return _as_jpeg


@pytest.fixture(scope="session")
def colour():
    """Colour heat by a palette."""
    return _colour
