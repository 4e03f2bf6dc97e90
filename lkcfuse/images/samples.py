"""Samples as files hold them, and their values between 0 and 1, a band of rows at a time.

The float copies of a whole photograph would need several times its own memory, and would not fit
in a cache; whatever converts samples goes through `row_bands`.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from lkcfuse.images.colour import FloatArray

_BAND_PIXELS = 1 << 18

Samples = npt.NDArray[np.generic]
"""(H, W) grey or (H, W, 3) RGB: uint8 or uint16 over their whole range, or a float type in
[0, 1]."""


def row_bands(height: int, width: int) -> Iterator[slice]:
    """Yield slices of rows that cover an image from top to bottom.

    Example:
        >>> [(rows.start, rows.stop) for rows in row_bands(50, 10_000)]
        [(0, 26), (26, 50)]
    """
    step = max(1, _BAND_PIXELS // width)
    for top in range(0, height, step):
        yield slice(top, min(top + step, height))


def full_scale(dtype: np.dtype[np.generic]) -> int:
    """Return the sample that stands for white: 255, 65535, or 1 for a float type."""
    return 1 if dtype.kind == "f" else 256**dtype.itemsize - 1


def to_unit(samples: Samples) -> FloatArray:
    """Return samples as values between 0 and 1.

    Args:
        samples: Some rows of an image, or all.

    Returns:
        Of the same shape, float32 in [0, 1], in C order.
    """
    unit: FloatArray
    if samples.dtype.kind == "f":
        unit = np.clip(samples, 0, 1).astype(np.float32, order="C", copy=False)
    else:
        unit = samples.astype(np.float32, order="C")
        unit /= np.float32(full_scale(samples.dtype))
    return unit


def has_colour(samples: Samples) -> bool:
    """Whether there are three channels of colour, equal or not."""
    return samples.ndim == 3


def is_grey(samples: Samples) -> bool:
    """Whether RGB samples have equal channels everywhere."""
    for rows in row_bands(*samples.shape[:2]):
        band = samples[rows]
        red = band[..., 0]
        if not (np.array_equal(red, band[..., 1]) and np.array_equal(red, band[..., 2])):
            return False
    return True


def swap_red_and_blue(samples: Samples) -> None:
    """Swap the first and third channels in place: OpenCV wants and gives blue first."""
    for rows in row_bands(*samples.shape[:2]):
        red = samples[rows, :, 0].copy()
        samples[rows, :, 0] = samples[rows, :, 2]
        samples[rows, :, 2] = red
