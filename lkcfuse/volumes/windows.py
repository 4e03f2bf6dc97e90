"""Which values of a scan become black and white: one window for the whole volume."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError, UsageError
from lkcfuse.volumes.volume import Volume

CT_WINDOWS: dict[str, tuple[float, float]] = {
    "brain": (40, 80),
    "bone": (480, 2500),
    "soft": (40, 400),
    "lung": (-600, 1500),
}
"""Centre and width in Hounsfield units of the windows that radiologists use."""

_EXPECTED = "auto, brain, bone, soft, lung, a centre and a width (40,80) or MIN..MAX (0..80)"

# No tissue is as light; what has such values is a CT, and they are the air around the head.
_AIR = -500

# What is brighter than this share of the brightest is taken for the head, not for noise around it.
_HEAD_SHARE = 0.1
_WHITE_PERCENTILE = 99.5
_SAMPLES = 1 << 20

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})", re.IGNORECASE)
_CENTRE = re.compile(rf"({_NUMBER}),({_NUMBER})", re.IGNORECASE)


def parse_window(text: str) -> str | tuple[float, float]:
    """Return `auto`, the name of a CT window, or the lowest and highest value.

    Raises:
        UsageError: It is none of these.

    Example:
        >>> parse_window("40,80"), parse_window("-100..300"), parse_window("Brain")
        ((0.0, 80.0), (-100.0, 300.0), 'brain')
    """
    word = text.strip().lower()
    if word == "auto" or word in CT_WINDOWS:
        return word
    if match := _RANGE.fullmatch(word):
        low, high = map(float, match.groups())
        if low >= high:
            raise UsageError(f"the window {text} is empty: the first value must be the lower one")
    elif match := _CENTRE.fullmatch(word):
        centre, width = map(float, match.groups())
        if width <= 0:
            raise UsageError(f"the window {text} is empty: its width must be above 0")
        low, high = centre - width / 2, centre + width / 2
    else:
        raise UsageError(f"{text} is not a window: give {_EXPECTED}")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise UsageError(f"{text} is not a window: give {_EXPECTED}")
    return low, high


def find_window(volume: Volume, text: str) -> tuple[tuple[float, float], str]:
    """Return the values of a scalar volume that become black and white, and where they are from.

    Args:
        volume: The volume.
        text: As `parse_window` takes it. `auto` is DICOM's own window; the brain's for a CT that
            has none; else from the background to the value below which lie 99.5 % of the head.

    Raises:
        UsageError: The text makes no sense, or is a CT's window and the volume is of another kind.
        InputError: The volume has one value everywhere.
    """
    asked = parse_window(text)
    if not isinstance(asked, str):
        return asked, "as asked for"
    if asked != "auto":
        if volume.modality not in ("", "CT"):
            raise UsageError(
                f"{volume.name} is {volume.modality}, and {asked} is a window of CT: give auto, "
                "a centre and a width, or MIN..MAX"
            )
        return _limits(*CT_WINDOWS[asked]), f"the {asked} window"
    if volume.window is not None:
        return volume.window, "its own window"
    values = _sample(volume)
    low, high = float(values.min()), float(values.max())
    if volume.modality == "CT" or (not volume.modality and low <= _AIR):
        return _limits(*CT_WINDOWS["brain"]), "the brain window, since it is CT"
    if low == high:
        raise InputError(f"{volume.name} has the value {low:g} everywhere: nothing to fuse")
    top = float(np.percentile(values, _WHITE_PERCENTILE))
    level = low + _HEAD_SHARE * ((top if top > low else high) - low)
    head, background = values[values > level], values[values <= level]
    white = float(np.percentile(head, _WHITE_PERCENTILE))
    black = float(np.median(background)) if background.size else low
    return (black, white), f"from the background to {_WHITE_PERCENTILE:g} % of the head"


def apply_window(
    values: npt.NDArray[Any], limits: tuple[float, float], *, inverted: bool = False
) -> npt.NDArray[np.float32]:
    """Return values between 0 and 1.

    Args:
        values: Scalars of any shape.
        limits: What becomes 0 and what becomes 1.
        inverted: The other way round.
    """
    low, high = limits
    unit = values.astype(np.float32)
    unit -= np.float32(low)
    unit *= np.float32(1 / (high - low))
    np.clip(unit, 0, 1, out=unit)
    if inverted:
        np.subtract(1, unit, out=unit)
    return unit


def _limits(centre: float, width: float) -> tuple[float, float]:
    return centre - width / 2, centre + width / 2


def _sample(volume: Volume) -> npt.NDArray[Any]:
    """Return about a million of the values that mean something."""
    step = max(1, int((volume.values.size / _SAMPLES) ** (1 / 3)))
    values = volume.values[::step, ::step, ::step]
    if volume.valid is None:
        return values.ravel()
    known = values[volume.valid[::step, ::step, ::step]]
    return known if known.size else volume.values[volume.valid]
