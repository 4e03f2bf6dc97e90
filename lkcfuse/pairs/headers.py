"""Whether two files can be a pair, as far as their headers tell: looked at before work begins."""

from __future__ import annotations

import numpy as np

from lkcfuse.images.image import Image
from lkcfuse.images.reading import probe_image
from lkcfuse.pairs.options import PairOptions
from lkcfuse.pairs.pair import Pair
from lkcfuse.remote import Location


def check_headers(
    first: Location, second: Location, options: PairOptions | None = None
) -> tuple[int, int]:
    """Check two files by their headers alone: that they are there, of what format and size.

    Args:
        first: File of the first image.
        second: File of the second image.
        options: How the two would be read and brought together.

    Returns:
        (height, width) in pixels of the pair.

    Raises:
        InputError: A file would be refused by `read_pair`, or the sizes differ and no option says
            what to do about it.
    """
    options = options or PairOptions()
    sizes = probe_image(first, options.first), probe_image(second, options.second)
    if options.resize is not None:
        return sizes[0] if options.resize == "first" else sizes[1]
    if options.transform is not None or options.align not in (None, "check"):
        return sizes[0] if options.grid == "first" else sizes[1]
    return Pair(_blank(sizes[0], str(first)), _blank(sizes[1], str(second))).size


def _blank(size: tuple[int, int], name: str) -> Image:
    """Return an image of a size that takes no memory."""
    samples = np.broadcast_to(np.uint8(0), size)
    return Image(samples, None, samples.dtype, name)
