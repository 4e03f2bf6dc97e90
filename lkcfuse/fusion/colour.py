"""Luma and chroma of tensors; `lkcfuse.images.colour` does the same to arrays, and explains it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lkcfuse.images.colour import BLUE, CB_SCALE, CR_SCALE, GREEN, RED


def luma_of(pixels: Tensor) -> Tensor:
    """Return the luma of grey or RGB pixels.

    Args:
        pixels: (N, 1, H, W) or (N, 3, H, W) in [0, 1].

    Returns:
        (N, 1, H, W); grey pixels as they are.
    """
    if pixels.shape[1] == 1:
        return pixels
    return RED * pixels[:, :1] + GREEN * pixels[:, 1:2] + BLUE * pixels[:, 2:]


def chroma_of(pixels: Tensor) -> Tensor:
    """Return Cb and Cr of RGB pixels, centred on 0: (N, 3, H, W) to (N, 2, H, W)."""
    luma = luma_of(pixels)
    return torch.cat([(pixels[:, 2:] - luma) / CB_SCALE, (pixels[:, :1] - luma) / CR_SCALE], 1)


def blended(chromas: Sequence[Tensor]) -> Tensor:
    """Return the mean of chroma planes, each weighed at a pixel by its own absolute value.

    Args:
        chromas: (N, 2, H, W) each, centred on 0; one alone stays as it is.
    """
    if len(chromas) == 1:
        return chromas[0]
    weights = sum(chroma.abs() for chroma in chromas)
    total = sum(chroma * chroma.abs() for chroma in chromas)
    assert isinstance(weights, Tensor)
    assert isinstance(total, Tensor)
    return total / torch.where(weights == 0, 1.0, weights)


def recoloured(luma: Tensor, chroma: Tensor) -> Tensor:
    """Merge luma and chroma into RGB pixels.

    Where the two ask for a colour outside the RGB cube, the chroma is scaled towards grey by the
    largest factor that brings it inside; the luma stays.

    Args:
        luma: (N, 1, H, W) in [0, 1].
        chroma: (N, 2, H, W), Cb and Cr centred on 0.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    # What each channel adds to the luma; their weighted sum is 0, so lowest <= 0 <= highest.
    red, blue = chroma[:, 1:] * CR_SCALE, chroma[:, :1] * CB_SCALE
    green = -(red * RED + blue * BLUE) / GREEN
    added = torch.cat([red, green, blue], 1)
    highest, lowest = added.amax(1, keepdim=True), added.amin(1, keepdim=True)
    tiny = torch.finfo(luma.dtype).tiny
    above = torch.where(highest > 1 - luma, (1 - luma) / highest.clamp_min(tiny), 1.0)
    below = torch.where(-lowest > luma, luma / (-lowest).clamp_min(tiny), 1.0)
    return (luma + added * torch.minimum(above, below)).clamp(0, 1)


def stretched(pixels: Tensor) -> Tensor:
    """Stretch each image so that its darkest sample becomes 0 and its brightest 1.

    Args:
        pixels: (N, C, H, W); an image whose samples are all the same stays as it is.
    """
    darkest, brightest = pixels.amin((1, 2, 3), keepdim=True), pixels.amax((1, 2, 3), keepdim=True)
    span = brightest - darkest
    flat = span == 0
    return torch.where(flat, pixels, (pixels - darkest) / torch.where(flat, 1.0, span))
