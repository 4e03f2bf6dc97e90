"""Matrices of the discrete Fourier transforms that `overlap_save` explains.

The frequencies are (k + 1/2) / size for the first half of the k; the others are their opposites.
Places are counted from the middle of the points: there cosines are the same on both sides, and
sines are the same but for their sign.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache(maxsize=256)
def _angles(size: int, points: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of 2 pi (k + 1/2) place / size for half the frequencies, float64."""
    twice_places = 2 * torch.arange(points) - (points - 1)
    product = torch.outer(2 * torch.arange(size // 2) + 1, twice_places) % (4 * size)
    angle = product.double() * (math.pi / (2 * size))
    return torch.cos(angle), torch.sin(angle)


@lru_cache(maxsize=256)
def cosines_and_sines(size: int, points: int) -> Tensor:
    """Cosines above sines: `(size, points)`."""
    return torch.cat(_angles(size, points)).float()


@lru_cache(maxsize=256)
def forward_down(size: int, points: int) -> tuple[Tensor, Tensor]:
    """From folded pixels to a spectrum: `(size / 2, points / 2)` each.

    The real part is made of the sums of the first half of the points and the second one, backwards;
    the imaginary part of their differences.
    """
    cos, sin = _angles(size, points)
    half = points // 2
    return cos[:, :half].float().contiguous(), -sin[:, :half].float().contiguous()


@lru_cache(maxsize=256)
def inverse_along(size: int, points: int) -> Tensor:
    """From what is folded for one part of a spectrum to that part: `(points, size)`."""
    cos, sin = _angles(size, points)
    return torch.cat([cos, -sin]).T.float().contiguous()


@lru_cache(maxsize=256)
def inverse_up(size_y: int, size_x: int, points: int) -> tuple[Tensor, Tensor]:
    """From the parts of half a spectrum to pixels, scaled for both axes: `(half, size_y / 2)` each.

    What the two give is added for the first half of the points, and subtracted for the second one,
    backwards. An odd number of points has its middle in the first half.
    """
    cos, sin = _angles(size_y, points)
    # The frequencies left out are the conjugates of those kept.
    scale, half = 2 / (size_y * size_x), (points + 1) // 2
    real, imag = (scale * part.T[:half] for part in (cos, -sin))
    return real.float().contiguous(), imag.float().contiguous()
