"""The one door through which scans come in."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from lkcfuse.errors import InputError
from lkcfuse.volumes.grid import grid_from_ras
from lkcfuse.volumes.recognise import file_kind
from lkcfuse.volumes.volume import Volume, depth_of


def read_volume(
    path: str | os.PathLike[str],
    *,
    series: str | None = None,
    number: int | None = None,
    nodata: float | None = None,
) -> Volume:
    """Read a scan.

    NIfTI, NRRD and MetaImage by their file; DICOM by a file of one or several frames, or by the
    folder of a series, in files of any name and order.

    Args:
        path: The file or folder.
        series: Which series of a folder of several: a number of the list in the message, a UID, or
            a part of the description.
        number: Which volume of several (4-D), from 1 on.
        nodata: A value that stands for no data, besides what the file says.

    Raises:
        InputError: It is missing, damaged, or cannot be made one volume.
        UsageError: A library that this takes is not installed.
    """
    place = Path(path)
    if not place.exists():
        raise InputError(f"{place} does not exist: check the path")
    kind = "dicom" if place.is_dir() else file_kind(place)
    if kind == "nifti":
        from lkcfuse.volumes.nifti import read_nifti

        volume = read_nifti(place, number)
    elif kind == "itk":
        from lkcfuse.volumes.itk import read_itk

        volume = read_itk(place, number)
    elif kind == "dicom":
        from lkcfuse.volumes.dicom.reading import read_dicom

        volume = read_dicom(place, series, number)
    else:
        raise InputError(
            f"{place} is not a scan of a kind that is read: give NIfTI, NRRD, MetaImage, a DICOM "
            "file, or the folder of a series"
        )
    return _with_gaps(volume, nodata)


def as_volume(source: Any, name: str, **options: Any) -> Volume:
    """Make a volume of whatever Python holds it in.

    Args:
        source: A `Volume`; a path; a SimpleITK or nibabel image; or an array and its affine, both
            as nibabel has them: (columns, rows, slices) or with 3 channels of uint8 behind, and
            (4, 4) to millimetres to the right, the front and the head.
        name: What messages call it.
        options: As `read_volume` takes them.

    Raises:
        InputError: It is none of these.
    """
    if isinstance(source, Volume):
        return source
    if isinstance(source, (str, os.PathLike)):
        return read_volume(source, **options)
    nodata = options.get("nodata")
    if hasattr(source, "GetDirection"):
        from lkcfuse.volumes.itk import volume_from_itk

        return _with_gaps(volume_from_itk(source, name), nodata)
    if hasattr(source, "dataobj"):
        source = (np.asanyarray(source.dataobj), source.affine)
    if not isinstance(source, tuple) or len(source) != 2:
        raise InputError(
            f"{name} is not a volume: give a path, a SimpleITK or nibabel image, or an array and "
            "its affine"
        )
    values, affine = np.asarray(source[0]), np.asarray(source[1], np.float64)
    coloured = values.ndim == 4 and values.shape[3] == 3 and values.dtype == np.uint8
    if affine.shape != (4, 4) or not (values.ndim == 3 or coloured) or 0 in values.shape:
        raise InputError(
            f"{name} has values of shape {values.shape} and an affine of {affine.shape}: give "
            "(columns, rows, slices), or RGB of 8 bits behind, and (4, 4)"
        )
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        raise InputError(f"{name} has an affine that maps its voxels to no volume")
    depth = depth_of(values.dtype)
    if values.dtype == np.float64:
        values = values.astype(np.float32)
    values = values.transpose(2, 1, 0, *range(3, values.ndim))
    return _with_gaps(
        Volume(values, grid_from_ras(values.shape[:3], affine), name, depth=depth), nodata
    )


def _with_gaps(volume: Volume, nodata: float | None) -> Volume:
    """Take out what stands for no data, and what is no number."""
    values, valid = volume.values, volume.valid
    missing = np.zeros(values.shape[:3], np.bool_)
    if values.dtype.kind == "f":
        missing |= ~np.isfinite(values)
    if nodata is not None and not volume.is_coloured:
        missing |= values == (np.float32(nodata) if values.dtype.kind == "f" else nodata)
    if valid is not None:
        missing |= ~valid
    if not missing.any():
        return replace(volume, valid=None)
    if missing.all():
        raise InputError(f"{volume.name} has no data at all")
    values = np.where(missing.reshape(missing.shape + (1,) * (values.ndim - 3)), 0, values)
    return replace(volume, values=values.astype(volume.values.dtype), valid=~missing)
