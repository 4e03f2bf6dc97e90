"""What a file's channels are and mean: alpha or a picture, premultiplied or straight, inverted."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.images.samples import full_scale, row_bands

# An alpha channel is fully transparent or opaque at most of its pixels; a slice is not.
_PICTURE_LIKE = 0.1


def is_picture(plane: npt.NDArray[Any]) -> bool:
    """Whether a plane has many values in between, as a picture has and an alpha channel has not."""
    opaque = full_scale(plane.dtype) if plane.dtype.kind in "uf" else np.iinfo(plane.dtype).max
    between = np.count_nonzero((plane > 0) & (plane < opaque))
    return bool(between > _PICTURE_LIKE * plane.size and np.unique(plane).size > 32)


def divide_by_alpha(samples: npt.NDArray[Any]) -> None:
    """Make straight alpha of premultiplied, in place: `values.py` expects that."""
    white = full_scale(samples.dtype) if samples.dtype.kind in "uf" else 1
    for rows in row_bands(*samples.shape[:2]):
        alpha = samples[rows, :, -1:].astype(np.float64) / white
        with np.errstate(divide="ignore", invalid="ignore"):
            straight = np.where(alpha > 0, samples[rows, :, :-1] / alpha, 0)
        if samples.dtype.kind != "f":
            straight = np.rint(np.clip(straight, 0, white))
        samples[rows, :, :-1] = straight


def swap_black_and_white(
    samples: npt.NDArray[Any], nodata: float | None
) -> tuple[npt.NDArray[Any], float | None]:
    """Turn samples over whose zero is white; what has no data stays so.

    Integers turn over within their type. Floats do about 0.5 if they are from 0 to 1, and about
    the middle of what they are otherwise, so that they keep their range.
    """
    turned = samples[..., 0] if samples.ndim == 3 else samples
    if samples.dtype.kind != "f":
        np.invert(turned, out=turned)
        return samples, None if nodata is None else float(~samples.dtype.type(int(nodata)))
    counts = np.isfinite(turned)
    if nodata is not None:
        counts &= turned != nodata
    values = turned[counts]
    if values.size:
        lowest, highest = float(values.min()), float(values.max())
        total = 1.0 if lowest >= 0 and highest <= 1 else lowest + highest
        turned[counts] = total - values
    return samples, nodata
