"""The one door through which image files go out: whole or not at all."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from lkcfuse.atomic import atomic_write, check_destination, make_folders
from lkcfuse.errors import ResourceError, UsageError
from lkcfuse.images.formats import FORMATS, Format, choose_format
from lkcfuse.images.image import Image, image_to_array
from lkcfuse.images.samples import full_scale
from lkcfuse.images.writers.extras import Extras
from lkcfuse.images.writers.registry import WRITERS


def check_output(
    destination: str | os.PathLike[str] | None,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
    size: tuple[int, int] | None = None,
    make_folder: bool = False,
) -> Format:
    """Check, before any work is done, that an image can be written there.

    Args:
        destination: The file to write; None for a stream.
        format: One of `FORMATS`; None goes by the suffix, and means PNG for a stream.
        overwrite: Whether a file that exists is replaced.
        size: (height, width) of the image, where known.
        make_folder: Its folder need not exist, if it can be made.

    Returns:
        The format it would be written in.

    Raises:
        UsageError: The format is unknown or cannot hold that size, the file exists and `overwrite`
            is false, or its folder does not exist.
        ResourceError: The folder cannot be written to.
    """
    path = None if destination is None else Path(destination)
    # A folder has no suffix, most often, and that is not what is wrong with it.
    is_folder = path is not None and path.is_dir()
    chosen = FORMATS["png"] if is_folder else choose_format(path, format)
    if size is not None:
        _check_size(chosen, size)
    if path is not None:
        check_destination(
            path, overwrite=overwrite, to_be_made=path.parent if make_folder else None
        )
    return chosen


def write_image(
    image: Image,
    destination: str | os.PathLike[str] | BinaryIO,
    *,
    format: str | None = None,  # noqa: A002 - the option's name
    overwrite: bool = False,
    make_folder: bool = False,
) -> None:
    """Write an image, as deep as it is where the format can hold that.

    The luma of the written pixels is the image's luma, rounded (but for JPEG, which loses a
    little): where there is no room for the chroma, the chroma gives way.

    Args:
        image: What to write; its `dtype` says how deep.
        destination: A path, which gets the file whole or not at all; or a file open for writing
            bytes.
        format: One of `FORMATS`; None goes by the suffix, and means PNG for an open file.
        overwrite: Whether a file that exists is replaced.
        make_folder: Make the file's folder, and those above it.

    Raises:
        UsageError: As `check_output`.
        ResourceError: The file cannot be written: disk full, no permission.
    """
    if isinstance(destination, (str, os.PathLike)):
        path = Path(destination)
        chosen = check_output(
            path, format=format, overwrite=overwrite, size=image.size, make_folder=make_folder
        )
        data = _encode(image, chosen)
        if make_folder:
            make_folders(path.parent)
        with atomic_write(path, overwrite=overwrite) as file:
            file.write(data)
    else:
        chosen = check_output(None, format=format, size=image.size)
        destination.write(_encode(image, chosen))


def _check_size(chosen: Format, size: tuple[int, int]) -> None:
    if chosen.max_side is not None and max(size) > chosen.max_side:
        raise UsageError(
            f"{chosen.name} holds at most {chosen.max_side} pixels a side, and the image has "
            f"{size[1]}x{size[0]}: write png or tiff"
        )


def _encode(image: Image, chosen: Format) -> bytes | memoryview:
    """Return the file's bytes, made in memory: only then is anything written anywhere."""
    pixels = image_to_array(image, chosen.depth_for(image.dtype))
    profile = image.icc_profile if pixels.ndim == 3 else None
    if image.coverage is not None and chosen.has_alpha and image.coverage.min() == 0:
        pixels = _with_alpha(pixels, image.coverage)
    try:
        return WRITERS[chosen.name](pixels, Extras(profile, image.metadata))
    except (OSError, RuntimeError, ValueError, struct.error) as error:
        # Too large for the format's own fields, for one (a TIFF ends at 4 GiB).
        raise ResourceError(f"{image.name} cannot be encoded as {chosen.name}: {error}") from None


def _with_alpha(pixels: npt.NDArray[Any], coverage: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
    """Return pixels that are transparent where there is no data, (H, W, 2) or (H, W, 4)."""
    alpha = np.where(coverage == 0, 0, full_scale(pixels.dtype)).astype(pixels.dtype)
    return np.dstack((pixels, alpha))
