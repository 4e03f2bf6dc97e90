"""Muon: steps that are equally long in all directions of a matrix (Jordan and others, 2024).

torch.optim.Muon does the same with products in bfloat16. On processors without instructions for
those they take fifty times as long as in float32: longer than the gradient of the network itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

MOMENTUM = 0.95
# The odd polynomial whose repetition brings singular values near 1, from any below it.
COEFFICIENTS = (3.4445, -4.775, 2.0315)
REPETITIONS = 5
# A step's spectral norm at a learning rate of 1. So one rate serves AdamW's parameters as well.
LENGTH = 16.0


class Muon(torch.optim.Optimizer):
    """Momentum whose steps are replaced by the nearest orthogonal matrix.

    Steps have one spectral norm whatever the matrix's shape. As long as AdamW's by the root mean
    square of their values, as often advised, those of a 1x1 kernel would be a dozen times shorter
    than a 15x15 kernel's of 32 channels, and such layers would hardly learn.

    Args:
        matrices: What is trained, each of two dimensions.
        weight_decay: Share of the learning rate that a step takes off.

    References:
        K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024.
    """

    def __init__(self, matrices: Iterable[Tensor], *, weight_decay: float) -> None:
        super().__init__(matrices, {"lr": 0.0, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Change the matrices that have a gradient, at their groups' learning rates."""
        assert closure is None
        for group in self.param_groups:
            rate = group["lr"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - MOMENTUM)
                ahead = matrix.grad.lerp(momentum, MOMENTUM)  # Nesterov's
                matrix.mul_(1 - rate * group["weight_decay"])
                matrix.add_(orthogonal(ahead), alpha=-rate * LENGTH)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return nearly the nearest matrix with orthonormal rows (or columns, if it has fewer).

    Args:
        matrix: (rows, columns).

    Returns:
        The same shape; its singular values lie between about 0.7 and 1.2, but for those that were
        next to nothing.
    """
    upright = matrix.shape[0] > matrix.shape[1]
    x: Tensor = matrix.T if upright else matrix
    x = x / x.norm().clamp_min(1e-7)
    linear, cubic, quintic = COEFFICIENTS
    for _ in range(REPETITIONS):
        square = x @ x.T
        x = linear * x + (cubic * square + quintic * square @ square) @ x
    result: Tensor = x.T if upright else x
    return result
