"""Large kernels that learn as the sum of themselves and a small one at their centre.

A 15x15 kernel that is to pass on a picture's finest detail has to single out one tap of 225, and
pictures are smooth, so all taps have much the same gradient: from nothing that takes thousands of
steps. Trained beside a 3x3 kernel, which is added to its centre, it starts sharp and stays so
(structural re-parameterisation; Ding et al., RepLKNet, CVPR 2022). The sum is one kernel at any
time, so only the first values and the steps differ: a network is the same with and without.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

SMALL = 3
SMALLEST_LARGE = 7


def large_kernels(network: nn.Module) -> Iterator[Tensor]:
    """Yield the kernels that are large enough to have a centre of their own."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and min(module.kernel_size) >= SMALLEST_LARGE:
            yield module.weight


def centre_of(kernels: Tensor) -> Tensor:
    """Return the central 3x3 taps of (..., K, K), in the same memory."""
    start = (kernels.shape[-1] - SMALL) // 2
    return kernels[..., start : start + SMALL, start : start + SMALL]


def add_initial_centres(network: nn.Module) -> None:
    """Make fresh large kernels the sum of a large and a small one, of half the variance each."""
    with torch.no_grad():
        for kernel in large_kernels(network):
            small = torch.empty_like(centre_of(kernel))
            nn.init.kaiming_uniform_(small, a=5**0.5)
            kernel.mul_(0.5**0.5)
            centre_of(kernel).add_(small, alpha=0.5**0.5)
