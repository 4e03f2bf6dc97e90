"""Which values of a file become black and white.

Eight bits are taken as they are. Counts of a sensor, temperatures and other raw numbers fill a part
of their type's range; between two percentiles of what is data they become a picture.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError, UsageError

LOW_PERCENTILE, HIGH_PERCENTILE = 0.1, 99.9
"""Percentiles that `auto` stretches between: a dead pixel and a hot one move neither."""

# Percentiles of as many pixels are as good as those of all, and found in a moment.
_SAMPLES = 1 << 20

# Integers that fill less than this part of their type's range are raw counts: a camera with 10 to
# 14 bits, or one that writes temperatures, fills no more of a 16-bit file.
_FULL_SHARE = 0.25

_MAX_16_BIT = 65535

# Float sources that were resampled overshoot their range by a little.
_FLOAT_TOLERANCE = 1e-3

_NUMBER = r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?"


@dataclass(frozen=True)
class ValueRange:
    """What a user asked for.

    Attributes:
        kind: `auto`, `full`, `percentiles` or `values`.
        low: The lower percentile or value.
        high: The upper one.
    """

    kind: Literal["auto", "full", "percentiles", "values"]
    low: float = LOW_PERCENTILE
    high: float = HIGH_PERCENTILE


def parse_value_range(text: str) -> ValueRange:
    """Return the range that a text stands for.

    Args:
        text: `auto`, `full`, two percentiles `pLOW,pHIGH`, or two values `MIN,MAX` in the file's
            own numbers.

    Raises:
        UsageError: It is none of these.

    Example:
        >>> parse_value_range("p1,p99")
        ValueRange(kind='percentiles', low=1.0, high=99.0)
        >>> parse_value_range("-20,40").high
        40.0
    """
    word = text.strip().lower()
    if word == "auto":
        return ValueRange("auto")
    if word == "full":
        return ValueRange("full")
    found = re.fullmatch(rf"(p?)({_NUMBER})\s*,\s*(p?)({_NUMBER})", word)
    finite = found is not None and np.isfinite([float(found[2]), float(found[4])]).all()
    if found is None or found[1] != found[3] or not finite:
        raise UsageError(
            f"range '{text}' is neither auto, full, two percentiles such as p0.1,p99.9, nor two "
            "values such as 20,40"
        )
    low, high = float(found[2]), float(found[4])
    if not low < high:
        raise UsageError(f"range '{text}': the first number must be less than the second")
    if found[1] and not 0 <= low < high <= 100:
        raise UsageError(f"range '{text}': percentiles lie between 0 and 100")
    return ValueRange("percentiles" if found[1] else "values", low, high)


@dataclass(frozen=True)
class Limits:
    """The values that become black and white.

    Attributes:
        low: Becomes 0.
        high: Becomes 1.
        guessed: Why they were chosen, if nobody asked for them; else None.
    """

    low: float
    high: float
    guessed: str | None = None


def choose_limits(
    samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None, asked: ValueRange, name: str
) -> Limits | None:
    """Return which values become black and white.

    Args:
        samples: (H, W) or (H, W, 3), without alpha, in the file's own numbers.
        valid: (H, W): where there is data; None for everywhere.
        asked: What the user asked for.
        name: What messages call the file.

    Returns:
        The limits; None where the samples can stay as they are: 8 or 16 bits over their whole
        range, or floats between 0 and 1.

    Raises:
        InputError: There is nothing to find a range of.
    """
    kind = samples.dtype.kind
    natural = samples.dtype.type in (np.uint8, np.uint16)
    if asked.kind == "values":
        return Limits(asked.low, asked.high)
    if asked.kind == "auto" and samples.dtype.itemsize == 1:
        asked = ValueRange("full")
    if natural and asked.kind == "full":
        return None
    data = _sample(samples, valid)
    if data.size == 0:
        return None if natural else Limits(0, 1)
    if asked.kind == "percentiles":
        return Limits(*_apart(_percentiles(data, asked.low, asked.high), samples, valid))
    if kind == "f":
        # All of it, not a sample: one value beyond makes another unit likely.
        lowest, highest = _extremes(samples, valid)
        if lowest >= -_FLOAT_TOLERANCE and highest <= 1 + _FLOAT_TOLERANCE:
            return None
        if asked.kind == "full":
            raise InputError(
                f"{name} has float values from {lowest:g} to {highest:g}: scale them to 0..1, or "
                "give their range"
            )
        low, high = _apart(_percentiles(data, LOW_PERCENTILE, HIGH_PERCENTILE), samples, valid)
        return Limits(low, high, f"has float values from {lowest:g} to {highest:g}")
    info = np.iinfo(samples.dtype)
    if asked.kind == "full":
        # What other programs keep in wider types is 16-bit as a rule.
        lowest, highest = _extremes(samples, valid)
        if samples.dtype.itemsize > 1 and lowest >= 0 and highest <= _MAX_16_BIT:
            return Limits(0, _MAX_16_BIT)
        return Limits(float(info.min), float(info.max))
    low, high = _percentiles(data, LOW_PERCENTILE, HIGH_PERCENTILE)
    if high - low > _FULL_SHARE * (int(info.max) - int(info.min)):
        return None if natural else Limits(float(info.min), float(info.max))
    low, high = _apart((low, high), samples, valid)
    if natural and low == high:
        return None  # a constant source: there is nothing to stretch
    lowest, highest = _extremes(samples, valid)
    bits = samples.dtype.itemsize * 8
    return Limits(
        low,
        high,
        f"fills less than a quarter of its {bits}-bit range ({lowest:g} to {highest:g})",
    )


def scale(samples: npt.NDArray[Any], limits: Limits) -> npt.NDArray[np.float32]:
    """Return samples as float32 in [0, 1], clipped to the limits."""
    # Large integers lose their last digits in float32, where the span may be small.
    exact = samples.dtype.itemsize > 2
    unit: npt.NDArray[Any] = samples.astype(np.float64 if exact else np.float32)
    span = limits.high - limits.low
    unit -= limits.low
    unit /= span if span > 0 else 1
    np.clip(unit, 0, 1, out=unit)
    return unit.astype(np.float32, copy=False)


def _sample(samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None) -> npt.NDArray[Any]:
    height, width = samples.shape[:2]
    step = max(1, int(np.sqrt(height * width / _SAMPLES)))
    part = samples[::step, ::step]
    return part.reshape(-1) if valid is None else part[valid[::step, ::step]].reshape(-1)


def _percentiles(data: npt.NDArray[Any], low: float, high: float) -> tuple[float, float]:
    # Of values that occur: a value between two of them would be rounded in another way elsewhere.
    found = np.percentile(data, [low, high], method="nearest")
    return float(found[0]), float(found[1])


def _apart(
    limits: tuple[float, float], samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    """Return limits that differ, where any do: one hot spot on black is beyond both percentiles."""
    return limits if limits[0] < limits[1] else _extremes(samples, valid)


def _extremes(
    samples: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None
) -> tuple[float, float]:
    data = samples if valid is None else samples[valid]
    return float(data.min()), float(data.max())
