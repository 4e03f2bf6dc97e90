"""NIfTI files to volumes and back, by nibabel."""

from __future__ import annotations

import gzip
import math
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.errors import InputError
from lkcfuse.notes import CodedWarning
from lkcfuse.volumes.grid import Grid, grid_from_ras
from lkcfuse.volumes.libraries import nibabel
from lkcfuse.volumes.volume import Volume, depth_of

_COLOURS = ("R", "G", "B")

# What zlib's algorithm can make of a byte, at most.
_DEFLATE_RATIO = 1032


def read_nifti(path: Path, number: int | None) -> Volume:
    """Read a NIfTI file.

    Args:
        path: The file; compressed by gzip or not.
        number: Which volume of a 4-D file, from 1 on.

    Raises:
        InputError: It is damaged, has several volumes and no number says which, or no geometry.
    """
    nib = nibabel()
    _check_header(nib, path)
    try:
        image = nib.load(path)
        shape = tuple(int(size) for size in image.shape)
        index = choose_volume(path, shape[3:], number)
        data = image.dataobj
        values = data[(slice(None),) * 3 + index] if index else np.asanyarray(data)
        stored = image.get_data_dtype()
        affine = image.affine
        coded = bool(int(image.header["sform_code"]) or int(image.header["qform_code"]))
    except InputError:
        raise
    except Exception as error:
        # gzip, zlib and nibabel each have their own errors for a file that ends early.
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{path} is damaged or cut off ({reason}): copy or download it again"
        ) from None
    values = values.reshape((*shape, 1, 1)[:3])
    if values.dtype.names is not None:
        if values.dtype.names[:3] != _COLOURS:
            raise InputError(f"{path} has values of type {values.dtype}: give scalars or RGB")
        values = np.stack([values[channel] for channel in _COLOURS], axis=-1)
        stored = np.dtype(np.uint8)
    if values.dtype.kind == "c":
        raise InputError(f"{path} has complex values: give their magnitude")
    if values.dtype.kind == "f" and values.dtype != np.float32:
        values = values.astype(np.float32)
    values = values.transpose(2, 1, 0, *range(3, values.ndim))
    grid = grid_from_ras(values.shape[:3], affine)
    notes: tuple[str, ...] = ()
    if not coded:
        notes = (
            CodedWarning(
                "file",
                f"{path} does not say where it lies in the patient (both its qform and its sform "
                "are unknown): its axes are taken as they are",
            ),
        )
    return Volume(values, grid, str(path), depth=depth_of(np.dtype(stored)), notes=notes)


def choose_volume(name: object, sizes: tuple[int, ...], number: int | None) -> tuple[int, ...]:
    """Return the indices of a volume among several.

    Args:
        name: What messages call the file.
        sizes: The sizes of the dimensions behind the third.
        number: Which one, from 1 on; None if nobody said.

    Raises:
        InputError: There are several and nobody said which, or there is no such.
    """
    count = math.prod(sizes)
    if number is None and count > 1:
        raise InputError(
            f"{name} has {count} volumes: choose one by --volume N, or average them first"
        )
    if number is not None and not 1 <= number <= count:
        raise InputError(f"{name} has {count} volumes, and --volume {number} is none of them")
    return tuple(int(index) for index in np.unravel_index((number or 1) - 1, sizes))


def write_nifti(
    values: npt.NDArray[Any], grid: Grid, file: BinaryIO, *, description: str, compressed: bool
) -> None:
    """Write a NIfTI file.

    Args:
        values: (slices, rows, columns) scalars, or with 3 channels of uint8 behind: RGB.
        grid: Where they lie.
        file: Open for writing bytes.
        description: At most 79 characters.
        compressed: By gzip.
    """
    nib = nibabel()
    if values.ndim == 4:
        packed = np.empty(values.shape[:3], [(channel, "u1") for channel in _COLOURS])
        for index, channel in enumerate(_COLOURS):
            packed[channel] = values[..., index]
        values = packed
    image = nib.Nifti1Image(values.transpose(2, 1, 0), grid.ras_affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode("ascii", "replace")[:79]
    image.set_sform(grid.ras_affine, code=1)
    if not grid.is_sheared:
        image.set_qform(grid.ras_affine, code=1)
    if compressed:
        # Neither a name nor a time goes into the file: the same sources give the same bytes.
        with gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=6, mtime=0) as whole:
            image.to_stream(whole)
    else:
        image.to_stream(file)


def _check_header(nib: Any, path: Path) -> None:
    """Refuse sizes and spacings that nibabel would quietly put right."""
    try:
        with path.open("rb") as raw:
            compressed = raw.read(2) == b"\x1f\x8b"
        with (gzip.open if compressed else open)(path, "rb") as file:
            head = file.read(540)
        kind = nib.Nifti2Header if head[4:8] == b"n+2\x00" else nib.Nifti1Header
        header = kind(head[: kind.template_dtype.itemsize], check=False)
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is damaged or cut off ({reason}): copy it again") from None
    dimensions = int(header["dim"][0])
    sizes = [int(size) for size in header["dim"][1 : max(dimensions, 0) + 1]]
    if not 2 <= dimensions <= 7 or min(sizes) < 1:
        raise InputError(f"{path} has no voxels: the sizes in its header are {sizes}")
    # Before room is made for what a damaged header promises.
    promised = math.prod(sizes) * int(header["bitpix"]) // 8
    held = path.stat().st_size * (_DEFLATE_RATIO if compressed else 1)
    if promised > held:
        raise InputError(
            f"{path} is damaged or cut off (its header promises {promised} bytes of voxels): copy "
            "or download it again"
        )
    steps = [float(step) for step in header["pixdim"][1 : min(dimensions, 3) + 1]]
    affine = header.get_sform() if int(header["sform_code"]) else None
    flat = affine is not None and abs(np.linalg.det(affine[:3, :3])) < 1e-12
    if flat or not all(np.isfinite(step) and step for step in steps):
        raise InputError(
            f"{path} has a spacing of {'x'.join(f'{abs(step):g}' for step in steps)} mm, so it is "
            "not known where its voxels lie: export it again"
        )
