"""Luma and chroma of tensors; `lkcfuse.images.colour` does the same to arrays, and explains it."""

from __future__ import annotations

import torch
from torch import Tensor

from lkcfuse.images.colour import BLUE, GREEN, RED


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


def recoloured(luma: Tensor, coloured: Tensor) -> Tensor:
    """Return RGB pixels with one luma and another picture's chroma.

    Where the two ask for a colour outside the RGB cube, the chroma is scaled towards grey by the
    largest factor that brings it inside; the luma stays.

    Args:
        luma: (N, 1, H, W) in [0, 1].
        coloured: (N, 3, H, W) in [0, 1], whose chroma is taken.

    Returns:
        (N, 3, H, W) in [0, 1].
    """
    own = luma_of(coloured)
    # What each channel adds to the luma; their weighted sum is 0, so lowest <= 0 <= highest.
    red, blue = coloured[:, :1] - own, coloured[:, 2:] - own
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
