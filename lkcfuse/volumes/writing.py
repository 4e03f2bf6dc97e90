"""The one door through which fused scans go out: whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
from lkcfuse.volumes.formats import PICTURES, choose_volume_format, volume_suffix
from lkcfuse.volumes.grid import Grid
from lkcfuse.volumes.planes import view_of


def check_volume_output(
    path: Path,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
) -> str:
    """Check, before any work is done, that a fused scan can be written there.

    Args:
        path: A file, or the folder for slices.
        format: What `--format` says; None goes by the name.
        overwrite: Whether a file that exists is replaced. A folder never is.

    Returns:
        The format, as `choose_volume_format` returns it.

    Raises:
        UsageError: The format is unknown, or the output exists.
        ResourceError: There is no permission to write there.
    """
    chosen = choose_volume_format(path, format)
    if chosen not in PICTURES:
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
    description: str = "",
) -> None:
    """Write a fused scan.

    Args:
        values: (slices, rows, columns) uint8, uint16 or float32, or with 3 channels of uint8.
        grid: Where they lie.
        path: A file (.nii.gz, .nii, .nrrd, .mha), or the folder for slices.
        format: `png` for a folder of slices; None goes by the name.
        overwrite: Whether a file that exists is replaced.
        plane: Along which plane slices are cut, for a folder.
        description: What the file says about itself, where its format has room for that.

    Raises:
        UsageError, ResourceError: As `check_volume_output`, or the disk is full.
    """
    path = Path(path)
    chosen = check_volume_output(path, format=format, overwrite=overwrite)
    make_folders(path.absolute().parent)
    if chosen in PICTURES:
        with new_folder(path) as folder:
            _write_slices(values, grid, folder, chosen, plane)
        return
    suffix = volume_suffix(path)
    with atomic_write(path, overwrite=overwrite) as file:
        if chosen == "nifti":
            from lkcfuse.volumes.nifti import write_nifti

            compressed = suffix == ".nii.gz"
            write_nifti(values, grid, file, description=description, compressed=compressed)
        else:
            from lkcfuse.volumes.itk import write_itk

            write_itk(values, grid, file, suffix=f".{chosen}")


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
