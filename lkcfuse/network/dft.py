"""Matrices of the discrete Fourier transforms that `overlap_save` explains.

The frequencies are (k + 1/2) / size for the first half of the k; the others are their opposites.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def _angles(size: int, points: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi (k + 1/2) p / size for half the frequencies, float64."""
    product = torch.outer(2 * torch.arange(size // 2) + 1, torch.arange(points)) % (2 * size)
    angle = product.double() * (math.pi / size)
    return torch.cos(angle), torch.sin(angle)


@lru_cache(maxsize=256)
def cosines_and_sines(size: int, points: int) -> Tensor:
    """Cosines above sines: `(size, points)`."""
    return torch.cat(_angles(size, points)).float()


@lru_cache(maxsize=256)
def forward_down(size: int, points: int) -> Tensor:
    """From real pixels to a spectrum, real and imaginary parts in turn: `(size, points)`."""
    cos, sin = _angles(size, points)
    return torch.stack([cos, -sin], 1).view(-1, points).float()


@lru_cache(maxsize=256)
def inverse_along(size: int, points: int) -> Tensor:
    """From what is folded for one part of a spectrum to that part: `(points, size)`."""
    cos, sin = _angles(size, points)
    return torch.cat([cos, -sin]).T.float().contiguous()


@lru_cache(maxsize=256)
def inverse_up(size_y: int, size_x: int, points: int) -> Tensor:
    """From half a spectrum to real pixels, scaled for both axes: `(points, size_y)`."""
    cos, sin = _angles(size_y, points)
    # The frequencies left out are the conjugates of those kept.
    rows = torch.stack([cos, -sin], 1).view(-1, points)
    return (rows.T * (2 / (size_y * size_x))).float().contiguous()
