"""From two files to a pair that can be fused: read, bring to one grid, look for trouble."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import BinaryIO

import numpy as np

from lkcfuse.images.image import Image
from lkcfuse.images.reading import read_image
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.pair import Pair
from lkcfuse.pairs.resample import Matrix, resize_image, warp_image
from lkcfuse.pairs.transforms import to_matrix


def read_pair(
    first: str | os.PathLike[str] | BinaryIO,
    second: str | os.PathLike[str] | BinaryIO,
    options: PairOptions | None = None,
) -> Pair:
    """Read both images of a pair; see `read_image` for what is accepted.

    Raises:
        InputError: An image cannot be read, or the two cannot be brought together.
    """
    options = options or PairOptions()
    return prepare_pair(
        read_image(first, options.first), read_image(second, options.second), options
    )


def prepare_pair(first: Image, second: Image, options: PairOptions) -> Pair:
    """Bring two images that were read to one grid.

    Args:
        first: The first source.
        second: The second source.
        options: What to do about sizes and positions.

    Raises:
        InputError: Their sizes differ and no option says what to do about it, or they cannot be
            registered.
    """
    if not options.metadata:
        first, second = replace(first, metadata=None), replace(second, metadata=None)
    if options.resize == "first":
        second = resize_image(second, first.size)
    elif options.resize == "second":
        first = resize_image(first, second.size)
    if options.transform is not None:
        first, second = to_grid(first, second, to_matrix(options.transform), options.grid)
    return Pair(first, second)


def to_grid(first: Image, second: Image, transform: Matrix, grid: str) -> tuple[Image, Image]:
    """Resample one of two images on the other's grid.

    Args:
        first: The first image.
        second: The second image.
        transform: From the second image's pixels to the first's.
        grid: Whose grid to use: `first` or `second`.

    Returns:
        Both, of one size; what the other does not show has coverage 0.

    Raises:
        InputError: They are too large to be warped.
    """
    if grid == "first":
        return first, warp_image(second, first.size, np.linalg.inv(transform).astype(np.float64))
    return warp_image(first, second.size, transform), second
