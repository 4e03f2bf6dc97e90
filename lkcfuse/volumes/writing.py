"""The one door through which fused scans go out: whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.atomic import (
    atomic_write,
    check_destination,
    make_folders,
    may_write_to,
    temporary_name,
)
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.images import image_from_array, write_image
from lkcfuse.volumes.description import Description
from lkcfuse.volumes.formats import (
    PICTURE,
    check_picture,
    choose_volume_format,
    makes_folder,
    volume_suffix,
)
from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.planes import view_of
from lkcfuse.volumes.volume import Volume


def check_volume_output(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
    of_dicom: bool = False,
) -> str:
    """Check, before any work is done, that a fused scan can be written there.

    Args:
        path: A file, or the folder for slices or a series.
        format: What `--format` says; None goes by the name.
        overwrite: Whether a file that exists is replaced. A folder never is.
        of_dicom: The first source is DICOM.

    Returns:
        The format, as `choose_volume_format` returns it.

    Raises:
        UsageError: The format is unknown, or the output exists.
        ResourceError: There is no permission to write there.
    """
    chosen = choose_volume_format(path, format, of_dicom=of_dicom)
    if not makes_folder(path, chosen):
        check_destination(path, overwrite=overwrite, to_be_made=path.parent)
        return chosen
    if os.path.lexists(path) and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError(f"{path} exists and is not an empty folder: name another one")
    parent = next((place for place in path.absolute().parents if place.exists()), None)
    if parent is None or not parent.is_dir():
        raise UsageError(f"{path} cannot be made: {parent} is a file, not a folder")
    if not may_write_to(parent):
        raise ResourceError(f"{path} cannot be made: no permission to write to {parent}")
    return chosen


def write_volume(
    values: npt.NDArray[Any],
    grid: Grid,
    path: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
    plane: str = "axial",
    description: Description | None = None,
    sources: Sequence[Volume] = (),
    anonymize: bool = False,
) -> None:
    """Write a fused scan.

    Args:
        values: (slices, rows, columns) uint8, uint16 or float32, or with 3 channels of uint8.
        grid: Where they lie.
        path: A file (.nii.gz, .nii, .nrrd, .mha, .dcm, or a picture where there is one slice), or
            the folder for slices or a series.
        format: `png` for a folder of slices, `dicom` for one of a series; None goes by the name,
            and means `dicom` for a folder if the first source is DICOM.
        overwrite: Whether a file that exists is replaced.
        plane: Along which plane slices are cut, for a folder.
        description: What the file says about itself, where its format has room for that.
        sources: What it was made of; DICOM names them.
        anonymize: Leave out of DICOM what tells whose scan it is.

    Raises:
        UsageError, ResourceError: As `check_volume_output`, or the disk is full.
    """
    path = Path(path)
    of_dicom = bool(sources and sources[0].headers)
    chosen = check_volume_output(path, format=format, overwrite=overwrite, of_dicom=of_dicom)
    description = description or Description()
    if chosen == PICTURE:
        slices = view_of(grid, plane).cut(values)
        check_picture(path, len(slices))
        image = image_from_array(np.ascontiguousarray(slices[0]), name="the fused slice")
        write_image(image, path, format=format, overwrite=overwrite, make_folder=True)
        return
    make_folders(path.absolute().parent)

    def write(file: BinaryIO) -> None:
        if chosen == "nifti":
            from lkcfuse.volumes.nifti import write_nifti

            packed = volume_suffix(path) == ".nii.gz"
            write_nifti(values, grid, file, description=description.short, compressed=packed)
        elif chosen == "dicom":
            from lkcfuse.volumes.dicom.derived import write_derived

            write_derived(values, grid, sources, file, description=description, anonymize=anonymize)
        else:
            from lkcfuse.volumes.itk import write_itk

            write_itk(values, grid, file, suffix=f".{chosen}")

    if not makes_folder(path, chosen):
        with atomic_write(path, overwrite=overwrite) as file:
            write(file)
        return
    with new_folder(path) as folder:
        if chosen == "dicom":
            with (folder / "fused.dcm").open("xb") as file:
                write(file)
        else:
            _write_slices(values, grid, folder, chosen, plane)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder that takes its place only when the block ends well.

    Args:
        path: The folder; it does not exist, or is empty.

    Yields:
        The folder to write to, under a temporary name beside it.

    Raises:
        UsageError: Somebody made the folder meanwhile.
        ResourceError: It cannot be written.
    """
    temporary = path.absolute().parent / temporary_name(path.name, secrets.token_hex(6))
    try:
        temporary.mkdir()
        yield temporary
        try:
            if path.is_dir():
                path.rmdir()
            temporary.rename(path)
        except OSError:
            if os.path.lexists(path):
                raise UsageError(f"{path} was made meanwhile: name another folder") from None
            raise
    except OSError as error:
        raise ResourceError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _write_slices(
    values: npt.NDArray[Any], grid: Grid, folder: Path, name: str, plane: str
) -> None:
    slices = view_of(grid, plane).cut(values)
    digits = max(3, len(str(len(slices))))
    for number, pixels in enumerate(slices, 1):
        image = image_from_array(np.ascontiguousarray(pixels), name=f"slice {number}")
        write_image(image, folder / f"{plane}-{number:0{digits}}.{name}")
