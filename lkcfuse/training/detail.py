"""The detail of the darker source, which a bright one beside it would cover."""

from __future__ import annotations

import torch
from torch import Tensor

from lkcfuse.training.filters import gaussian_taps, valid_filter

SIGMA = 3.0
MARGIN = 9
"""Pixels that the Gaussian takes at each side: three deviations."""
BRIGHTER_BY = 10.0
# A source that is nearly white has no room for another's detail, and one that is nearly black none
# to give.
BRIGHTEST, DARKEST = 235.0, 25.0
FEWEST_PIXELS = 100


def lost_detail(fused: Tensor, a: Tensor, b: Tensor, *, first_only: bool = False) -> Tensor:
    """Return 1 - the correlation of fine detail with the darker source's, both ways, per sample.

    Args:
        fused: Fused images, (N, 1, H, W), 0..255, H and W at least 19.
        a: First sources, the same shape.
        b: Second sources, the same shape.
        first_only: Only of the first source, where the second is the brighter.

    Returns:
        (N,), 0 to 4, or to 2 of the first source alone: the sum over the sources of what is lost of
        each where the other is brighter by more than 10 levels (and below 235, and the source
        itself above 25). A source that is nowhere so, or in fewer than 100 pixels, adds nothing.
    """
    stack = torch.cat([fused, a, b], dim=1)
    inner = stack[..., MARGIN:-MARGIN, MARGIN:-MARGIN]
    detail = inner - valid_filter(stack, gaussian_taps(2 * MARGIN + 1, SIGMA))
    lost = torch.zeros(len(fused), device=fused.device)
    for own, other in ((1, 2),) if first_only else ((1, 2), (2, 1)):
        darker, brighter = inner[:, own], inner[:, other]
        covered = (brighter > darker + BRIGHTER_BY) & (brighter < BRIGHTEST) & (darker > DARKEST)
        correlation = _correlation(detail[:, 0], detail[:, own], covered.float())
        enough = covered.sum(dim=(1, 2)) >= FEWEST_PIXELS
        lost = lost + torch.where(enough, 1 - correlation, 0.0)
    return lost


def _correlation(x: Tensor, y: Tensor, mask: Tensor) -> Tensor:
    """Return the correlation over a mask's pixels of two (N, H, W), per sample."""
    count = mask.sum(dim=(1, 2), keepdim=True).clamp_min(1)
    x = (x - (x * mask).sum(dim=(1, 2), keepdim=True) / count) * mask
    y = (y - (y * mask).sum(dim=(1, 2), keepdim=True) / count) * mask
    # Half a level of deviation keeps the slope finite where there is no detail.
    floor = 0.25 * count[:, 0, 0]
    scale = ((x * x).sum(dim=(1, 2)) + floor) * ((y * y).sum(dim=(1, 2)) + floor)
    return (x * y).sum(dim=(1, 2)) / scale.sqrt()
