"""One image as the metrics see it, with what several metrics need of it computed once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from functools import cached_property
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from lkcfuse.errors import InputError

FloatArray = NDArray[np.float64]
T = TypeVar("T")

#: Pixels that are worked on at a time: intermediate arrays of this size stay in the processor's
#: cache and cost no memory that grows with the image.
STRIP = 1 << 15

#: Below this variance, in squared grey levels, an image counts as constant: rounding in the
#: mean of a constant image must not pass for a signal.
CONSTANT = 1e-18


class Plane:
    """A luma plane in grey levels, and the statistics that more than one metric asks for.

    The statistics are computed at first use and kept, for all the metrics that a plane is handed
    to and all the methods that a source is compared with.

    Args:
        pixels: Array of shape (H, W), H and W at least 1, any real type, in grey levels 0..255.
        name: What to call it in messages.

    Raises:
        InputError: Not two-dimensional, empty, or not finite everywhere.
    """

    def __init__(self, pixels: ArrayLike, name: str = "image") -> None:
        array = np.asarray(pixels)
        if array.ndim != 2 or array.size == 0:
            raise InputError(
                f"{name} has shape {array.shape}: metrics take one luma plane of shape (H, W)"
            )
        if array.dtype.kind not in "buif":
            raise InputError(f"{name} holds {array.dtype}: metrics take real grey levels 0..255")
        self.pixels: FloatArray = np.ascontiguousarray(array, dtype=np.float64)
        self.name = name
        if not np.isfinite(self.pixels).all():
            raise InputError(f"{name} holds values that are not finite: repair or mask them first")
        self._kept: dict[Hashable, Any] = {}

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        height, width = self.pixels.shape
        return height, width

    @cached_property
    def levels(self) -> NDArray[np.uint8]:
        """Pixels rounded to whole levels (half to even), clipped to 0..255."""
        return np.clip(np.rint(self.pixels), 0, 255).astype(np.uint8)

    @cached_property
    def histogram(self) -> NDArray[np.int64]:
        """Number of pixels on each of the 256 levels."""
        return np.bincount(self.levels.ravel(), minlength=256)

    @cached_property
    def entropy(self) -> float:
        """Entropy of the 256-bin histogram, in nats."""
        return entropy(self.histogram)

    @cached_property
    def mean(self) -> float:
        """Mean over all pixels, in grey levels."""
        return float(self.pixels.mean())

    @cached_property
    def variance(self) -> float:
        """Population variance, in squared grey levels."""
        energy = 0.0
        for rows in strips(*self.shape):
            centred = self.pixels[rows] - self.mean
            energy += inner(centred, centred)
        return energy / self.pixels.size

    def kept(self, key: Hashable, compute: Callable[[], T]) -> T:
        """Return what `compute` returns, computed once and kept with this plane under the key."""
        if key not in self._kept:
            self._kept[key] = compute()
        result: T = self._kept[key]
        return result


def inner(first: FloatArray, second: FloatArray) -> float:
    """Sum of products of two arrays of one shape, on one thread whatever BLAS is installed."""
    return float(np.einsum("ij,ij->", first, second))


def entropy(counts: NDArray[Any]) -> float:
    """Entropy in nats of the distribution that the counts stand for."""
    filled = counts[counts > 0].astype(np.float64)
    if filled.size == 1:
        return 0.0  # exactly, so that what is undefined for a constant image is seen to be
    total = filled.sum()
    return float(np.log(total) - (filled * np.log(filled)).sum() / total)


def planes(fused: ArrayLike | Plane, *sources: ArrayLike | Plane) -> tuple[Plane, ...]:
    """Return the fused image and its sources as planes of one size; planes stay as they are.

    Raises:
        InputError: An image is unfit for `Plane`, or the sizes differ.
    """
    names: tuple[str, ...] = ("the fused image", "the reference")
    if len(sources) == 2:
        names = ("the fused image", "the first source", "the second source")
    result = tuple(
        image if isinstance(image, Plane) else Plane(image, name)
        for image, name in zip((fused, *sources), names, strict=False)
    )
    for other in result[1:]:
        if other.shape != result[0].shape:
            raise InputError(
                f"{other.name} is {_size(other)} but {result[0].name} is {_size(result[0])}: "
                "metrics compare images of one size, so register or resize first"
            )
    return result


def _size(plane: Plane) -> str:
    height, width = plane.shape
    return f"{width}x{height}"


def strips(height: int, width: int, *, pixels: int = STRIP, least: int = 64) -> Iterator[slice]:
    """Cut rows into runs of about so many pixels, each beginning on a multiple of `least`.

    Args:
        height: Number of rows.
        width: Pixels in a row.
        pixels: How many to aim at.
        least: Rows in a run at least; enough of them keep the halos that filters add small.
    """
    step = max(least, pixels // width // least * least)
    for start in range(0, height, step):
        yield slice(start, min(start + step, height))


def window_filter(pixels: FloatArray, kernel: FloatArray) -> FloatArray:
    """Filter rows and columns with one symmetric kernel, and keep what needed no border.

    Args:
        pixels: Array of shape (H, W), at least as large as the kernel both ways.
        kernel: Symmetric weights, odd length K.

    Returns:
        Array of shape (H - K + 1, W - K + 1).
    """
    margin = kernel.size // 2
    filtered = np.asarray(cv2.sepFilter2D(pixels, cv2.CV_64F, kernel, kernel), np.float64)
    height, width = pixels.shape
    return filtered[margin : height - margin, margin : width - margin]


def gaussian(size: int, sigma: float) -> FloatArray:
    """Gaussian weights over an odd number of pixels, summing to 1."""
    positions = np.arange(size) - size // 2
    weights = np.exp(-np.square(positions) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(), np.float64)
