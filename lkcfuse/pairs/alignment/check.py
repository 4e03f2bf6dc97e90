"""A quick look at whether two pictures of one size are off by some pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np

from lkcfuse.images.image import Image
from lkcfuse.notes import CodedWarning
from lkcfuse.pairs.alignment.descriptors import View
from lkcfuse.pairs.alignment.fit import FEWEST
from lkcfuse.pairs.alignment.tiles import correlate

# Longer side of what is compared, how far in its pixels, and what of it is suspected: a shift of so
# many pixels, where tiles gain by so many of their standard errors.
_LONGEST = 320
_RADIUS = 12
_LEAST_SHIFT = 2.0
_LEAST_GAIN = 5.0

_SMOOTHING = 1.0


def suspect_shift(first: Image, second: Image) -> tuple[float, float] | None:
    """Return the shift in pixels, right and down, that two pictures of one size seem to be off by.

    Only a shift that fits clearly better than none counts; a rotation or a scale is not looked for.

    Args:
        first: The first image.
        second: The second image, of the same size.
    """
    one, other = (View.of(image, longest=_LONGEST) for image in (first, second))
    data = np.ones(one.size, np.bool_)
    for view in (one, other):
        if view.data is not None:
            data &= view.data
    surfaces = correlate(one.maps(), other.maps(), data, _RADIUS)
    if len(surfaces) < FEWEST:
        return None
    smooth = np.stack([cv2.GaussianBlur(each, (0, 0), _SMOOTHING) for each in surfaces.scores])
    total = smooth.sum(axis=0)
    row, column = np.unravel_index(int(total.argmax()), total.shape)
    right, down = int(column) - _RADIUS, int(row) - _RADIUS
    if math.hypot(right, down) < _LEAST_SHIFT or max(abs(right), abs(down)) == _RADIUS:
        return None
    gains = smooth[:, row, column] - smooth[:, _RADIUS, _RADIUS]
    error = float(gains.std()) / math.sqrt(len(gains)) + 1e-9
    if float(gains.mean()) / error < _LEAST_GAIN:
        return None
    scale = max(first.size) / max(one.size)
    return right * scale, down * scale


def shift_warnings(first: Image, second: Image) -> tuple[CodedWarning, ...]:
    """Return a warning where two pictures of one size seem to be off by some pixels."""
    shift = suspect_shift(first, second)
    if shift is None:
        return ()
    right, down = shift
    return (
        CodedWarning(
            "misaligned",
            f"{second.name} seems to be off from {first.name} by about "
            f"{math.hypot(right, down):.0f} pixels ({right:+.0f} to the right, {down:+.0f} down): "
            "if so, --align shift or --align affine registers it",
        ),
    )
