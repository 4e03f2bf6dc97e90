"""Mirroring and quarter turns: of tensors, and of a network whose kernels do not change under them.

A fused picture should not depend on which way up the pair was held. A network whose every kernel is
the same under the eight mirrorings and turns of a square gives it by construction: a mirrored pair
becomes the mirrored picture, to rounding (where the size is a multiple of 4: the padding is at the
bottom and the right). What it learns with are the gradients' symmetric parts. Such a 15x15 kernel
has 36 free values of 225.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Turn:
    """One of the eight symmetries of a square.

    Attributes:
        quarters: Quarter turns, 0 to 3.
        mirrored: Whether left and right change places first.
    """

    quarters: int
    mirrored: bool

    def apply(self, images: Tensor) -> Tensor:
        """Mirror and turn the last two dimensions of (..., H, W)."""
        if self.mirrored:
            images = images.flip(-1)
        return torch.rot90(images, self.quarters, (-2, -1))

    def undo(self, images: Tensor) -> Tensor:
        """Turn back what `apply` returned."""
        images = torch.rot90(images, -self.quarters, (-2, -1))
        return images.flip(-1) if self.mirrored else images


TURNS = tuple(Turn(quarters, mirrored) for mirrored in (False, True) for quarters in range(4))


def symmetric_part(kernels: Tensor) -> Tensor:
    """Return the mean of (..., K, K) over the eight symmetries, the same under them to the bit."""
    # Two by two, since sums of two do not depend on their order, but sums of eight do by rounding.
    kernels = (kernels + kernels.flip(-1)) / 2
    kernels = (kernels + kernels.flip(-2)) / 2
    return (kernels + kernels.transpose(-2, -1)) / 2


def symmetric_kernels(network: nn.Module) -> Iterator[tuple[Tensor, int]]:
    """Yield the kernels of a network that symmetry concerns, and where their square begins.

    A convolution that halves the size has its output between two pixels: of its 3x3 kernel the
    2x2 that lies around that place can be symmetric, and begins at 1; the rest has to be zero.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size[0] > 1:
            yield module.weight, 1 if module.stride[0] == 2 else 0


def make_symmetric(network: nn.Module, *, keep_size: bool = False) -> None:
    """Replace every kernel by its symmetric part.

    Args:
        network: Changed in place.
        keep_size: Scale each to the norm it had: for initial weights, whose size counts.
    """
    with torch.no_grad():
        for kernel, start in symmetric_kernels(network):
            projected = _project(kernel, start)
            if keep_size and projected.any():
                projected *= kernel.norm() / projected.norm()
            kernel.copy_(projected)


def make_gradients_symmetric(network: nn.Module) -> None:
    """Replace the gradient of every kernel by its symmetric part."""
    for kernel, start in symmetric_kernels(network):
        if kernel.grad is not None:
            kernel.grad = _project(kernel.grad, start)


def _project(kernels: Tensor, start: int) -> Tensor:
    if not start:
        return symmetric_part(kernels)
    projected = torch.zeros_like(kernels)
    projected[..., start:, start:] = symmetric_part(kernels[..., start:, start:])
    return projected
