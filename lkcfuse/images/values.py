"""From the samples of a file to an `Image`: the right way up, values, no data, colour profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.images.decoded import Decoded
from lkcfuse.images.image import Image, image_from_samples
from lkcfuse.images.options import ReadOptions
from lkcfuse.images.palettes import undo_palette
from lkcfuse.images.profiles import is_rgb_profile
from lkcfuse.images.ranges import choose_limits, parse_value_range, scale
from lkcfuse.images.samples import full_scale, has_colour, is_grey
from lkcfuse.notes import CodedWarning

Raw = npt.NDArray[Any]
"""Samples of any integer or float type, in the file's own numbers."""

# A mask is clear or opaque nearly everywhere; a picture has values in between, and many of them.
_PICTURE_SHARE = 0.5
_PICTURE_LEVELS = 32


def to_image(decoded: Decoded, options: ReadOptions, name: str) -> Image:
    """Make an image of what a file holds.

    Values are brought to 0..1 by the range that was asked for, or that is found. What has no data
    (transparent, not finite, or of the value that stands for it) is told by the coverage, and is
    black.

    Args:
        decoded: What the file holds; its samples may be used up.
        options: How its user wants it read.
        name: What messages call it.

    Raises:
        InputError: Its values cannot be used as they are, or the palette's file cannot.
        UsageError: The range that was asked for is not valid, or no palette has that name.
    """
    notes: list[str] = [
        line if isinstance(line, CodedWarning) else CodedWarning("file", line)
        for line in decoded.notes
    ]
    samples = _upright(decoded.samples, decoded.orientation)
    values, alpha = _split_alpha(samples, options, name, notes)
    told = None if decoded.valid is None else _upright(decoded.valid, decoded.orientation)
    valid = _where_valid(values, alpha, told, (decoded.nodata, options.nodata))
    values, found = undo_palette(values, options.palette, name)
    notes.extend(found)
    depth = _depth(values.dtype)
    limits = choose_limits(values, valid, parse_value_range(options.value_range), name)
    if limits is not None:
        if limits.guessed is not None:
            notes.append(
                CodedWarning(
                    "flat-range",
                    f"{name} {limits.guessed}: stretched from {limits.low:g} to {limits.high:g}; "
                    "--range-first and --range-second of fuse and batch choose another range",
                )
            )
        values = scale(values, limits)
    coverage = _coverage(values.shape[:2], valid, alpha)
    if coverage is not None:
        notes.append(_no_data_warning(coverage, name, transparent=alpha is not None))
        values = _black_where_nothing(values, coverage)
    if has_colour(values) and is_grey(values):
        # A copy, so that the other channels' memory is given back.
        values = values[..., 0].copy()
    profile = decoded.icc_profile
    # A file that was CMYK or Lab has a profile of that, which tells nothing of the RGB it became.
    if profile is not None and not (has_colour(values) and is_rgb_profile(profile)):
        profile = None
    return replace(
        image_from_samples(values, name=name),
        dtype=depth,
        icc_profile=profile,
        notes=tuple(notes),
        coverage=coverage,
        metadata=decoded.metadata,
    )


def sample_data(decoded: Decoded, options: ReadOptions, name: str, count: int) -> Raw:
    """Return about so many of a file's values, those without data left out.

    Args:
        decoded: What the file holds.
        options: How its user wants it read.
        name: What messages call it.
        count: How many pixels to look at, at most; they lie in a grid.

    Returns:
        (N,), in the file's own numbers.
    """
    values, alpha = _split_alpha(decoded.samples, options, name, [])
    step = max(1, int(np.ceil(np.sqrt(values.shape[0] * values.shape[1] / count))))
    values = values[::step, ::step]
    alpha = None if alpha is None else alpha[::step, ::step]
    told = None if decoded.valid is None else decoded.valid[::step, ::step]
    valid = _where_valid(values, alpha, told, (decoded.nodata, options.nodata))
    return values.reshape(-1) if valid is None else values[valid].reshape(-1)


def _split_alpha(
    samples: Raw, options: ReadOptions, name: str, notes: list[str]
) -> tuple[Raw, Raw | None]:
    """Return the samples without their last channel, and that one if it is a mask."""
    has_alpha = samples.ndim == 3 and samples.shape[2] in (2, 4)
    if options.fourth_channel == "only":
        if not (has_alpha and samples.shape[2] == 4):
            raise InputError(
                f"{name} has no fourth channel to take for the infrared picture: leave out --split"
            )
        return samples[..., 3].copy(), None
    if not has_alpha:
        return samples, None
    values = samples[..., :-1] if samples.shape[2] == 4 else samples[..., 0]
    alpha = samples[..., -1]
    if options.fourth_channel == "drop" or alpha.min() == full_scale(alpha.dtype):
        return values, None
    if samples.shape[2] == 4 and _is_picture(alpha):
        notes.append(
            CodedWarning(
                "thermal-alpha",
                f"{name} has a fourth channel that looks like a picture, not like a mask, and is "
                "left out: if it is the infrared one, --split takes it as the first source",
            )
        )
        return values, None
    return values, alpha


def _is_picture(alpha: Raw) -> bool:
    step = max(1, int(np.sqrt(alpha.size / (1 << 18))))
    unit = alpha[::step, ::step].astype(np.float32) / full_scale(alpha.dtype)
    between = (unit > 0.02) & (unit < 0.98)
    if between.mean() < _PICTURE_SHARE:
        return False
    levels = np.bincount((unit[between] * 255).astype(np.intp), minlength=256)
    return int((levels > 0).sum()) >= _PICTURE_LEVELS


def _where_valid(
    values: Raw, alpha: Raw | None, told: Raw | None, nodata: tuple[float | None, ...]
) -> npt.NDArray[np.bool_] | None:
    """Return where there is data, (H, W); None for everywhere."""
    missing: list[Raw] = []
    if values.dtype.kind == "f":
        finite: Raw = np.isfinite(values)
        missing.append(~_in_all_channels(finite))
    for value in nodata:
        if value is not None and np.isfinite(value):
            # A file of single precision has the nearest number of that precision.
            stored = values.dtype.type(value) if values.dtype.kind == "f" else value
            missing.append(_in_all_channels(values == stored))
    if alpha is not None:
        missing.append(alpha == 0)
    if told is not None:
        missing.append(~told)
    found = [places for places in missing if places.any()]
    return ~np.logical_or.reduce(found) if found else None


def _in_all_channels(places: Raw) -> Raw:
    """Return (H, W): whether something is true in every channel of a pixel."""
    return places if places.ndim == 2 else np.logical_and.reduce(places, axis=-1)


def _coverage(
    size: tuple[int, ...], valid: npt.NDArray[np.bool_] | None, alpha: Raw | None
) -> npt.NDArray[np.uint8] | None:
    if valid is None and alpha is None:
        return None
    if alpha is None:
        coverage = np.full(size, 255, np.uint8)
    else:
        unit = np.clip(alpha / np.float32(full_scale(alpha.dtype)), 0, 1)
        coverage = np.rint(unit * 255).astype(np.uint8)
    if valid is not None:
        coverage[~valid] = 0
    return coverage


def _no_data_warning(
    coverage: npt.NDArray[np.uint8], name: str, *, transparent: bool
) -> CodedWarning:
    share = float((coverage < 255).mean())
    shown = f"{share:.1%}" if share >= 0.001 else "less than 0.1%"
    what = "is transparent" if transparent else "has no data"
    return CodedWarning(
        "no-data", f"{name} {what} in {shown} of its pixels: there the other source is taken"
    )


def _black_where_nothing(values: Raw, coverage: npt.NDArray[np.uint8]) -> Raw:
    """Return values that are 0 where there is no data: what stands there means nothing."""
    known: Raw = values.copy()
    known[coverage == 0] = 0
    return known


def _depth(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return how deep a result is that such a source gives: 8 bits, 16 bits or float."""
    if dtype.kind == "f":
        native: np.dtype[Any] = dtype.newbyteorder("=")
        return native
    return np.dtype(np.uint8 if dtype.itemsize == 1 else np.uint16)


def _upright(samples: Raw, orientation: int) -> Raw:
    """Turn and mirror rows and columns as EXIF's orientation (1 to 8) asks."""
    if orientation in (5, 6, 7, 8):
        samples = samples.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        samples = samples[:, ::-1]
    if orientation in (3, 4, 7, 8):
        samples = samples[::-1]
    return samples
