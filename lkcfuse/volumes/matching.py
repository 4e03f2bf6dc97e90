"""Two scans brought to one grid, or refused where they cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.notes import Note
from lkcfuse.volumes.options import VolumeOptions
from lkcfuse.volumes.registration import KINDS, Registration
from lkcfuse.volumes.volume import Volume

Notify = Callable[[str], None]


def match_volumes(
    first: Volume, second: Volume, options: VolumeOptions, notify: Notify
) -> tuple[Volume, Volume, Registration | None]:
    """Bring two scans to one grid.

    Args:
        first: The first source.
        second: The second source.
        options: Whose grid, and what is not to be refused.
        notify: Told, a line each, what is done.

    Returns:
        Both on one grid, and how they were registered if that was asked for. What a scan does not
        cover has no data. Scans that are on one grid already are returned as they are.

    Raises:
        InputError: They are of two patients, their coordinates cannot be compared, or they do not
            overlap.
    """
    if not first.patient.may_be(second.patient) and not options.force_patient:
        raise InputError(
            f"{first.name} and {second.name} are of two patients, by their identifiers or dates "
            "of birth: if that is wrong, or wanted, --force-patient"
        )
    _check_frames(first, second, options)
    if options.align in KINDS:
        return _registered(first, second, options, notify)
    if first.grid.is_same(second.grid):
        return first, replace(second, grid=first.grid), None
    if not (first.grid.positioned and second.grid.positioned):
        blind = first if not first.grid.positioned else second
        if first.grid.shape != second.grid.shape:
            raise InputError(
                f"{blind.name} does not say where it lies in the patient, and the scans have "
                f"{first.grid.describe()} and {second.grid.describe()}: export both with their "
                "positions"
            )
        placed = second if first is blind else first
        notify(
            f"{blind.name} does not say where it lies in the patient: it is taken to lie where "
            f"{placed.name} does"
        )
        return replace(first, grid=placed.grid), replace(second, grid=placed.grid), None
    fixed, moving = _order(first, second, options)
    from lkcfuse.volumes.resampling import resample

    moved = resample(moving, fixed.grid)
    notify(
        Note(
            f"{moving.name} ({moving.grid.describe()}) is resampled onto the grid of {fixed.name} "
            f"({fixed.grid.describe()})"
        )
    )
    if moved.valid is not None and not moved.valid.any():
        raise InputError(
            f"{first.name} and {second.name} do not overlap in the patient: they are not of one "
            "part of the body, or not registered"
        )
    return (moved, fixed, None) if fixed is second else (fixed, moved, None)


def _order(first: Volume, second: Volume, options: VolumeOptions) -> tuple[Volume, Volume]:
    """Return the scan whose grid is kept, and the other one."""
    keep_second = options.grid == "second" or (
        options.grid == "finest" and _voxel(second) < _voxel(first)
    )
    return (second, first) if keep_second else (first, second)


def _registered(
    first: Volume, second: Volume, options: VolumeOptions, notify: Notify
) -> tuple[Volume, Volume, Registration]:
    from lkcfuse.volumes.registration import register
    from lkcfuse.volumes.resampling import resample

    for volume in (first, second):
        if not volume.grid.positioned:
            raise InputError(
                f"{volume.name} does not say how its slices lie to each other, so it cannot be "
                "registered: leave out --align"
            )
    fixed, moving = _order(first, second, options)
    found = register(fixed, moving, str(options.align))
    centre = fixed.grid.corners().mean(axis=0)
    before = "no overlap" if found.before is None else f"{found.before:.3f}"
    notify(
        Note(
            f"{moving.name} is registered to {fixed.name} ({found.kind}: {found.rotation:.2f} "
            f"degrees, {found.shift(centre):.2f} mm at the centre): mutual information {before} "
            f"before, {found.after:.3f} after; look at the result"
        )
    )
    if found.before is not None and found.after <= found.before:
        notify(
            f"{moving.name}: the registration gained nothing; compare with --align off, which "
            "takes the coordinates as they are"
        )
    moved = resample(moving, fixed.grid, found.transform)
    if moved.valid is not None and not moved.valid.any():
        raise InputError(
            f"{first.name} and {second.name} do not overlap after registration: they are not of "
            "one part of the body"
        )
    return (moved, fixed, found) if fixed is second else (fixed, moved, found)


def _check_frames(first: Volume, second: Volume, options: VolumeOptions) -> None:
    frames = first.frame_of_reference, second.frame_of_reference
    if options.align is None and all(frames) and frames[0] != frames[1]:
        raise InputError(
            f"{first.name} and {second.name} have two frames of reference, so their coordinates "
            "cannot be compared: --align rigid registers them; --align off takes them as they are, "
            "where that was done before"
        )


def _voxel(volume: Volume) -> float:
    return float(abs(np.linalg.det(volume.grid.affine[:3, :3])))
