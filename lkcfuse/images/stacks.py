"""Stacks: several images in one TIFF, written one by one, so that one at a time is in memory."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lkcfuse.atomic import atomic_write, check_destination, make_folders
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.images.formats import FORMATS, choose_format
from lkcfuse.images.image import Image, image_to_array
from lkcfuse.images.samples import full_scale

# A TIFF's offsets have 32 bits; what may come near is written as BigTIFF.
_LARGEST_TIFF = 1 << 31


def check_stack_output(
    destination: str | os.PathLike[str],
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
) -> None:
    """Check, before any work is done, that a stack can be written there.

    Args:
        destination: The file to write.
        format: One of `FORMATS`; None goes by the suffix.
        overwrite: Whether a file that exists is replaced.

    Raises:
        UsageError: The format holds no stack, or the file exists and `overwrite` is false.
        ResourceError: The folder cannot be written to.
    """
    path = Path(destination)
    chosen = choose_format(path, format)
    if chosen.name != "tiff":
        raise UsageError(f"{path}: {chosen.name} holds one page: write all of them to a .tif file")
    check_destination(path, overwrite=overwrite, to_be_made=path.parent)


def write_stack(
    images: Iterable[Image],
    destination: str | os.PathLike[str],
    *,
    count: int,
    overwrite: bool = False,
) -> None:
    """Write images as the pages of one TIFF: as deep as each is, lossless, whole or not at all.

    Args:
        images: The pages, made as they are asked for.
        destination: The file to write; its folder is made if need be.
        count: How many there are.
        overwrite: Whether a file that exists is replaced.

    Raises:
        UsageError: The file exists and `overwrite` is false.
        ResourceError: It cannot be written: disk full, no permission.
    """
    import tifffile

    path = Path(destination)
    make_folders(path.parent)
    with atomic_write(path, overwrite=overwrite) as file:
        writer: tifffile.TiffWriter | None = None
        try:
            for image in images:
                pixels = _pixels(image)
                if writer is None:
                    large = pixels.nbytes * count > _LARGEST_TIFF
                    # A file without a name has a number in its place.
                    handle = tifffile.FileHandle(file, name=path.name)
                    writer = tifffile.TiffWriter(handle, bigtiff=large)
                colours = 3 if image.chroma_samples is not None else 1
                has_alpha = pixels.ndim == 3 and pixels.shape[2] > colours
                metadata = image.metadata
                resolution = None if metadata is None else metadata.resolution
                writer.write(
                    pixels,
                    photometric="rgb" if colours == 3 else "minisblack",
                    planarconfig="contig" if pixels.ndim == 3 else None,
                    extrasamples=["unassalpha"] if has_alpha else None,
                    compression="zlib",
                    iccprofile=image.icc_profile if colours == 3 else None,
                    resolution=resolution,
                    resolutionunit=None if resolution is None else "inch",
                    metadata=None,
                    software=False if metadata is None else metadata.software or False,
                    maxworkers=1,
                )
        except (OSError, ValueError, struct.error) as error:
            raise ResourceError(f"{path} cannot be written: {error}") from None
        finally:
            if writer is not None:
                writer.close()


def _pixels(image: Image) -> npt.NDArray[Any]:
    pixels = image_to_array(image, FORMATS["tiff"].depth_for(image.dtype))
    if image.coverage is None or image.coverage.min() > 0:
        return pixels
    alpha = np.where(image.coverage == 0, 0, full_scale(pixels.dtype)).astype(pixels.dtype)
    return np.dstack((pixels, alpha))
