"""Volumes as SimpleITK's images and back; NRRD and MetaImage, which it reads and writes."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.libraries import simpleitk
from lkcfuse.volumes.nifti import choose_volume
from lkcfuse.volumes.volume import Volume, depth_of


def read_itk(path: Path, number: int | None) -> Volume:
    """Read a file of NRRD or MetaImage.

    Args:
        path: The file.
        number: Which volume of a 4-D file, from 1 on.

    Raises:
        InputError: It is damaged, or has several volumes and no number says which.
    """
    sitk = simpleitk()
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        sizes = reader.GetSize()
        _check_spacing(path, reader.GetSpacing()[:3])
        if len(sizes) > 3:
            found = choose_volume(path, tuple(sizes[3:]), number)
            reader.SetExtractIndex([0, 0, 0, *found])
            reader.SetExtractSize([*sizes[:3], *([0] * len(found))])
        image = reader.Execute()
    except RuntimeError as error:
        raise InputError(
            f"{path} is damaged or cut off ({_reason(error)}): copy or export it again"
        ) from None
    return volume_from_itk(image, str(path))


def volume_from_itk(image: Any, name: str) -> Volume:
    """Make a volume of a SimpleITK image of two or three dimensions.

    Raises:
        InputError: Its values are neither scalars nor RGB, or its geometry makes no sense.
    """
    sitk = simpleitk()
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    channels = image.GetNumberOfComponentsPerPixel()
    values = sitk.GetArrayFromImage(image)
    if channels == 1:
        values = values.reshape(values.shape[:3])
    elif channels != 3 or values.dtype != np.uint8:
        raise InputError(
            f"{name} has {channels} values of {values.dtype} a voxel: give scalars, or RGB of "
            "8 bits"
        )
    if values.dtype.kind == "c":
        raise InputError(f"{name} has complex values: give their magnitude")
    depth = depth_of(values.dtype)
    if values.dtype == np.float64:
        values = values.astype(np.float32)
    spacing = image.GetSpacing()
    _check_spacing(name, spacing)
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * np.array(spacing)
    affine[:3, 3] = image.GetOrigin()
    return Volume(values, Grid(values.shape[:3], affine), name, depth=depth)


def image_to_itk(values: npt.NDArray[Any], grid: Grid) -> Any:
    """Make a SimpleITK image of values on a grid; RGB becomes a vector image."""
    sitk = simpleitk()
    image = sitk.GetImageFromArray(np.ascontiguousarray(values), isVector=values.ndim == 4)
    image.SetSpacing(grid.spacing)
    image.SetOrigin(grid.origin)
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def write_itk(values: npt.NDArray[Any], grid: Grid, file: BinaryIO, *, suffix: str) -> None:
    """Write NRRD or MetaImage.

    Args:
        values: (slices, rows, columns) scalars, or with 3 channels behind.
        grid: Where they lie.
        file: Open for writing bytes.
        suffix: `.nrrd` or `.mha`.
    """
    sitk = simpleitk()
    # SimpleITK writes to names alone.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"volume{suffix}")
        try:
            sitk.WriteImage(image_to_itk(values, grid), str(path), useCompression=True)
        except RuntimeError as error:
            raise OSError(_reason(error)) from None
        with path.open("rb") as written:
            shutil.copyfileobj(written, file)


def _check_spacing(name: object, spacing: Any) -> None:
    if not all(np.isfinite(step) and step > 0 for step in spacing):
        shown = "x".join(f"{step:g}" for step in spacing)
        raise InputError(
            f"{name} has a spacing of {shown} mm, so it is not known where its voxels lie: export "
            "it again"
        )


def _reason(error: RuntimeError) -> str:
    """Return the last line of what ITK says, which tells most."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("ITK ERROR: ") if lines else type(error).__name__
