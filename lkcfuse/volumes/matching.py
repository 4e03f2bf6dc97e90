"""Two scans brought to one grid, or refused where they cannot be compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.notes import Note
from lkcfuse.volumes.options import VolumeOptions
from lkcfuse.volumes.volume import Volume

Notify = Callable[[str], None]


def match_volumes(
    first: Volume, second: Volume, options: VolumeOptions, notify: Notify
) -> tuple[Volume, Volume]:
    """Bring two scans to one grid.

    Args:
        first: The first source.
        second: The second source.
        options: Whose grid, and what is not to be refused.
        notify: Told, a line each, what is done.

    Returns:
        Both on one grid; what a scan does not cover has no data. Scans that are on one grid
        already are returned as they are.

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
    if first.grid.is_same(second.grid):
        return first, replace(second, grid=first.grid)
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
        return replace(first, grid=placed.grid), replace(second, grid=placed.grid)
    keep_second = options.grid == "second" or (
        options.grid == "finest" and _voxel(second) < _voxel(first)
    )
    fixed, moving = (second, first) if keep_second else (first, second)
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
    return (moved, fixed) if keep_second else (fixed, moved)


def _check_frames(first: Volume, second: Volume, options: VolumeOptions) -> None:
    frames = first.frame_of_reference, second.frame_of_reference
    if options.align is None and all(frames) and frames[0] != frames[1]:
        raise InputError(
            f"{first.name} and {second.name} have two frames of reference, so their coordinates "
            "cannot be compared: --align off takes them as they are, where the scans were "
            "registered before"
        )


def _voxel(volume: Volume) -> float:
    return float(abs(np.linalg.det(volume.grid.affine[:3, :3])))
