"""Frames in any order to a stack with a geometry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.volumes.dicom.frames import Frame
from lkcfuse.volumes.grid import Grid

# Positions are rounded by some writers; more than this share of the usual step is a gap.
_STEP_TOLERANCE = 0.05
_SAME_ORIENTATION = 1e-3
_SAME_PLACE = 1e-3


def stack_frames(
    frames: Sequence[Frame], size: tuple[int, int], name: str, number: int | None
) -> tuple[list[Frame], Grid]:
    """Sort frames along their normal.

    Args:
        frames: The frames of a series.
        size: Their rows and columns.
        name: What messages call the series.
        number: Which to take of several frames at each place, from 1 on; None if nobody said.

    Returns:
        The frames of one volume, and its grid.

    Raises:
        InputError: They are not parallel, not evenly spaced, or several at each place.
    """
    first = frames[0]
    if any(frame.position is None for frame in frames):
        if number is not None:
            raise InputError(f"{name} does not say where its slices lie: leave out --volume")
        spacing = first.spacing or (1.0, 1.0)
        steps = [spacing[1], spacing[0], first.thickness or 1.0, 1.0]
        ordered = sorted(frames, key=lambda frame: frame.order)
        return ordered, Grid((len(frames), *size), np.diag(steps), positioned=False)
    for frame in frames:
        turned = np.abs(np.r_[frame.rows - first.rows, frame.columns - first.columns]).max()
        if turned > _SAME_ORIENTATION or frame.spacing != first.spacing:
            raise InputError(
                f"{name} has slices of several orientations or pixel sizes: it mixes series, or "
                "has a localiser in it; take those out"
            )
    if first.spacing is None:
        raise InputError(f"{name} does not say how large its pixels are: export it again")
    ordered = _one_volume(list(frames), name, number)
    step = _step(ordered, name)
    affine = np.eye(4)
    affine[:3, 0] = first.rows * first.spacing[1]
    affine[:3, 1] = first.columns * first.spacing[0]
    affine[:3, 2] = step
    affine[:3, 3] = ordered[0].position
    return ordered, Grid((len(ordered), *size), affine)


def _along(frame: Frame, normal: np.ndarray) -> float:
    assert frame.position is not None
    return float(frame.position @ normal)


def _one_volume(frames: list[Frame], name: str, number: int | None) -> list[Frame]:
    """Return one frame for each place."""
    normal = frames[0].normal
    places: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda each: (_along(each, normal), each.order)):
        if places and _along(frame, normal) - _along(places[-1][0], normal) < _SAME_PLACE:
            places[-1].append(frame)
        else:
            places.append([frame])
    counts = {len(place) for place in places}
    several = max(counts)
    if len(counts) > 1:
        raise InputError(
            f"{name} has {several} slices at one place and {min(counts)} at another: it mixes "
            "series, or slices are missing"
        )
    if several > 1 and number is None:
        raise InputError(
            f"{name} has {several} slices at each place (several times, echoes or weightings): "
            "choose by --volume N"
        )
    if number is not None and number > several:
        raise InputError(f"{name} has {several} volumes, and --volume {number} is none of them")
    chosen = (number or 1) - 1
    return [sorted(place, key=lambda each: each.order)[chosen] for place in places]


def _step(frames: list[Frame], name: str) -> np.ndarray:
    """Return the way from one slice to the next in millimetres."""
    first, normal = frames[0], frames[0].normal
    if len(frames) == 1:
        return normal * (first.thickness or 1.0)
    heights = np.array([_along(frame, normal) for frame in frames])
    steps = np.diff(heights)
    usual = float(np.median(steps))
    wrong = np.flatnonzero(np.abs(steps - usual) > _STEP_TOLERANCE * usual + 0.01)
    if wrong.size:
        place = int(wrong[0])
        ratio = steps[place] / usual
        gap = f"between slice {place + 1} and slice {place + 2} of {len(frames)}"
        if ratio > 1.5:
            missing = round(ratio) - 1
            raise InputError(
                f"{name} misses {missing} slice{'s' if missing > 1 else ''} {gap} "
                f"({steps[place]:.4g} mm instead of {usual:.4g}): export the whole series"
            )
        raise InputError(
            f"{name} is not evenly spaced: {steps[place]:.4g} mm {gap} and {usual:.4g} elsewhere; "
            "resample it first"
        )
    start, end = frames[0].position, frames[-1].position
    assert start is not None
    assert end is not None
    way: np.ndarray = (end - start) / (len(frames) - 1)
    return way
