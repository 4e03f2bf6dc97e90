"""A volume on another's grid, by SimpleITK."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.itk import image_to_itk
from lkcfuse.volumes.libraries import simpleitk
from lkcfuse.volumes.volume import Volume

# Where less than this share of what a voxel is interpolated from has data, it has none.
_LEAST_DATA = 0.5

# A grid that is coarser by more than this takes a low-pass filter before samples are picked.
_ALIASING = 1.5

# The Gaussian whose width suits a grid coarser by 1: half a voxel's width, as full width at half
# maximum is 2.355 sigma.
_SIGMA = 1 / 2.355


def resample(volume: Volume, grid: Grid, transform: Any = None) -> Volume:
    """Resample a volume on another grid, linearly.

    Args:
        volume: The volume.
        grid: The grid.
        transform: A SimpleITK transform from the grid's millimetres to the volume's; None where
            they are the same.

    Returns:
        The volume on the grid, `valid` where it has data there.
    """
    sitk = simpleitk()
    transform = transform or sitk.Transform(3, sitk.sitkIdentity)
    known = np.ones(volume.grid.shape, np.float32)
    if volume.valid is not None:
        known = volume.valid.astype(np.float32)
    weight = _resample(known, volume, grid, transform)
    valid = weight > _LEAST_DATA
    values = volume.values
    if volume.is_coloured:
        planes = [
            _resample(values[..., channel] * known, volume, grid, transform) for channel in range(3)
        ]
        found = np.stack([_divide(plane, weight, valid) for plane in planes], axis=-1)
        found = np.clip(np.rint(found), 0, 255).astype(np.uint8)
    else:
        found = _divide(_resample(values * known, volume, grid, transform), weight, valid)
    return replace(volume, values=found, grid=grid, valid=None if valid.all() else valid)


def _divide(
    total: npt.NDArray[Any], weight: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float32]:
    found: npt.NDArray[np.float32] = np.zeros_like(total)
    np.divide(total, weight, out=found, where=valid)
    return found


def _resample(
    values: npt.NDArray[Any], volume: Volume, grid: Grid, transform: Any
) -> npt.NDArray[np.float32]:
    sitk = simpleitk()
    image = image_to_itk(values.astype(np.float32, copy=False), volume.grid)
    for axis, ratio in enumerate(_coarser(volume.grid, grid)):
        if ratio > _ALIASING and volume.grid.shape[2 - axis] >= 4:
            sigma = np.sqrt(ratio**2 - 1) * _SIGMA * volume.grid.spacing[axis]
            image = sitk.RecursiveGaussian(
                image, float(sigma), False, sitk.RecursiveGaussianImageFilter.ZeroOrder, axis
            )
    found: npt.NDArray[np.float32] = sitk.GetArrayFromImage(
        sitk.Resample(
            image,
            [int(size) for size in grid.shape[::-1]],
            transform,
            sitk.sitkLinear,
            grid.origin,
            grid.spacing,
            grid.direction.ravel().tolist(),
            0.0,
            sitk.sitkFloat32,
        )
    )
    return found


def _coarser(source: Grid, target: Grid) -> list[float]:
    """Return, for each axis of a grid, how many of its voxels one of another is wide."""
    ratios = []
    for axis in range(3):
        along = np.abs(target.direction.T @ source.direction[:, axis])
        nearest = int(np.argmax(along))
        ratios.append(target.spacing[nearest] / source.spacing[axis])
    return ratios
