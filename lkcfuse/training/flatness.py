"""Where both sources are flat, the fused image has to be flat: sky, walls, background."""

from __future__ import annotations

import torch
from torch import Tensor

from lkcfuse.training.filters import uniform_taps, valid_filter

WINDOW = 15
FLAT_LEVELS = 2.0


def local_deviation(images: Tensor) -> Tensor:
    """Return the standard deviation in 15x15 windows, (N, C, H - 14, W - 14), of (N, C, H, W)."""
    taps = uniform_taps(WINDOW)
    mean = valid_filter(images, taps)
    # 1e-2 keeps the root's slope finite where a window is constant.
    return (valid_filter(images * images, taps) - mean * mean).clamp_min(0).add(1e-2).sqrt()


def flat_excess(fused: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """Return the mean excess of deviation where both sources are flat, in levels, per sample.

    Args:
        fused: Fused images, (N, 1, H, W), 0..255, H and W at least 15.
        a: First sources, the same shape.
        b: Second sources, the same shape.

    Returns:
        (N,): the mean over windows where both sources deviate by less than 2 levels of what the
        fused deviation exceeds the larger source's by; 0 where there is no such window.
    """
    deviation = local_deviation(torch.cat([fused, a, b], dim=1))
    larger = torch.maximum(deviation[:, 1:2], deviation[:, 2:])
    flat = (larger < FLAT_LEVELS).float()
    excess = (deviation[:, :1] - larger).clamp_min(0)
    return (excess * flat).sum(dim=(1, 2, 3)) / flat.sum(dim=(1, 2, 3)).clamp_min(1)
