"""Fused images that are weighted means of their sources: exposures and focal planes.

Of focal planes the same weights go to every channel: luma and chroma are linear in RGB, so that
the fused luma is the network's. Of exposures they go to luma alone, and colour is taken from where
there is some: one exposure is black or white where the other has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lkcfuse.images import Image, blend_colours
from lkcfuse.images.colour import FloatArray
from lkcfuse.images.samples import row_bands, to_unit
from lkcfuse.pairs.coverage import without_gaps

SMALLEST = 1e-6
"""What a source counts where nobody else has data, if the network gives it nothing."""


def mix(
    sources: Sequence[Image],
    shares: Sequence[FloatArray],
    *,
    colours_too: bool,
    invert_first: bool = False,
) -> Image:
    """Return the weighted mean of images.

    Args:
        sources: Of one size.
        shares: The weight of each at each pixel, (H, W), of a sum of 1. Where a source has no data
            its weight is shared out among the others.
        colours_too: Weigh colours as luma; else each source's count by how far they are from grey.
        invert_first: Make the first source's black white and its white black.

    Returns:
        The mean, in colour if a source is, with the colour profile that all of them have.
    """
    size = sources[0].size
    coloured = colours_too and any(image.chroma_samples is not None for image in sources)
    pixels = np.zeros((*size, 3) if coloured else size, np.float32)
    gaps = any(image.coverage is not None for image in sources)
    known = np.zeros(size, np.float32) if gaps else None
    for number, (image, share) in enumerate(zip(sources, shares, strict=True)):
        colour = image.chroma_samples if coloured else None
        for rows in row_bands(*size):
            weight = share[rows]
            if known is not None:
                weight = np.maximum(weight, np.float32(SMALLEST))
                if image.coverage is not None:
                    weight = weight * (image.coverage[rows] / np.float32(255))
                known[rows] += weight
            if colour is not None:
                unit = to_unit(colour[rows])
            else:
                unit = replace(image, luma_samples=image.luma_samples[rows]).luma
            if invert_first and number == 0:
                unit = 1 - unit
            if coloured:
                unit = unit if unit.ndim == 3 else unit[..., None]
                weight = weight[..., None]
            pixels[rows] += weight * unit
    if known is not None:
        total = np.where(known > 0, known, 1)
        pixels /= total[..., None] if coloured else total
    profiles = {image.icc_profile for image in sources}
    mean = Image(
        luma_samples=pixels,
        chroma_samples=pixels if coloured else None,
        dtype=np.result_type(*(image.dtype for image in sources)),
        name="the fused image",
        icc_profile=profiles.pop() if len(profiles) == 1 else None,
        coverage=_joined(sources),
        metadata=sources[0].metadata,
    )
    return mean if coloured else blend_colours(mean, [_known_colours(image) for image in sources])


def _known_colours(image: Image) -> Image:
    """Return an image with no colour where it has no data."""
    if image.chroma_samples is None:
        return image
    return replace(image, chroma_samples=without_gaps(image.chroma_samples, image.coverage))


def _joined(sources: Sequence[Image]) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]] | None:
    """Return where any source has data; None for everywhere."""
    found = [image.coverage for image in sources if image.coverage is not None]
    if len(found) < len(sources):
        return None
    joined = np.max(found, axis=0).astype(np.uint8)
    return None if joined.min() > 0 else joined
