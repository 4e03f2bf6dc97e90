"""Padding to sizes that a network with several resolutions takes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad


def pad_to_multiple(pair: Tensor, multiple: int) -> Tensor:
    """Pad `(N, C, H, W)` at the bottom and the right until H and W are multiples of `multiple`.

    Reflects about the last row and column; repeats them where an image is too small to reflect.
    """
    height, width = pair.shape[2:]
    if torch.compiler.is_compiling():
        return _reflected(pair, multiple)
    down, right = -height % multiple, -width % multiple
    if right:
        pair = pad(pair, (0, right, 0, 0), mode="reflect" if right < width else "replicate")
    if down:
        pair = pad(pair, (0, 0, 0, down), mode="reflect" if down < height else "replicate")
    return pair


def mirrored(pair: Tensor, multiple: int, margin: int) -> Tensor:
    """Mirror `(N, C, H, W)` about its border pixels, as often as an image needs that is small.

    Args:
        pair: The images, of any size.
        multiple: Height and width become multiples of it, at the bottom and the right.
        margin: Pixels to add on each side beyond that, itself a multiple.
    """
    for axis in (2, 3):
        size = pair.shape[axis]
        cells = (size + multiple - 1) // multiple
        places = torch.arange(-margin, multiple * cells + margin, device=pair.device)
        period = 2 * size - 2
        if not torch.compiler.is_compiling():
            period = max(period, 1)
        places = places % period
        pair = pair.index_select(axis, torch.minimum(places, period - places))
    return pair


def cropped(values: Tensor, height: int, width: int) -> Tensor:
    """Return the part of `(N, C, H, W)` that padding to a multiple was added to."""
    if not torch.compiler.is_compiling():
        return values[:, :, :height, :width]
    # A slice would have to know whether it is shorter than what it is taken of.
    for axis, size in ((2, height), (3, width)):
        values = values.index_select(axis, torch.arange(size, device=values.device))
    return values


def _reflected(pair: Tensor, multiple: int) -> Tensor:
    """Pad by reflection without asking for the size, as an exported program of any size has to."""
    for axis in (2, 3):
        size = pair.shape[axis]
        # A product, so that who traces it sees that it is a multiple.
        cells = (size + multiple - 1) // multiple
        places = torch.arange(multiple * cells, device=pair.device)
        pair = pair.index_select(axis, (size - 1) - (size - 1 - places).abs())
    return pair
