"""Small separable filters, written as matrix products.

A loss filters eight images of one channel with windows of up to 17 taps. As a convolution of one
channel that is slow on a CPU (nothing to share between channels); as a product with a banded
matrix, cached by size, it runs at the speed of a matrix product and so does its gradient.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional


def gaussian_taps(size: int, sigma: float) -> tuple[float, ...]:
    """Return the `size` taps of a Gaussian of deviation `sigma` (pixels), summing to one."""
    centre = (size - 1) / 2
    taps = [2.718281828459045 ** (-((i - centre) ** 2) / (2 * sigma**2)) for i in range(size)]
    total = sum(taps)
    return tuple(tap / total for tap in taps)


def uniform_taps(size: int) -> tuple[float, ...]:
    """Return `size` equal taps summing to one."""
    return (1 / size,) * size


@lru_cache(maxsize=256)
def _band(length: int, taps: tuple[float, ...], step: int, device: torch.device) -> Tensor:
    """Return the (length, outputs) matrix that filters a row without padding, every `step`-th."""
    starts = range(0, length - len(taps) + 1, step)
    band = torch.zeros(length, len(starts), dtype=torch.float32)
    for column, start in enumerate(starts):
        band[start : start + len(taps), column] = torch.tensor(taps)
    return band.to(device)


def valid_filter(images: Tensor, taps: tuple[float, ...], *, step: int = 1) -> Tensor:
    """Filter rows and columns with the same symmetric taps, without padding.

    Args:
        images: (..., H, W) float32, H and W no smaller than the number of taps.
        taps: One dimension of the separable window.
        step: Keep every `step`-th output in both directions.

    Returns:
        (..., H', W') with H' = ceil((H - len(taps) + 1) / step).

    Example:
        >>> valid_filter(torch.ones(1, 5, 7), uniform_taps(3)).shape
        torch.Size([1, 3, 5])
    """
    height, width = images.shape[-2:]
    rows = images @ _band(width, taps, step, images.device)
    return _band(height, taps, step, images.device).T @ rows


def sobel(images: Tensor, *, border: str = "replicate") -> tuple[Tensor, Tensor]:
    """Return the horizontal and vertical Sobel derivatives (convolution, not correlation).

    Args:
        images: (N, C, H, W).
        border: `replicate` repeats the outermost pixels, `zero` pads with black, `none` drops a
            pixel at each side.
    """
    if border != "none":
        mode = "replicate" if border == "replicate" else "constant"
        images = functional.pad(images, (1, 1, 1, 1), mode=mode)
    dx = images[..., :-2] - images[..., 2:]
    dy = images[..., :-2, :] - images[..., 2:, :]
    across = dx[..., :-2, :] + 2 * dx[..., 1:-1, :] + dx[..., 2:, :]
    along = dy[..., :-2] + 2 * dy[..., 1:-1] + dy[..., 2:]
    return across, along
