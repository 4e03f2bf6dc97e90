"""Images on another grid: scaled to its size, or warped onto it by a known transform."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.colour import FloatArray
from lkcfuse.images.image import Image
from lkcfuse.images.samples import Samples

Matrix = npt.NDArray[np.float64]
"""(3, 3): from homogeneous pixel coordinates (x, y, 1), centres at whole numbers, to others."""

_Planes = npt.NDArray[Any]
_Resampling = Callable[[_Planes], _Planes]

# OpenCV keeps the coordinates of a warp in 16 bits.
_LARGEST_WARP = (1 << 15) - 2

# Shrinking by more than this needs a low-pass filter before samples are picked.
_ALIASING_SCALE = 0.75

# Less than this much of a pixel's weight from data, and it has no data itself.
_LEAST_DATA = 0.5


def resize_image(image: Image, size: tuple[int, int]) -> Image:
    """Scale an image that shows the same field of view as another onto its grid.

    Pixels are averaged over their area along an axis that shrinks, and interpolated with Lanczos'
    kernel along one that grows.

    Args:
        image: The image.
        size: (height, width) in pixels to scale it to.

    Returns:
        The image in its own sample type; what is not covered does not bleed into what is.
    """
    if image.size == size:
        return image
    scaled = _resample(image, lambda planes: _resize(planes, size))
    if image.metadata is None:
        return scaled
    down, across = size[0] / image.size[0], size[1] / image.size[1]
    return replace(scaled, metadata=image.metadata.scaled(down, across))


def warp_image(image: Image, size: tuple[int, int], to_source: Matrix) -> Image:
    """Resample an image on another grid.

    Args:
        image: The image.
        size: (height, width) in pixels of the result.
        to_source: From the result's pixels to the image's.

    Returns:
        The image in its own sample type, with coverage 0 where the grid lies beyond it.

    Raises:
        InputError: The image or the result is too large to be warped.
    """
    if max(*size, *image.size) > _LARGEST_WARP:
        raise InputError(
            f"{image.name} has {image.size[1]}x{image.size[0]} pixels: at most {_LARGEST_WARP} a "
            "side can be aligned, so scale it down first"
        )
    scale = _source_scale(to_source, size)
    small = image.size
    if scale * _ALIASING_SCALE > 1:
        small = (max(1, round(small[0] / scale)), max(1, round(small[1] / scale)))
    matrix = resize_matrix(image.size, small) @ to_source
    # A border of the outermost pixels keeps the kernel from seeing black; coverage says where the
    # image ends.
    flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
    width_height = (size[1], size[0])

    def warp(planes: _Planes) -> _Planes:
        if small != image.size:
            planes = _resize(planes, small)
        warped: _Planes = cv2.warpPerspective(
            planes, matrix, width_height, flags=flags, borderMode=cv2.BORDER_REPLICATE
        )
        return warped

    warped = _resample(image, warp)
    inside = _inside(image.size, size, to_source)
    coverage = inside if warped.coverage is None else np.minimum(inside, warped.coverage)
    metadata = None if image.metadata is None else image.metadata.warped()
    return replace(warped, coverage=coverage if coverage.min() < 255 else None, metadata=metadata)


def resize_matrix(size: tuple[int, int], other: tuple[int, int]) -> Matrix:
    """Return the transform from pixels of a grid to those of another with the same field of view.

    Args:
        size: (height, width) of the first grid.
        other: Likewise of the second.
    """
    down, right = other[0] / size[0], other[1] / size[1]
    return np.array([[right, 0, (right - 1) / 2], [0, down, (down - 1) / 2], [0, 0, 1]])


def _source_scale(to_source: Matrix, size: tuple[int, int]) -> float:
    """Return how many pixels of the source one in the middle of the result is wide."""
    height, width = size
    x, y = (width - 1) / 2, (height - 1) / 2
    points = to_source @ np.array([[x, x + 1, x], [y, y, y + 1], [1, 1, 1]])
    points = points[:2] / points[2:]
    return math.sqrt(abs(np.linalg.det(points[:, 1:] - points[:, :1])))


def _inside(source: tuple[int, int], size: tuple[int, int], to_source: Matrix) -> npt.NDArray[Any]:
    """Return 255 where a grid's pixels lie on the source, else 0: (H, W) uint8."""
    height, width = source
    columns = np.arange(size[1], dtype=np.float64)
    inside = np.zeros(size, np.uint8)
    for row in range(size[0]):
        x, y, w = (line[0] * columns + line[1] * row + line[2] for line in to_source)
        ahead = w > 0
        w = np.where(ahead, w, 1)
        x, y = x / w, y / w
        inside[row] = ahead & (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)
    inside *= 255
    return inside


def _resize(planes: _Planes, size: tuple[int, int]) -> _Planes:
    shrunk = (min(size[1], planes.shape[1]), min(size[0], planes.shape[0]))
    if shrunk != (planes.shape[1], planes.shape[0]):
        planes = cv2.resize(planes, shrunk, interpolation=cv2.INTER_AREA)
    if shrunk != (size[1], size[0]):
        planes = cv2.resize(planes, (size[1], size[0]), interpolation=cv2.INTER_LANCZOS4)
    return planes


def _resample(image: Image, resampling: _Resampling) -> Image:
    """Resample an image's samples and coverage."""
    weight: FloatArray | None = None
    if image.coverage is not None:
        weight = image.coverage.astype(np.float32) / np.float32(255)
    luma = _resample_samples(image.luma_samples, resampling, weight)
    chroma = image.chroma_samples
    if chroma is not None:
        same = chroma is image.luma_samples
        chroma = luma if same else _resample_samples(chroma, resampling, weight)
    coverage = None
    if weight is not None:
        share = np.clip(resampling(weight), 0, 1)
        coverage = np.where(share < _LEAST_DATA, 0, np.rint(share * 255)).astype(np.uint8)
    return replace(image, luma_samples=luma, chroma_samples=chroma, coverage=coverage)


def _resample_samples(
    samples: Samples, resampling: _Resampling, weight: FloatArray | None
) -> Samples:
    native = samples.dtype.newbyteorder("=")
    exact = native if native in (np.uint8, np.uint16) and weight is None else np.dtype(np.float32)
    planes = np.ascontiguousarray(samples, dtype=exact)
    if weight is None:
        found = resampling(planes)
    else:
        # Only data counts: each sample by its weight, and the sum over the weights' sum.
        total = resampling(weight)
        if planes.ndim == 3:
            found = resampling(planes * weight[..., None])
            total = total[..., None]
        else:
            found = resampling(planes * weight)
        found = np.divide(found, total, out=np.zeros_like(found), where=total > _LEAST_DATA / 2)
    if exact == native and native.kind == "u":
        return found
    # Lanczos' kernel overshoots; OpenCV clips integers, and nobody floats.
    top = np.iinfo(native).max if native.kind == "u" else 1.0
    found = np.clip(found, 0, top)
    return (np.rint(found) if native.kind == "u" else found).astype(native)
